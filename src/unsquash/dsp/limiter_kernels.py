"""Compiled recursion of the limiter."""

from __future__ import annotations

from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array


@compiled
def release_and_smooth(
    lowest: Float64Array,
    reduction: Float64Array,
    envelope: Float64Array,
    release: float,
    window: Float64Array,
) -> None:
    """Add a limiter's `1 − g` to `reduction`; what reaches beyond the block is there for the next one.

    Written as a sum over inputs, not over outputs: every output then adds its terms in the same order
    however the stream is cut, and quiet passages cost nothing.

    Shape:
        lowest: `(K, T)`; reduction: `(K, T + N)` for a window `(N + 1,)`; envelope: `(K,)`.
    """
    for row in range(lowest.shape[0]):
        e = envelope[row]
        for n in range(lowest.shape[1]):
            target = lowest[row, n]
            e = target if target < e else e + release * (target - e)
            missing = 1.0 - e
            if missing > 0.0:
                for k in range(window.shape[0]):
                    reduction[row, n + k] += window[k] * missing
        envelope[row] = e
