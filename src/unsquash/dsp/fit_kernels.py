"""The gain that a compressor would have had, from its output alone: fast enough to be searched over.

Unlike the exact inverse, the level before the compressor is formed with the gain of the step before: at time
constants of many steps the difference vanishes.
"""

from __future__ import annotations

import math

from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array

LEAST_LOG_GAIN = -6.0


@compiled
def log_gain_curve(
    level: Float64Array,
    hop: int,
    threshold: float,
    slope: float,
    half_knee: float,
    detector: tuple[float, float],
    smoothing: tuple[float, float],
    curve: Float64Array,
) -> None:
    """Fill `curve` with the mean ln g of every `hop` steps.

    Args:
        level: magnitude of the compressor's output; RMS detection.
        hop: steps per entry of `curve`.
        threshold: linear.
        slope: 1 − 1/R.
        half_knee: half the knee's width in nepers.
        detector: coefficients of the detector, attack and release.
        smoothing: coefficients of the linear gain, attack and release; 1 for none.
        curve: where the result goes.

    Shape:
        level: `(hop · n,)`; curve: `(n,)`.
    """
    u, g = 0.0, 1.0
    inverse_gain = 1.0 / threshold
    corner = math.exp(-2.0 * half_knee)
    at = 0
    for k in range(curve.size):
        total = 0.0
        for _ in range(hop):
            a = level[at] * inverse_gain
            a *= a
            at += 1
            u += (detector[0] if a > u else detector[1]) * (a - u)
            f = 1.0
            if u > corner:
                over = 0.5 * math.log(u)
                if over >= half_knee:
                    f = math.exp(-slope * over)
                else:
                    f = math.exp(-slope * (over + half_knee) ** 2 / (4.0 * half_knee))
            g += (smoothing[0] if f < g else smoothing[1]) * (f - g)
            inverse_gain = 1.0 / (g * threshold)
            total += math.log(g)
        curve[k] = max(LEAST_LOG_GAIN, total / hop)
