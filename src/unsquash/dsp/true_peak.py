"""The true peak of a stream: what lies between the samples, interpolated."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from unsquash.dsp.jit import compiled
from unsquash.errors import OptionError
from unsquash.units import FloatArray, linear_to_db

TRUE_PEAK_RATE = 192_000
TAPS = 32
KAISER_BETA = 9.0
PLACES = 256  # interpolated in one go
_MARGIN = 1.001  # for rounding, and for windowed phases that answer constants and lines a little


def _oversampling(sample_rate: int) -> int:
    """Return the factor that reaches 192 kHz, and at least 4 below 96 kHz."""
    return max(4 if sample_rate < TRUE_PEAK_RATE // 2 else 1, math.ceil(TRUE_PEAK_RATE / sample_rate))


@cache
def _phases(factor: int) -> FloatArray:
    """Return the Kaiser-windowed sinc that interpolates at 1/factor … (factor - 1)/factor of a sample.

    Shape:
        `(factor - 1, TAPS)`; tap k weighs the sample k - (TAPS / 2 - 1) after the earlier neighbour.
    """
    at = np.arange(1, factor)[:, None] / factor
    distance = at - (np.arange(TAPS) - (TAPS // 2 - 1))
    window = np.i0(KAISER_BETA * np.sqrt(1.0 - (2.0 * distance / TAPS) ** 2)) / np.i0(KAISER_BETA)
    return (np.sinc(distance) * window).astype(np.float32)


def _reach(phases: FloatArray) -> tuple[float, float]:
    """Return what bounds interpolated values: by the largest sample alone, and by how samples bend.

    Every phase is a line between the neighbours and a filter that answers neither constants nor lines, so it
    is a filter of the second differences. No interpolated value exceeds the first number times the largest
    sample, nor that sample plus the second number times the largest second difference.
    """
    factor = len(phases) + 1
    rest = phases.astype(np.float64)
    at = np.arange(1, factor) / factor
    rest[:, TAPS // 2 - 1] -= 1.0 - at
    rest[:, TAPS // 2] -= at
    of_bends = np.cumsum(np.cumsum(rest, axis=1), axis=1)[:, : TAPS - 2]
    most, most_of_bends = (float(np.abs(w).sum(axis=1).max(initial=0.0)) for w in (phases, of_bends))
    return _MARGIN * most, _MARGIN * most_of_bends


@compiled
def _magnitude(bits: npt.NDArray[np.int32]) -> np.int32:
    """Return the bits of the largest magnitude: without their signs floats are in the order of their bits.

    Unlike a maximum of floats, which must mind NaN, this vectorises.
    """
    largest = np.int32(0)
    for n in range(bits.shape[0]):
        largest = max(largest, bits[n] & np.int32(0x7FFFFFFF))
    return largest


@compiled
def _peak_between(x: FloatArray, phases: FloatArray, reach: float, bend_reach: float, known: float) -> float:
    """Return the largest magnitude of every phase at every place in `x` where all taps find samples.

    The loop over places is innermost and short enough to stay in the cache, so that it vectorises.

    Args:
        x: one channel.
        phases: as from `_phases`.
        reach: how many times the largest sample they can be at most, as from `_reach`.
        bend_reach: how many times the largest second difference they can be above it.
        known: a peak known already; places that cannot exceed it are passed over.

    Shape:
        x: `(t,)`, float32; phases: `(P, TAPS)`, float32; result: at least `known`.
    """
    places = x.shape[0] - TAPS + 1
    bits = x.view(np.int32)
    y = np.empty(PLACES + TAPS - 1, np.float32)
    y_bits = y.view(np.int32)
    found_bits = np.empty(2, np.int32)
    found = found_bits.view(np.float32)
    peak = known
    for start in range(0, places, PLACES):
        count = min(PLACES, places - start)
        near = x[start : start + count + TAPS - 1]
        found_bits[0] = _magnitude(bits[start : start + count + TAPS - 1])
        for n in range(near.shape[0] - 2):
            y[n] = (near[n] - near[n + 1]) + (near[n + 2] - near[n + 1])
        found_bits[1] = _magnitude(y_bits[: near.shape[0] - 2])
        if min(found[0] * reach, _MARGIN * found[0] + found[1] * bend_reach) <= peak:
            continue
        for phase in phases:
            y[:count] = 0.0
            for k in range(TAPS):
                weight = phase[k]
                part = near[k : k + count]
                for n in range(count):
                    y[n] += weight * part[n]
            found_bits[0] = _magnitude(y_bits[:count])
            peak = max(peak, float(found[0]))
    return peak


class TruePeakMeter:
    """Peak between the samples, found by interpolation to at least 192 kHz.

    The signal is taken as silent before it begins and after it ends. The samples themselves count, so
    the true peak is never below the sample peak.

    Source:
        ITU-R BS.1770-4, annex 2, with a 32-tap Kaiser-windowed sinc per phase instead of its 12 taps.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        if sample_rate < 1:
            raise OptionError(f"a sample rate of {sample_rate} Hz is impossible")
        self._phases = _phases(_oversampling(sample_rate))
        self._reach = _reach(self._phases)
        self._peak = 0.0
        self._recent: FloatArray = np.zeros((channels, TAPS - 1), np.float32)

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        if block.shape[1]:
            self._peak = max(self._peak, float(block.max()), -float(block.min()))
            samples = np.empty((block.shape[0], TAPS - 1 + block.shape[1]), np.float32)
            samples[:, : TAPS - 1] = self._recent
            samples[:, TAPS - 1 :] = block
            self._peak = self._peak_with(samples)
            self._recent = samples[:, 1 - TAPS :].copy()

    def _peak_with(self, samples: FloatArray) -> float:
        """Return the peak so far, or between these samples if that is larger."""
        peak = self._peak
        for channel in samples:
            peak = _peak_between(channel, self._phases, *self._reach, peak)
        return peak

    def true_peak_dbtp(self) -> float | None:
        """Return the true peak so far, as if the stream ended here, or None for silence."""
        return linear_to_db(self._peak_with(np.pad(self._recent, ((0, 0), (0, TAPS - 1)))))
