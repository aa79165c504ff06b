"""The true peak of a stream: what lies between the samples, interpolated."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from unsquash.dsp.jit import compiled
from unsquash.errors import OptionError
from unsquash.units import FloatArray, linear_to_db

TRUE_PEAK_RATE = 192_000
TAPS = 32
KAISER_BETA = 9.0
PLACES = 256  # interpolated in one go


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


@compiled
def _peak_between(x: FloatArray, phases: FloatArray, reach: float, known: float) -> float:
    """Return the largest magnitude of every phase at every place in `x` where all taps find samples.

    The loop over places is innermost and short enough to stay in the cache, so that it vectorises.

    Args:
        x: one channel.
        phases: as from `_phases`.
        reach: how many times the largest sample they can return at most.
        known: a peak known already; places that cannot exceed it are passed over and count nothing.
    """
    peak = np.float32(0.0)
    places = x.shape[0] - TAPS + 1
    y = np.empty(PLACES, np.float32)
    for start in range(0, places, PLACES):
        count = min(PLACES, places - start)
        largest = np.float32(0.0)
        for n in range(start, start + count + TAPS - 1):
            largest = max(largest, abs(x[n]))
        if largest * reach <= max(known, float(peak)):
            continue
        for phase in phases:
            y[:] = 0.0
            for k in range(TAPS):
                weight = phase[k]
                part = x[start + k : start + k + count]
                for n in range(count):
                    y[n] += weight * part[n]
            for n in range(count):
                peak = max(peak, abs(y[n]))
    return float(peak)


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
        self._reach = 1.0001 * float(np.abs(self._phases).sum(axis=1).max(initial=0.0))
        self._peak = 0.0
        self._recent: FloatArray = np.zeros((channels, TAPS - 1), np.float32)

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        if block.shape[1]:
            self._peak = max(self._peak, float(block.max()), -float(block.min()))
            samples = np.concatenate((self._recent, block.astype(np.float32)), axis=1)
            self._peak = self._peak_with(samples)
            self._recent = samples[:, 1 - TAPS :].copy()

    def _peak_with(self, samples: FloatArray) -> float:
        """Return the peak so far, or between these samples if that is larger."""
        peak = self._peak
        for channel in samples:
            peak = max(peak, _peak_between(channel, self._phases, self._reach, peak))
        return peak

    def true_peak_dbtp(self) -> float | None:
        """Return the true peak so far, as if the stream ended here, or None for silence."""
        return linear_to_db(self._peak_with(np.pad(self._recent, ((0, 0), (0, TAPS - 1)))))
