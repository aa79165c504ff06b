"""Compiled inverse of the compressor for any settings: one scalar equation per sample.

The unknown is `h = 1/g`. A guess of it makes `x = h·y`; the forward step answers with a gain Γ(x), and the
guess is right when `P(h) = h·Γ(h·y) = 1`: the compressor applied to x gives back y. `ln P` is continuous and
strictly increasing in `ln h`, with a slope `1 + q` of at least 1/R (compressor) or 1 (expander), over all
branches at once: attack and release, above and below the threshold are decided by the forward step itself.
So the root is unique, and Newton's method in logarithms, kept inside a bracket, finds it.

Symbols as in `unsquash.dsp.kernels`.
"""

from __future__ import annotations

import math

from unsquash.dsp.kernels import Coefficients, compiled, power, step
from unsquash.units import Float64Array

ROUNDING = 1.2e-16
CLOSE = 1e-15  # |ln P| of a solution: a few roundings
SOLVED, UNSOLVED, ABSURD, LOST = 0, 1, 2, 3
LOUDEST = 1e6  # a restored sample above +120 dBFS, or one reduced by more than that, is no recording
FORGOTTEN = 1e-6  # error of a restored sample, relative to the threshold, at which the state is lost


@compiled
def solve(
    y: float, u_prev: float, s_prev: float, h: float, k: Coefficients
) -> tuple[float, float, float, float, float, float, float, float]:
    """Find the sample that the compressor turned into one of level y.

    Args:
        y: `(|y|/l)^p`, positive.
        u_prev: detector before the sample.
        s_prev: smoothed gain before the sample.
        h: guess of 1/g, positive.
        k: settings.

    Returns:
        a, u, s, f, h after the sample, then `∂ln u/∂ln a`, `∂ln g/∂ln f`, `d ln f/d ln u` at the solution;
        h is −1 where there is none.
    """
    low, high = 0.0, math.inf
    for _ in range(200):
        a = y * h if k.order == 1.0 else y * h * h
        u, s, f, g, weight, share, bend = step(a, u_prev, s_prev, k)
        product = h * g
        if product == 1.0:
            return a, u, s, f, h, weight, share, bend
        if product > 1.0:
            high = h
        else:
            low = h
        if product > 0.0:
            residual = math.log(product)
            slope = 1.0 + k.order * weight * share * bend
            if abs(residual) <= CLOSE or high * (1.0 - 2.0 * ROUNDING) <= low:
                return a, u, s, f, h, weight, share, bend
            following = h * math.exp(max(-600.0, min(600.0, -residual / slope)))
        else:
            following = 0.0
        if not low < following < high:
            if high == math.inf:
                following = 1e3 * low
            elif low == 0.0:
                following = 1e-3 * high
            else:
                following = math.sqrt(low) * math.sqrt(high)
        h = following
        if not 1e-300 < h < 1e300:
            break
    return 0.0, u_prev, s_prev, 1.0, -1.0, 0.0, 0.0, 0.0


@compiled
def general(
    level: Float64Array,
    gain: Float64Array,
    u: float,
    s: float,
    f: float,
    h: float,
    k: Coefficients,
    makeup: float,
) -> tuple[int, int, float, float, float, float]:
    """Fill `gain` with the g that made `level`, for any settings.

    An expander's inverse can amplify rounding: a level slightly off makes a gain further off. The error that
    one rounding per sample would grow to is followed along with the state.

    Returns:
        index of the first sample without a solution or −1, the reason, and u, s, f, h after the last sample.

    Shape:
        level, gain: `(T,)`.
    """
    u_error = g_error = 0.0
    for n in range(level.shape[0]):
        y = power(level[n] / makeup, k)
        if y > 0.0:
            a, u, s, f, h, weight, share, bend = solve(y, u, s, h, k)
            if h < 0.0:
                return n, UNSOLVED, u, s, f, h
            if h * abs(level[n]) > LOUDEST * makeup or (k.expand == 0.0 and h > LOUDEST):
                return n, ABSURD, u, s, f, h
        else:
            a = 0.0
            u, s, f, g, weight, share, bend = step(0.0, u, s, k)
            h = 1.0 / max(g, 1e-15)
        gain[n] = 1.0 / h
        if k.expand != 0.0:
            # d ln x = −d ln g carries the error from gain to detector and back, within the sample and on.
            coupling = k.order * weight * share * bend
            carried = share * bend * (1.0 - weight) * u_error + (1.0 - share) * g_error
            g_error = carried / (1.0 + coupling) + ROUNDING
            u_error = (1.0 - weight) * u_error - k.order * weight * g_error
            if abs(g_error) * math.sqrt(a) > FORGOTTEN:
                return n, LOST, u, s, f, h
    return -1, SOLVED, u, s, f, h
