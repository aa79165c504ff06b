"""The recursions of the simulated processors, compiled.

Symbols: `a` rectified input, `g` linear gain, `s` reduction in dB, ≥ 0. One channel at a time, shape `(T,)`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from unsquash.units import Float64Array


@numba.njit(cache=True)
def sliding_minimum(g: Float64Array, width: int) -> Float64Array:
    """Take the minimum of `g[n … n + width − 1]`, with a monotone queue."""
    length = g.size
    out = np.empty(length)
    queue = np.empty(length, np.int64)
    head, tail, ahead = 0, 0, 0
    for n in range(length):
        while ahead < length and ahead < n + width:
            while tail > head and g[queue[tail - 1]] >= g[ahead]:
                tail -= 1
            queue[tail] = ahead
            tail += 1
            ahead += 1
        while queue[head] < n:
            head += 1
        out[n] = g[queue[head]]
    return out


@numba.njit(cache=True)
def limiter_release(
    g: Float64Array, hold: int, fast: float, slow: float, slow_share: float, programme: float
) -> Float64Array:
    """Fall at once, hold, then rise: one-pole, two parallel one-poles, or slower the longer it was down.

    `fast` and `slow` are coefficients; `slow_share` blends in the lower of both releases; `programme` (0…1)
    lets the average reduction of the last second slow the release down.
    """
    out = np.empty_like(g)
    first, second, held, average = 1.0, 1.0, 0, 0.0
    for n in range(g.size):
        average += 5e-5 * (1.0 - first - average)
        rise = fast / (1.0 + programme * 40.0 * average)
        if g[n] <= first:
            first = g[n]
            held = hold
        elif held > 0:
            held -= 1
        else:
            first += rise * (g[n] - first)
        second += (0.002 if g[n] < second else slow) * (g[n] - second)
        out[n] = min(g[n], (1.0 - slow_share) * first + slow_share * min(first, second))
    return out


@numba.njit(cache=True)
def attack_release(g: Float64Array, attack: float, release: float) -> Float64Array:
    """Smooth a gain with one coefficient where it falls and another where it rises."""
    out = np.empty_like(g)
    last = 1.0
    for n in range(g.size):
        last += (attack if g[n] < last else release) * (g[n] - last)
        out[n] = last
    return out


@numba.njit(cache=True)
def moving_average(g: Float64Array, width: int) -> Float64Array:
    """Average the last `width` values, with unity before the first."""
    out = np.empty_like(g)
    total = float(width)
    for n in range(g.size):
        total += g[n] - (g[n - width] if n >= width else 1.0)
        out[n] = total / width
    return out


@numba.njit(cache=True, fastmath=True)
def smooth_power(a: Float64Array, coefficient: float) -> Float64Array:
    """Run a one-pole average over the square and take the root."""
    out = np.empty_like(a)
    power = 0.0
    for n in range(a.size):
        power += coefficient * (a[n] * a[n] - power)
        out[n] = math.sqrt(power)
    return out


@numba.njit(cache=True, fastmath=True)
def compressor_gain(
    a: Float64Array,
    threshold_db: float,
    slope: float,
    knee_db: float,
    attack: float,
    release: float,
    feedback: bool,
    adaptive: float,
) -> Float64Array:
    """Compute a log-domain compressor's gain, feed-forward or feedback.

    `slope` is 1 − 1/ratio (feed-forward) or ratio − 1 (feedback); `adaptive` (0…1) blends in a release ten
    times slower, as opto and "auto" releases do.

    Source:
        Giannoulis, Massberg & Reiss, JAES 60 (6), 2012: branching smooth detector on the gain.
    """
    out = np.empty_like(a)
    s, slow = 0.0, 0.0
    for n in range(a.size):
        over = 20.0 * math.log10(a[n] + 1e-7) - threshold_db
        if feedback:
            over -= s
        if 2.0 * over < -knee_db:
            wanted = 0.0
        elif 2.0 * over < knee_db:
            wanted = slope * (over + 0.5 * knee_db) ** 2 / (2.0 * knee_db)
        else:
            wanted = slope * over
        s += (attack if wanted > s else release) * (wanted - s)
        slow += (0.3 * attack if wanted > slow else 0.1 * release) * (wanted - slow)
        out[n] = math.exp(-0.11512925464970229 * (s + adaptive * max(0.0, slow - s)))
    return out


@numba.njit(cache=True)
def seven_parameter_gain(
    a: Float64Array,
    threshold: float,
    slope: float,
    order: int,
    detector_attack: float,
    detector_release: float,
    attack: float,
    release: float,
) -> Float64Array:
    """Compute the gain of the published seven-parameter model.

    Source:
        Gorlow & Reiss, IEEE TASLP 21 (7), 2013; `threshold` linear, time constants as coefficients.
    """
    out = np.empty_like(a)
    u, g = 0.0, 1.0
    floor = threshold**order
    for n in range(a.size):
        power = a[n] * a[n] if order == 2 else a[n]
        u += (detector_attack if power > u else detector_release) * (power - u)
        f = (u / floor) ** (-slope / order) if u > floor else 1.0
        g += (attack if f < g else release) * (f - g)
        out[n] = g
    return out


@numba.njit(cache=True)
def clip_curve(x: Float64Array, ceiling: float, hardness: float) -> Float64Array:
    """Clip to ±`ceiling`: tanh at hardness 0, a hard corner at 1, blended between."""
    out = np.empty_like(x)
    for n in range(x.size):
        ratio = x[n] / ceiling
        hard = min(1.0, max(-1.0, ratio))
        out[n] = ceiling * (hardness * hard + (1.0 - hardness) * math.tanh(ratio))
    return out
