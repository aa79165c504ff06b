"""Compiled recursions: the compressor's step, and the forward model that repeats it.

Only this module and `inverse_kernels` import numba, so nothing compiles until audio is processed. Compiled
code is kept on disk beside the source or, where that folder is read-only, in numba's cache of the user.

Symbols as in `unsquash.dsp.compressor`. Levels are relative to the threshold here: `a = (|x|/l)^p`, and u is
the detector's state in the same measure, so that the corner of the static curve lies at u = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba

from unsquash.units import Float64Array

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Below this a level or gain counts as zero: decaying states never reach the slow denormal numbers.
TINY = 1e-280


class Coefficients(NamedTuple):
    """A compressor's parameters as its recursions use them; flags are 0 or 1."""

    order: float
    detector_attack: float
    detector_release: float
    gain_attack: float
    gain_release: float
    scale: float  # l^−p
    slope: float
    half_knee: float
    expand: float
    log_gain: float


def compiled(function: _Function) -> _Function:
    """Compile on first call, cached on disk where any folder for that can be written."""
    try:
        return cast(_Function, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # numba's word for "no folder to cache in"
        return cast(_Function, numba.njit(error_model="numpy")(function))


@compiled
def static_curve(u: float, k: Coefficients) -> tuple[float, float]:
    """Return `ln f` and `d ln f / d ln u` at the detector state u."""
    sign = -1.0 if k.expand != 0.0 else 1.0
    if u <= 0.0:  # silence: an expander is fully closed, a compressor idle
        return (-math.inf if sign * k.slope < 0.0 else 0.0), 0.0
    over = sign * math.log(u)
    if over <= -k.half_knee:
        return 0.0, 0.0
    if over >= k.half_knee:
        return k.slope * sign * over, k.slope
    inside = over + k.half_knee
    return k.slope * sign * inside * inside / (4.0 * k.half_knee), k.slope * inside / (2.0 * k.half_knee)


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
