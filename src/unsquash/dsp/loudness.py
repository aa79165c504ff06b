"""Loudness of a stream of any length, in constant time per block.

Loudness keeps one number per 100 ms (ten hours: 3 MB), because both gates depend on the whole recording.

```
block ──► K-weighting ──► energy per 100 ms hop ──┬─ 4 hops  = gating block ──► integrated (BS.1770)
          per channel     channels weighted       └─ 30 hops = short term   ──► range (EBU Tech 3342)
```

Channels are taken in the order of a WAV file: mono; L R; L R C; L R C S; L R C Ls Rs; L R C LFE Ls Rs;
L R C LFE S Ls Rs; L R C LFE Lb Rb Ls Rs. Surrounds weigh 1.41, the LFE nothing.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from unsquash.dsp.jit import contracted
from unsquash.errors import OptionError, UnsupportedAudioError
from unsquash.units import Float64Array, FloatArray

HOPS_PER_SECOND = 10
GATING_HOPS = 4
SHORT_TERM_HOPS = 30
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
RANGE_PERCENTILES = (10.0, 95.0)
LUFS_OFFSET = -0.691
MIN_RATE = 4_000  # the K-weighting's shelf at 1.5 kHz needs room

_State: TypeAlias = tuple[float, float, float, float]

_CHANNEL_WEIGHTS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, 1.0, 1.41),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    7: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41, 1.41, 1.41),
}


def channel_weights(channels: int) -> tuple[float, ...]:
    """Return the loudness weight of each channel, in the order of a WAV file.

    Example:
        >>> channel_weights(6)
        (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)
    """
    if channels not in _CHANNEL_WEIGHTS:
        raise UnsupportedAudioError(
            f"the loudness of {channels} channels is not defined", hint="use 1 to 8 channels"
        )
    return _CHANNEL_WEIGHTS[channels]


def k_weighting(sample_rate: int) -> Float64Array:
    """Return the two sections of the K-weighting filter at any rate.

    The standard tabulates 48 kHz only. Like pyloudnorm, this uses a high shelf of +4 dB at 1500 Hz
    (Q = 1/√2) and a high-pass at 38 Hz (Q = 1/2), which stays within 0.1 LU of the table.

    Shape:
        `(2, 5)`: b0, b1, b2, a1, a2 of the shelf and of the high-pass, a0 = 1.

    Source:
        ITU-R BS.1770-4, annex 1; R. Bristow-Johnson, Audio EQ Cookbook.
    """
    amplitude = 10.0 ** (4.0 / 40.0)
    omega = 2.0 * math.pi * 1500.0 / sample_rate
    cosine = math.cos(omega)
    slope = 2.0 * math.sqrt(amplitude) * math.sin(omega) / math.sqrt(2.0)
    up, down = amplitude + 1.0, amplitude - 1.0
    shelf = (
        amplitude * (up + down * cosine + slope),
        -2.0 * amplitude * (down + up * cosine),
        amplitude * (up + down * cosine - slope),
        up - down * cosine + slope,
        2.0 * (down - up * cosine),
        up - down * cosine - slope,
    )
    omega = 2.0 * math.pi * 38.0 / sample_rate
    cosine, alpha = math.cos(omega), math.sin(omega)
    high_pass = (
        (1.0 + cosine) / 2.0,
        -(1.0 + cosine),
        (1.0 + cosine) / 2.0,
        1.0 + alpha,
        -2.0 * cosine,
        1.0 - alpha,
    )
    return np.array(
        [[b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0] for b0, b1, b2, a0, a1, a2 in (shelf, high_pass)]
    )


@contracted
def _weighted(x: float, sections: Float64Array, state: _State) -> tuple[float, _State]:
    """Filter one sample (transposed direct form II); return the result and the state after it."""
    s1, s2, t1, t2 = state
    u = sections[0, 0] * x + s1
    s1 = sections[0, 1] * x + s2 - sections[0, 3] * u
    s2 = sections[0, 2] * x - sections[0, 4] * u
    v = sections[1, 0] * u + t1
    t1 = sections[1, 1] * u + t2 - sections[1, 3] * v
    t2 = sections[1, 2] * u - sections[1, 4] * v
    return v, (s1, s2, t1, t2)


@contracted
def _weighted_energies(
    first: Float64Array, second: Float64Array, sections: Float64Array, state: Float64Array
) -> tuple[float, float]:
    """Filter two channels, in place of `state`; return their sums of squares.

    A recursion waits for its own last result most of the time: two of them take as long as one.

    Shape:
        first, second: `(t,)`; state: `(2, 4)`.
    """
    of_first = (state[0, 0], state[0, 1], state[0, 2], state[0, 3])
    of_second = (state[1, 0], state[1, 1], state[1, 2], state[1, 3])
    energy_of_first = energy_of_second = 0.0
    for n in range(first.shape[0]):
        v, of_first = _weighted(first[n], sections, of_first)
        w, of_second = _weighted(second[n], sections, of_second)
        energy_of_first += v * v
        energy_of_second += w * w
    for channel, after in enumerate((of_first, of_second)):
        size = abs(after[0]) + abs(after[1]) + abs(after[2]) + abs(after[3])
        for k in range(4):  # a decayed tail must not become slow denormals
            state[channel, k] = after[k] if size >= 1e-60 else 0.0
    return energy_of_first, energy_of_second


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two channels, or one and itself with the weight 0, and the state of their filters, shape `(2, 4)`."""

    channels: tuple[int, int]
    weights: tuple[float, float]
    state: Float64Array = field(default_factory=lambda: np.zeros((2, 4)))

    def energy(self, x: Float64Array, sections: Float64Array) -> float:
        first, second = self.channels
        energies = _weighted_energies(x[first], x[second], sections, self.state)
        return self.weights[0] * energies[0] + self.weights[1] * energies[1]


def _pairs(weights: tuple[float, ...]) -> tuple[_Pair, ...]:
    """Pair the channels that count for loudness."""
    heard = [(channel, weight) for channel, weight in enumerate(weights) if weight > 0.0]
    if len(heard) % 2:
        heard.append((heard[-1][0], 0.0))
    return tuple(
        _Pair((first[0], second[0]), (first[1], second[1]))
        for first, second in zip(heard[::2], heard[1::2], strict=True)
    )


class LoudnessMeter:
    """Gated loudness of a stream.

    Source:
        ITU-R BS.1770-4 (integrated), EBU Tech 3342 (range, from 3 s windows every 100 ms).
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        if sample_rate < MIN_RATE:
            raise OptionError(
                f"loudness is not defined at {sample_rate} Hz", hint=f"use a rate of at least {MIN_RATE} Hz"
            )
        self.sample_rate = sample_rate
        self._pairs = _pairs(channel_weights(channels))
        self._sections = k_weighting(sample_rate)
        self._frames = 0
        self._hops = array("d")  # weighted energy of every complete hop
        self._open = 0.0  # of the hop that is still filling

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        x = np.ascontiguousarray(block, dtype=np.float64)
        done = 0
        while done < x.shape[1]:
            hop_end = (len(self._hops) + 1) * self.sample_rate // HOPS_PER_SECOND
            take = min(hop_end - self._frames, x.shape[1] - done)
            for pair in self._pairs:
                self._open += pair.energy(x[:, done : done + take], self._sections)
            self._frames += take
            done += take
            if self._frames == hop_end:
                self._hops.append(self._open)
                self._open = 0.0

    def _window_powers(self, hops: int, energies: Float64Array) -> Float64Array:
        """Return the mean power of every window of `hops` hops."""
        if energies.size < hops:
            return np.empty(0)
        sums = np.lib.stride_tricks.sliding_window_view(energies, hops).sum(axis=1)
        return np.asarray(sums * (HOPS_PER_SECOND / (hops * self.sample_rate)))

    def integrated_lufs(self) -> float | None:
        """Return the integrated loudness, or None for silence and for less than one 0.4 s block.

        A last block that lacks up to half a hop (50 ms) counts, as in pyloudnorm.
        """
        if self._frames * 10 < 4 * self.sample_rate:
            return None
        energies = np.array(self._hops)
        filled = self._frames * HOPS_PER_SECOND / self.sample_rate - energies.size
        if filled >= 0.5:
            energies = np.append(energies, self._open)
        powers = self._window_powers(GATING_HOPS, energies)
        loud = powers[powers >= _power(ABSOLUTE_GATE_LUFS)]
        if not loud.size:
            return None
        gated = loud[loud > np.mean(loud) * _ratio(RELATIVE_GATE_LU)]
        return _lufs(float(np.mean(gated)))

    def loudness_range_lu(self) -> float | None:
        """Return the loudness range, or None for silence and for less than one 3 s window."""
        powers = self._window_powers(SHORT_TERM_HOPS, np.array(self._hops))
        loud = powers[powers >= _power(ABSOLUTE_GATE_LUFS)]
        if not loud.size:
            return None
        gated = loud[loud >= np.mean(loud) * _ratio(RANGE_GATE_LU)]
        low, high = np.percentile(gated, RANGE_PERCENTILES, method="nearest")
        return float(10.0 * np.log10(high / low))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - LUFS_OFFSET) / 10.0))


def _lufs(power: float) -> float:
    return LUFS_OFFSET + 10.0 * math.log10(power)


def _ratio(level_lu: float) -> float:
    return float(10.0 ** (level_lu / 10.0))
