"""The gain that many compressors would have had, from one output: several candidates per instruction.

The recursion of the exact inverse but for one thing: the level before the compressor is formed with the gain
of the step before. At time constants of many steps the difference vanishes. In single precision, with
polynomials for logarithm and power, so that the compiler turns the loop over the candidates into vector
instructions. The logarithm is taken of the mean gain of a frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unsquash.dsp.jit import contracted

Float32Array = npt.NDArray[np.float32]

_LOG_LEAST = np.float32(1e-12)
_LOG2_E = np.float32(1.44269504)
_DEEPEST = np.float32(-40.0)

# Least squares on Chebyshev nodes: log2 on 1…2 within 2e-6, 2^r on 0…1 within 1e-7.
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = (
    np.float32(c)
    for c in (-3.03460285, 6.08989576, -5.30170911, 3.24946656, -1.2479625, 0.27003746, -0.0251232)
)
_E1, _E2, _E3, _E4, _E5 = (
    np.float32(c) for c in (0.69315462, 0.24014077, 0.05586328, 0.00894621, 0.00189511)
)


@contracted
def log_gain_curves(
    level: Float32Array,
    hop: int,
    settings: Float32Array,
    state: Float32Array,
    curves: Float32Array,
) -> None:
    """Fill `curves` with the logarithm of the mean g of every `hop` steps.

    Args:
        level: magnitude of the compressors' output.
        hop: steps per entry of `curves`.
        settings: per candidate 1 / threshold (linear), slope 1 − 1/R, half the knee's width in nepers (> 0),
            coefficients (1 for no smoothing): detector attack and release, gain attack and release; then 1
            for an RMS, 0 for a peak detector, and nepers of level per doubling of u: ln 2 over 2 or 1.
        state: u over the threshold's power and g before the first step; after it, those after the last.
        curves: where the result goes.

    Shape:
        level: `(hop · n,)`; settings: `(9, K)`; state: `(2, K)`; curves: `(n, K)`.
    """
    # copies, so that the compiler knows that nothing overlaps
    inverse_threshold, slope, half_knee = settings[0].copy(), settings[1].copy(), settings[2].copy()
    detector_attack, detector_release = settings[3].copy(), settings[4].copy()
    gain_attack, gain_release = settings[5].copy(), settings[6].copy()
    squared, nepers = settings[7].copy(), settings[8].copy()
    count = inverse_threshold.size
    u, g = state[0].copy(), state[1].copy()
    total, inverse_gain = np.zeros(count, np.float32), inverse_threshold / g
    curvature = np.float32(0.25) / half_knee
    zero, one = np.float32(0.0), np.float32(1.0)
    at = 0
    for frame in range(curves.shape[0]):
        total[:] = zero
        for _ in range(hop):
            x = level[at]
            at += 1
            for k in range(count):
                a = x * inverse_gain[k]
                a *= a * squared[k] + (one - squared[k])
                v = u[k]
                v += (detector_attack[k] if a > v else detector_release[k]) * (a - v)
                u[k] = v
                bits = np.float32(max(v, _LOG_LEAST)).view(np.int32)
                exponent = np.float32((bits >> 23) - 127)
                m = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
                log2 = (((((_L6 * m + _L5) * m + _L4) * m + _L3) * m + _L2) * m + _L1) * m + _L0 + exponent
                over = nepers[k] * log2
                bend = min(max(over + half_knee[k], zero), half_knee[k] + half_knee[k])
                reduction = bend * bend * curvature[k] + max(over - half_knee[k], zero)
                z = max(-slope[k] * reduction * _LOG2_E, _DEEPEST)
                whole = np.floor(z)
                r = z - whole
                power = one + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * _E5))))
                f = power * np.int32((np.int32(whole) + 127) << 23).view(np.float32)
                h = g[k]
                h += (gain_attack[k] if f < h else gain_release[k]) * (f - h)
                g[k] = h
                inverse_gain[k] = inverse_threshold[k] / h
                total[k] += h
        for k in range(count):
            curves[frame, k] = np.log(total[k] / np.float32(hop))
    state[0], state[1] = u, g
