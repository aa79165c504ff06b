"""Flat tops filled in by autoregressive interpolation, compiled; one channel at a time, shape `(T,)`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array


@compiled
def _predictor(x: Float64Array, window: Float64Array, start: int, order: int, a: Float64Array) -> bool:
    """Fit a linear predictor to a windowed piece: Levinson's recursion on the autocorrelation.

    Writes `1, a[1] … a[order]`; returns False where the piece is silent.
    """
    count = window.size
    piece = np.zeros(count + order)  # zeros behind it, so that every lag has as many products
    for n in range(max(0, -start), min(count, x.size - start)):
        piece[n] = x[start + n] * window[n]
    r = np.zeros(order + 1)
    for n in range(count):
        for lag in range(order + 1):  # inner, so that it can be done for several lags at once
            r[lag] += piece[n] * piece[n + lag]
    if r[0] <= 1e-12:
        return False
    r[0] *= 1.0 + 1e-9
    a[:] = 0.0
    a[0] = 1.0
    error = r[0]
    before = np.empty(order + 1)
    for k in range(1, order + 1):
        reflection = r[k]
        for j in range(1, k):
            reflection += a[j] * r[k - j]
        reflection = -reflection / error
        before[:k] = a[:k]
        for j in range(1, k):
            a[j] = before[j] + reflection * before[k - j]
        a[k] = reflection
        error *= 1.0 - reflection * reflection
        if error <= 0.0:
            return False
    return True


@compiled
def _solve(
    y: Float64Array, at: npt.NDArray[np.int64], b: Float64Array, band: Float64Array, value: Float64Array
) -> bool:
    """Choose the samples `at` so that the prediction error is least, all others being known.

    `b` is the autocorrelation of the predictor; the normal equations are banded: Cholesky in `band`.
    """
    count, order = at.size, b.size - 1
    taps = np.empty(2 * order + 1)
    for lag in range(order + 1):
        taps[order + lag] = b[lag]
        taps[order - lag] = b[lag]
    taps[order] = 0.0
    length = at[count - 1] - at[0] + 1
    pulled = np.zeros(length)  # what all other samples pull each place towards
    low, high = max(0, at[0] - order), min(y.size, at[count - 1] + order + 1)
    for n in range(low, high):
        first = max(0, n - order - at[0])
        last = min(length, n + order + 1 - at[0])
        shift = order + at[0] - n
        for k in range(first, last):
            pulled[k] += taps[k + shift] * y[n]
    for i in range(count):
        value[i] = -pulled[at[i] - at[0]]
    for i in range(count):  # unknowns count as zero on the right-hand side
        j = i - 1
        while j >= 0 and at[i] - at[j] <= order:
            value[i] += b[at[i] - at[j]] * y[at[j]]
            value[j] += b[at[i] - at[j]] * y[at[i]]
            j -= 1
    for i in range(count):
        first = i
        while first > 0 and at[i] - at[first - 1] <= order:
            first -= 1
        for j in range(first, i + 1):
            total = b[at[i] - at[j]]
            k = j - 1
            while k >= first and at[j] - at[k] <= order:
                total -= band[i, i - k] * band[j, j - k]
                k -= 1
            if i == j:
                if total <= 1e-13 * b[0]:
                    return False
                band[i, 0] = np.sqrt(total)
            else:
                band[i, i - j] = total / band[j, 0]
    for i in range(count):
        total = value[i]
        k = i - 1
        while k >= 0 and at[i] - at[k] <= order:
            total -= band[i, i - k] * value[k]
            k -= 1
        value[i] = total / band[i, 0]
    for i in range(count - 1, -1, -1):
        total = value[i]
        k = i + 1
        while k < count and at[k] - at[i] <= order:
            total -= band[k, k - i] * value[k]
            k += 1
        value[i] = total / band[i, 0]
    return True


@compiled
def fill(
    y: Float64Array,
    flat: npt.NDArray[np.int64],
    least: Float64Array,
    sign: Float64Array,
    window: Float64Array,
    order: int,
    most_unknown: int,
    hop: int,
    rounds: int,
) -> None:
    """Replace the samples `flat` of `y` in place by their likeliest values of at least `least · sign`.

    Clusters whose samples are within the predictor's reach of each other are solved together; what falls
    short of its bound is put there and the rest is solved again.
    """
    a, b = np.empty(order + 1), np.empty(order + 1)
    band = np.zeros((most_unknown, order + 1))
    value = np.empty(most_unknown)
    known_from = -1
    usable = False
    solved = y.copy()
    first = 0
    while first < flat.size:
        last = first + 1
        while last < flat.size and flat[last] - flat[last - 1] <= order and last - first < most_unknown:
            last += 1
        middle = (flat[first] + flat[last - 1]) // 2
        place = middle // hop
        if place != known_from:
            usable = _predictor(y, window, place * hop + hop // 2 - window.size // 2, order, a)
            known_from = place
            if usable:
                for lag in range(order + 1):
                    total = 0.0
                    for k in range(order + 1 - lag):
                        total += a[k] * a[k + lag]
                    b[lag] = total
        if usable:
            at = flat[first:last].copy()
            bound, side = least[first:last].copy(), sign[first:last].copy()
            for _ in range(rounds):
                if at.size == 0 or not _solve(solved, at, b, band, value):
                    break
                short = np.zeros(at.size, np.bool_)
                for i in range(at.size):
                    short[i] = value[i] * side[i] < bound[i]
                    solved[at[i]] = side[i] * max(bound[i], value[i] * side[i])
                if not short.any():
                    break
                at, bound, side = at[~short], bound[~short], side[~short]
        first = last
    y[:] = solved
