"""From float64 to the sample types of files: exact where possible, dithered where asked, never clipped."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unsquash.audio.formats import AudioInfo, OutputFormat
from unsquash.errors import OptionError, OutputError
from unsquash.units import Float64Array, FloatArray, to_interleaved


def wants_dither(
    mode: Literal["auto", "tpdf", "none"], info: AudioInfo, output: OutputFormat, *, changed: bool
) -> bool:
    """Return whether an output is to be dithered.

    "auto" dithers integer outputs that hold less than the source did, and changed samples at 16 bit.

    Args:
        mode: what the user asked for.
        info: the source.
        output: the format of the output; floats and lossy codecs are never dithered.
        changed: whether the samples differ from the source's.

    Raises:
        OptionError: unknown mode.
    """
    if mode not in ("auto", "tpdf", "none"):
        raise OptionError(f"no dither is called '{mode}'", hint="choose auto, tpdf or none")
    if mode == "none" or output.bit_depth is None:
        return False
    if mode == "tpdf":
        return True
    reduces = info.bit_depth is None or info.bit_depth > output.bit_depth
    return reduces or (changed and output.bit_depth <= 16)


class SampleEncoder:
    """Turns blocks into the sample type of a format; results do not depend on how the blocks are cut.

    Integers are rounded to nearest, after adding triangular dither of ±1 step if asked. Samples on the
    integer grid pass unchanged without dither. A sample beyond ±1 is an error. One within ±1 that rounding
    or dither takes to the step above the topmost gets the topmost.

    Args:
        output: the format.
        dither: whether to add dither to integers.
        seed: of the dither.

    Source:
        Lipshitz, Wannamaker, Vanderkooy, "Quantization and dither: a theoretical survey", JAES 40(5), 1992.
    """

    def __init__(self, output: OutputFormat, *, dither: bool, seed: int) -> None:
        self._output = output
        self._depth = output.bit_depth
        self._generator = np.random.default_rng(seed) if dither and self._depth is not None else None
        self._frames = 0

    def encode(self, samples: FloatArray) -> npt.NDArray[Any]:
        """Return interleaved samples: int16, int32 (24 bit in the upper bytes), float32 or float64.

        Shape:
            samples: `(C, t)`; result: `(t, C)` contiguous.

        Raises:
            OutputError: a sample is beyond full scale of an integer format, or not a number.
        """
        interleaved = to_interleaved(samples)
        self._check(interleaved)
        self._frames += len(interleaved)
        if self._depth is not None:
            return self._to_integers(interleaved, self._depth)
        if self._output.subtype == "DOUBLE":
            return interleaved
        return interleaved.astype(np.float32)

    def _check(self, interleaved: Float64Array) -> None:
        limit = 1.0 if self._depth is not None else float(np.finfo(np.float32).max)
        if self._output.subtype == "DOUBLE":
            limit = float(np.finfo(np.float64).max)
        fits = np.abs(interleaved) <= limit
        if fits.all():
            return
        frame, channel = np.argwhere(~fits)[0]
        time_s = (self._frames + int(frame)) / self._output.sample_rate
        value = float(interleaved[frame, channel])
        if not np.isfinite(value):
            raise OutputError(
                f"the output has a sample that is no number at {time_s:.3f} s", hint="please report this"
            )
        raise OutputError(
            f"a sample of {value:.4g} at {time_s:.3f} s would clip in {self._depth or 32}-bit output",
            hint="let the level be lowered (--level peak-safe), or write floats (--bit-depth 32f)",
        )

    def _to_integers(self, interleaved: Float64Array, depth: int) -> npt.NDArray[Any]:
        full_scale = 2.0 ** (depth - 1)
        steps = interleaved * full_scale
        if self._generator is not None:
            uniform = self._generator.random((*steps.shape, 2))
            steps += uniform[..., 0] - uniform[..., 1]
        np.rint(steps, out=steps)
        np.clip(steps, -full_scale, full_scale - 1.0, out=steps)
        if depth == 16:
            return steps.astype(np.int16)
        return steps.astype(np.int32) << (32 - depth)
