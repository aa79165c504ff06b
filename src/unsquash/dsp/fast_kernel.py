"""Compiled inverse for the common case: a compressor with a hard knee that smooths its gain linearly or not.

The same equation as in `unsquash.dsp.kernels`, arranged for speed. What takes time is the chain of dependent
operations from one sample's state to the next, not their number; so:

- f is a power of u: 2^−σe from the exponent's table, c^−σ from the mantissa's, and five terms of a series for
  the rest, all exact to rounding. No logarithm, no exponential.
- The first guess of h = 1/g continues with the previous sample's f; all but one operation of it is done
  before that sample is solved.
- All quantities are then expanded to second order (u to third) in d, the relative change from that guess, and
  `1 + d = h·g(d)` is solved in closed form. Where d is too large for the expansion to be exact to rounding,
  the guess is moved and the sample tried again.
- The branches (attack or release, above or below the threshold) are those at the guess; a solution that
  lies on another side of one of them is not accepted but tried again from there.

A sample on which this fails is left to the general kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unsquash.dsp.jit import contracted
from unsquash.units import Float64Array

if TYPE_CHECKING:
    from unsquash.dsp.kernels import Coefficients

OCTAVES = 128
CELLS = 256
TRIES = 12
LARGEST_STEP = 3e-5  # of d: beyond, the next term of the expansion would show
NEGLIGIBLE = 1e-18
SMALLEST_GAIN = 1e-6
_CELL_BITS = np.int64(0x000F_F000_0000_0000)
_MANTISSA_BITS = np.int64(0x000F_FFFF_FFFF_FFFF)
_ONE_BITS = np.int64(0x3FF0_0000_0000_0000)
_CENTRE_BITS = np.int64(0x3FF0_0800_0000_0000)


def power_tables(exponent: float) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Return what `u**exponent` is computed from, for `1 <= u < 2**OCTAVES`.

    Shape:
        powers of the octaves `(OCTAVES,)`, of the centres of the mantissa's cells and the reciprocals of the
        centres `(CELLS,)`, and the binomial series `(6,)`.
    """
    centres = 1.0 + (np.arange(CELLS) + 0.5) / CELLS
    terms = np.arange(5)
    series = np.concatenate(([1.0], np.cumprod((exponent - terms) / (terms + 1.0))))
    return np.exp2(exponent * np.arange(OCTAVES)), centres**exponent, 1.0 / centres, series


@contracted
def table_power(
    u: float, octaves: Float64Array, cells: Float64Array, reciprocals: Float64Array, series: Float64Array
) -> float:
    """Return u to the power that the tables are made for; −1 beyond their range."""
    bits = np.float64(u).view(np.int64)
    octave = (bits >> 52) - 1023
    if octave >= OCTAVES:
        return -1.0
    cell = (bits >> 44) & (CELLS - 1)
    mantissa = np.int64((bits & _MANTISSA_BITS) | _ONE_BITS).view(np.float64)
    centre = np.int64((bits & _CELL_BITS) | _CENTRE_BITS).view(np.float64)
    r = (mantissa - centre) * reciprocals[cell]
    high = (series[2] + r * series[3]) + (r * r) * (series[4] + r * series[5])
    power: float = (octaves[octave] * cells[cell]) * ((1.0 + r * series[1]) + (r * r) * high)
    return power


@contracted
def invert_hard_knee(
    level: Float64Array,
    gain: Float64Array,
    state: tuple[float, float, float, float],
    k: Coefficients,
    octaves: Float64Array,
    cells: Float64Array,
    reciprocals: Float64Array,
    series: Float64Array,
) -> tuple[int, float, float, float, float]:
    """Fill `gain` with the g that made `level`, as far as it goes.

    Args:
        level: samples before makeup gain.
        gain: output.
        state: u, g, f and h = 1/g before the first sample.
        k: settings.
        octaves: tables of the power function, as made by `power_tables`.
        cells: likewise.
        reciprocals: likewise.
        series: likewise.

    Returns:
        how many samples are done, and the state after them.

    Shape:
        level, gain: `(T,)`.
    """
    u, g, f, h = state
    beta_a, beta_r, gamma_a, gamma_r = k.detector_attack, k.detector_release, k.gain_attack, k.gain_release
    order = k.order
    rms = order == 2.0
    # Expansions in d: a(d) = a (1 + d)^−p, and f(d) = f (1 + w k1 d + w (k2 + k3 w) d²), w = ∂ln u/∂ln a.
    a2 = 0.5 * order * (order + 1.0)
    a3 = -order * (order + 1.0) * (order + 2.0) / 6.0
    k1 = -k.slope * order
    k2 = k.slope * a2
    k3 = 0.5 * k.slope * (k.slope - 1.0) * order * order
    for n in range(level.shape[0]):
        y = abs(level[n])
        y = (y * y if rms else y) * k.scale
        if f == 1.0:
            # Below the threshold so far. If it stays so, g does not depend on this sample at all.
            settled = gamma_r + (1.0 - gamma_r) * g if g <= 1.0 else gamma_a + (1.0 - gamma_a) * g
            inverted = 1.0 / settled
            a = y * inverted * inverted if rms else y * inverted
            below = beta_a * a + (1.0 - beta_a) * u if a > u else beta_r * a + (1.0 - beta_r) * u
            if below <= 1.0:
                u, g, h = below, settled, inverted
                gain[n] = g
                continue
            h = inverted
        guess = h
        near_f = f
        solved = False
        for _ in range(TRIES):
            # Whatever does not wait for the new f is multiplied out before it, for both of its branches.
            square = guess * guess if rms else guess
            a = y * square
            attack = a > u
            kept = (1.0 - beta_a) * u if attack else (1.0 - beta_r) * u
            share = beta_a * a if attack else beta_r * a
            at_guess = beta_a * a + (1.0 - beta_a) * u if attack else beta_r * a + (1.0 - beta_r) * u
            pull_a = gamma_a * guess
            pull_r = gamma_r * guess
            rest_a = (1.0 - gamma_a) * g * guess - 1.0
            rest_r = (1.0 - gamma_r) * g * guess - 1.0
            above = at_guess > 1.0
            if above:
                f_guess = table_power(at_guess, octaves, cells, reciprocals, series)
                if f_guess < 0.0:
                    break
                w = share / at_guess
                f1 = w * k1
                f2 = w * (k2 + k3 * w)
                # Slope of the equation with the previous f, corrected to first order when the new f is there.
                slope = (pull_a if near_f < g else pull_r) * near_f * f1
                newton = 1.0 / (1.0 - slope)
                change_a = f_guess * (pull_a * f1 * newton) - slope * newton
                change_r = f_guess * (pull_r * f1 * newton) - slope * newton
                falling = f_guess < g
                residual = f_guess * pull_a + rest_a if falling else f_guess * pull_r + rest_r
                change = change_a if falling else change_r
                curve = f_guess * (pull_a * f2) if falling else f_guess * (pull_r * f2)
                first = residual * newton
                newton = newton + newton * change
                d = residual * newton + (curve * newton) * (first * first)
            else:
                f_guess = 1.0
                f1 = f2 = slope = change = 0.0
                falling = f_guess < g
                d = pull_a + rest_a if falling else pull_r + rest_r
            dd = d * d
            size = abs(d)
            if size < LARGEST_STEP and size * (slope * dd + change * change) <= NEGLIGIBLE:
                # 1/g of the next sample, should f stay as it is: ready before d is.
                gamma = gamma_a if falling else gamma_r
                following = guess / (1.0 + gamma * (f_guess * guess - 1.0))
                u_next = (share + (share * d) * (-order + d * (a2 + d * a3))) + kept
                f_next = f_guess + d * (f_guess * f1 + d * (f_guess * f2))
                if (a - order * a * d > u) == attack and (f_next < g) == falling and (u_next > 1.0) == above:
                    u = u_next
                    f = f_next
                    g = gamma_a * f + (1.0 - gamma_a) * g if falling else gamma_r * f + (1.0 - gamma_r) * g
                    h = following - following * d
                    solved = True
                    break
            near_f = f_guess
            guess = guess / (1.0 + d)
        if not solved or g < SMALLEST_GAIN:
            return n, u, g, f, h
        gain[n] = g
    return level.shape[0], u, g, f, h
