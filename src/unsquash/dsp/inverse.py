"""The exact inverse of the compressor: which samples, squashed with these settings, give these?

The equation and how it is solved: `unsquash.dsp.kernels`. Its error is bounded: detector and
smoothed gain are weighted means of what went in, so a relative error of at most ε in every squashed sample
makes one of at most R·ε in the restored ones. An expander has no such bound: its state can be lost, and then
`InversionError` says where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unsquash.dsp import programs
from unsquash.dsp.compressor import (
    CompressorParams,
    CompressorState,
    as_planes,
    coefficients,
    copy_state,
    initial_state,
    linked_level,
)
from unsquash.errors import InversionError
from unsquash.units import Float64Array, FloatArray, gain_to_db

if TYPE_CHECKING:
    from unsquash.dsp.kernels import Coefficients

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
    y = as_planes(samples)
    after = copy_state(state if state is not None else initial_state(params, y.shape[0]), params, y.shape[0])
    _require_numbers(y, sample_rate, start_s)
    makeup = programs.makeup(params)
    level = linked_level(y, params.link) / makeup
    gain = np.empty_like(level)
    if params.kind == "sc4":
        from unsquash.dsp import sc4_kernels

        k4 = sc4_kernels.coefficients(params, sample_rate)
        ends = [sc4_kernels.invert(level[0], gain[0], after.memory[0], k4)]
    else:
        k = coefficients(params, sample_rate)
        ends = [_invert_row(level[row], gain[row], after, row, k) for row in range(level.shape[0])]
    if failures := [(n, reason) for n, reason in ends if reason]:
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


def _invert_row(
    level: Float64Array, gain: Float64Array, state: CompressorState, row: int, k: Coefficients
) -> tuple[int, int]:
    """Fill `gain` and advance the state's row: the fast kernel where it can, the general one where not.

    Returns:
        the first sample without a solution and the reason, or 0 for none.
    """
    from unsquash.dsp import fast_kernel, kernels

    total = level.shape[0]
    n = reason = 0
    u, s = float(state.detector[row]), float(state.gain[row])
    f, h = (float(value) for value in state.guess[row])
    fast = k.expand == 0.0 and k.knee_start == 0.0 and k.log_gain == 0.0
    tables = fast_kernel.power_tables(k.slope) if fast else None
    while n < total and not reason:
        stop = total
        if tables is not None:
            done, u, s, f, h = fast_kernel.invert_hard_knee(level[n:], gain[n:], (u, s, f, h), k, *tables)
            n += done
            if n == total:
                break
            stop = min(n + 1, total)  # one sample, wherever the blocks of a stream begin and end
        failed, reason, u, s, f, h = kernels.general(
            level[n:stop], gain[n:stop], u, s, f, h, state.error[row], k
        )
        n = n + failed if reason else stop
    state.detector[row], state.gain[row], state.guess[row] = u, s, (f, h)
    return n, reason


def _require_numbers(samples: Float64Array, sample_rate: float, start_s: float) -> None:
    if np.isfinite(np.sum(samples)):  # quick; a sum of numbers can only be infinite by overflow
        return
    finite = np.all(np.isfinite(samples), axis=0)
    if not np.all(finite):
        raise InversionError(
            "a sample is not a number",
            time_s=start_s + int(np.argmin(finite)) / sample_rate,
            hint="The file is damaged.",
        )
