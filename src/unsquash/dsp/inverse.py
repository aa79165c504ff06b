"""The exact inverse of the compressor: which samples, squashed with these settings, give these?

The equation and how it is solved: `unsquash.dsp.kernels`. Its error is bounded: detector and
smoothed gain are weighted means of what went in, so a relative error of at most ε in every squashed sample
makes one of at most R·ε in the restored ones. An expander has no such bound: its state can be lost, and then
`InversionError` says where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unsquash.dsp.compressor import (
    CompressorParams,
    CompressorState,
    as_planes,
    coefficients,
    copy_state,
    gain_to_db,
    initial_state,
    linked_level,
)
from unsquash.errors import InversionError
from unsquash.units import Float64Array, FloatArray, db_to_linear

_REASONS = {
    1: "no original leads here with these settings",
    2: "these settings would mean an original more than 120 dB louder",
    3: "the expander has lost its state: rounding errors have grown to audible size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inverted:
    """The restored samples, the gain that restored them, and the state after them.

    Shape:
        samples: `(C, T)`; gain: linear, `(C, T)` or `(1, T)` when linked; `samples = squashed · gain`.
    """

    samples: Float64Array
    gain: Float64Array
    state: CompressorState

    @property
    def gain_db(self) -> Float64Array:
        """The gain in decibels."""
        return gain_to_db(self.gain)


def invert(
    samples: FloatArray,
    sample_rate: float,
    params: CompressorParams,
    state: CompressorState | None = None,
    start_s: float = 0.0,
) -> Inverted:
    """Undo `compress` with the same parameters; pass the state on to continue with the next block.

    Args:
        samples: what the compressor put out.
        sample_rate: Hz.
        params: the settings it had.
        state: its state before the first sample; None for a compressor at rest.
        start_s: time of the first sample in the recording, for error messages.

    Shape:
        samples: `(C, T)`, any float type, ±1 = 0 dBFS; the result is float64 of the same shape.

    Raises:
        InversionError: these samples cannot have come from these settings, or an expander's state is lost.

    Example:
        >>> from unsquash.dsp.compressor import compress
        >>> params = CompressorParams(threshold_db=-20, ratio=4, detector_attack_ms=5, attack_ms=5)
        >>> original = np.sin(np.arange(1000.0))[np.newaxis]
        >>> restored = invert(compress(original, 44100, params).samples, 44100, params).samples
        >>> bool(np.max(np.abs(restored - original)) < 1e-13)
        True
    """
    from unsquash.dsp import kernels

    y = as_planes(samples)
    after = copy_state(state if state is not None else initial_state(params, y.shape[0]), params, y.shape[0])
    if not np.all(np.isfinite(y)):
        n = int(np.argmin(np.all(np.isfinite(y), axis=0)))
        raise InversionError(
            "a sample is not a number", time_s=start_s + n / sample_rate, hint="The file is damaged."
        )
    level = linked_level(y, params.link)
    gain = np.empty_like(level)
    makeup = db_to_linear(params.makeup_db)
    k = coefficients(params, sample_rate)
    failures: list[tuple[int, int]] = []
    for row in range(level.shape[0]):
        n, reason, u, s, f, h = kernels.general(
            level[row], gain[row], after.detector[row], after.gain[row], *after.guess[row], k, makeup
        )
        after.detector[row], after.gain[row], after.guess[row] = u, s, (f, h)
        if reason:
            failures.append((n, reason))
    if failures:
        n, reason = min(failures)
        time_s = start_s + n / sample_rate
        raise InversionError(
            f"no stable inverse from {time_s:.3f} s on: {_REASONS[reason]}",
            time_s=time_s,
            hint="Check the settings and their unit, above all the threshold and the ratio.",
        )
    gain *= makeup
    np.reciprocal(gain, out=gain)
    return Inverted(samples=y * gain, gain=gain, state=after)
