"""Compiled recursions: the compressor's step, the forward model that repeats it, and the inverse.

Symbols as in `unsquash.dsp.compressor`. Levels are relative to the threshold here: `a = (|x|/l)^p`, and u is
the detector's state in the same measure, so that the corner of the static curve lies at u = 1.

The inverse solves one scalar equation per sample, for `h = 1/g`. A guess of it makes `x = h·y`; the forward
step answers with a gain Γ(x), and the guess is right when `P(h) = h·Γ(h·y) = 1`: the compressor applied to x
gives back y. `ln P` is continuous and strictly increasing in `ln h`, its slope at least 1/R (compressor) or 1
(expander), over all branches at once: attack or release, above or below the threshold is decided by the
forward step itself. So the root is unique, and Newton's method in logarithms, kept in a bracket, finds it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array

# Below this a level or gain counts as zero: decaying states never reach the slow denormal numbers.
TINY = 1e-280

ROUNDING = 1.2e-16
CLOSE = 5e-16  # |ln P| of a solution: a few roundings
SOLVED, UNSOLVED, ABSURD, LOST = 0, 1, 2, 3
LOUDEST = 1e6  # a restored sample above +120 dBFS, or one reduced by more than that, is no recording
FORGOTTEN = 1e-6  # error of a restored sample, relative to the threshold, at which the state is lost


class Coefficients(NamedTuple):
    """A compressor's parameters as its recursions use them; flags are 0 or 1."""

    order: float
    detector_attack: float
    detector_release: float
    gain_attack: float
    gain_release: float
    scale: float  # l^−p
    slope: float
    knee_start: float  # in ln u, where the static curve leaves 1
    knee_stop: float  # and where it has reached the slope
    knee_bend: float  # quadratic and linear coefficient of ln f in between, from the start of the knee
    knee_tilt: float
    expand: float
    log_gain: float


@compiled
def static_curve(u: float, k: Coefficients) -> tuple[float, float]:
    """Return `ln f` and `d ln f / d ln u` at the detector state u."""
    sign = -1.0 if k.expand != 0.0 else 1.0
    if u <= 0.0:  # silence: an expander is fully closed, a compressor idle
        return (-math.inf if k.expand != 0.0 and k.slope != 0.0 else 0.0), 0.0
    over = sign * math.log(u)
    if over <= k.knee_start:
        return 0.0, 0.0
    if over >= k.knee_stop:
        return k.slope * sign * over, k.slope
    inside = over - k.knee_start
    return sign * inside * (k.knee_bend * inside + k.knee_tilt), 2.0 * k.knee_bend * inside + k.knee_tilt


@compiled
def power(level: float, k: Coefficients) -> float:
    """Return `(|x|/l)^p`."""
    magnitude = abs(level)
    return (magnitude if k.order == 1.0 else magnitude * magnitude) * k.scale


@compiled
def step(
    a: float, u_prev: float, s_prev: float, k: Coefficients
) -> tuple[float, float, float, float, float, float, float]:
    """Advance the compressor by one sample of level a.

    Returns:
        u, smoothed state s (g or ln g), static gain f and gain g; then how they hang together:
        `∂ln u/∂ln a`, `∂ln g/∂ln f` and `d ln f/d ln u`.
    """
    beta = k.detector_attack if a > u_prev else k.detector_release
    u = beta * a + (1.0 - beta) * u_prev
    if u < TINY:
        u = 0.0
    log_f, bend = static_curve(u, k)
    f = math.exp(log_f) if log_f != 0.0 else 1.0
    target = log_f if k.log_gain != 0.0 else f
    gamma = k.gain_attack if target < s_prev else k.gain_release
    s = gamma * target + (1.0 - gamma) * s_prev
    if k.log_gain != 0.0:
        g = math.exp(s)
        share = gamma
    else:
        if s < TINY:
            s = 0.0
        g = s
        share = gamma * f / g if g > 0.0 else 0.0
    weight = beta * a / u if u > 0.0 else 0.0
    return u, s, f, g, weight, share, bend


@compiled
def forward(
    level: Float64Array,
    gain: Float64Array,
    detector: Float64Array,
    smoothed: Float64Array,
    guess: Float64Array,
    k: Coefficients,
) -> None:
    """Fill `gain` with g for every sample; the states are updated in place.

    Shape:
        level, gain: `(K, T)`; detector, smoothed: `(K,)`; guess: `(K, 2)`, f and 1/g after the last sample.
    """
    for row in range(level.shape[0]):
        u, s = detector[row], smoothed[row]
        f, g = guess[row, 0], 1.0 / guess[row, 1]
        for n in range(level.shape[1]):
            u, s, f, g, _, _, _ = step(power(level[row, n], k), u, s, k)
            gain[row, n] = g
        detector[row], smoothed[row] = u, s
        guess[row, 0], guess[row, 1] = f, 1.0 / max(g, TINY)


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
    farthest = 600.0 / k.order  # no step makes the level overflow
    for _ in range(200):
        a = y * h if k.order == 1.0 else y * h * h
        u, s, f, g, weight, share, bend = step(a, u_prev, s_prev, k)
        product = h * g
        if product == 1.0:
            return a, u, s, f, h, weight, share, bend
        if product > 1.0 or a == math.inf:
            high = h
        else:
            low = h
        if product > 0.0 and a < math.inf:
            residual = math.log(product)
            slope = 1.0 + k.order * weight * share * bend
            if abs(residual) <= CLOSE * max(1.0, slope) or high * (1.0 - 2.0 * ROUNDING) <= low:
                return a, u, s, f, h, weight, share, bend
            following = h * math.exp(max(-farthest, min(farthest, -residual / slope)))
        else:
            following = 0.0
        if not low < following < high:
            if high == math.inf:
                following = 1e3 * low
            elif low == 0.0:
                following = 1e-3 * high
            else:
                following = 0.5 * (low + high) if high < 2.0 * low else math.sqrt(low) * math.sqrt(high)
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
    error: Float64Array,
    k: Coefficients,
) -> tuple[int, int, float, float, float, float]:
    """Fill `gain` with the g that made `level`, for any settings.

    An expander's inverse can amplify rounding: a level slightly off makes a gain further off. The error that
    one rounding per sample would grow to is followed along with the state, in place of `error`.

    Returns:
        index of the first sample without a solution or −1, the reason, and u, s, f, h after the last sample.

    Shape:
        level, gain: `(T,)`; error: `(2,)`, of u and g.
    """
    u_error, g_error = error
    for n in range(level.shape[0]):
        y = power(level[n], k)
        if y > 0.0:
            a, u, s, f, h, weight, share, bend = solve(y, u, s, h, k)
            if h < 0.0:
                return n, UNSOLVED, u, s, f, h
            if h * abs(level[n]) > LOUDEST or (k.expand == 0.0 and h > LOUDEST):
                return n, ABSURD, u, s, f, h
        else:
            a = 0.0
            u, s, f, g, weight, share, bend = step(0.0, u, s, k)
            h = 1.0 / max(g, 1e-15)
        gain[n] = 1.0 / h if y > 0.0 or k.expand == 0.0 else 1.0  # silence needs no gain
        if k.expand != 0.0:
            # d ln x = −d ln g carries the error from gain to detector and back, within the sample and on.
            coupling = k.order * weight * share * bend
            carried = share * bend * (1.0 - weight) * u_error + (1.0 - share) * g_error
            g_error = carried / (1.0 + coupling) + ROUNDING
            u_error = (1.0 - weight) * u_error - k.order * weight * g_error
            if abs(g_error) * math.sqrt(a) > FORGOTTEN:
                return n, LOST, u, s, f, h
    error[0], error[1] = u_error, g_error
    return -1, SOLVED, u, s, f, h
