"""Sounds that nobody played: test tones, beeps, clicks, sweeps, noise, machines that repeat a sound exactly.

They are as they were made, and yet all that music seldom is: every peak at the very same level, silence
without noise, decays without end. Whoever learned from music alone takes them for squashed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.signal

from unsquash.training.corpus import SAMPLE_RATE
from unsquash.units import Float64Array

_SHORTEST_S, _LONGEST_S = 0.004, 2.0


class Synthesizer:
    """Draws originals that are no music, as `Mixer` draws music."""

    def draw(self, length: int, rng: np.random.Generator) -> Float64Array:
        """Draw an original with a peak of ±1.

        Shape:
            result: `(2, length)`.
        """
        way = rng.random()
        if way < 0.2:
            mono = _tone(length, rng) * _modulation(length, rng)
        elif way < 0.75:
            mono = _sequence(length, rng)
        elif way < 0.85:
            mono = _sweep(length, rng)
        else:
            mono = _noise(length, rng) * _modulation(length, rng)
        if rng.random() < 0.3:
            floor = 10.0 ** (rng.uniform(-90.0, -30.0) / 20.0)
            mono = mono + floor * np.abs(mono).max() * _noise(length, rng)
        pan = np.array([1.0, 1.0 if rng.random() < 0.7 else rng.uniform(-1.0, 1.0)])
        signal = pan[:, None] * mono
        return np.ascontiguousarray(signal / max(float(np.abs(signal).max()), 1e-12))


def _tone(length: int, rng: np.random.Generator) -> Float64Array:
    """Sound one to four steady notes of one waveform."""
    seconds = np.arange(length) / SAMPLE_RATE
    kind = int(rng.integers(4))
    tone = np.zeros(length)
    for _ in range(int(rng.integers(1, 5))):
        phase = 2.0 * np.pi * (10.0 ** rng.uniform(1.6, 3.6) * seconds + rng.random())
        tone += (np.sin, scipy.signal.square, scipy.signal.sawtooth, _triangle)[kind](phase)
    return tone


def _triangle(phase: Float64Array) -> Float64Array:
    return np.asarray(scipy.signal.sawtooth(phase, 0.5))


def _modulation(length: int, rng: np.random.Generator) -> Float64Array:
    """Leave alone, let waver, switch on and off, or let die away."""
    seconds = np.arange(length) / SAMPLE_RATE
    way = int(rng.integers(4))
    if way == 1:
        rate_hz = 10.0 ** rng.uniform(-1.0, 1.3)
        return np.asarray(1.0 + rng.uniform(0.1, 1.0) * np.sin(2.0 * np.pi * rate_hz * seconds))
    if way == 2:
        period_s = 10.0 ** rng.uniform(-1.0, 0.5)
        return np.asarray((seconds % period_s < rng.uniform(0.1, 0.9) * period_s).astype(np.float64))
    if way == 3:
        return np.asarray(np.exp(-seconds / rng.uniform(1.0, 8.0)))
    return np.ones(length)


def _sweep(length: int, rng: np.random.Generator) -> Float64Array:
    low_hz, high_hz = 10.0 ** rng.uniform(1.3, 2.5), 10.0 ** rng.uniform(3.0, 4.3)
    seconds = np.arange(length) / SAMPLE_RATE
    period_s = length / SAMPLE_RATE / int(rng.integers(1, 6))
    method: Literal["linear", "logarithmic"] = "linear" if rng.random() < 0.5 else "logarithmic"
    sweep = np.asarray(scipy.signal.chirp(seconds % period_s, low_hz, period_s, high_hz, method), np.float64)
    return sweep[:: int(rng.choice([1, -1]))]


def _noise(length: int, rng: np.random.Generator) -> Float64Array:
    """Make noise, flat or falling with frequency, of a normal or a uniform distribution."""
    noise = rng.standard_normal(length) if rng.random() < 0.8 else rng.uniform(-1.0, 1.0, length)
    if rng.random() < 0.5:
        noise = scipy.signal.lfilter([1.0], [1.0, -rng.uniform(0.5, 0.999)], noise)
    return np.asarray(noise / np.abs(noise).max())


def _sequence(length: int, rng: np.random.Generator) -> Float64Array:
    """Repeat one to four sounds exactly, on a beat or at any time, all as loud or not."""
    mixture = np.zeros(length)
    beat_s = 10.0 ** rng.uniform(-1.0, 0.3)
    for _ in range(int(rng.choice([1, 1, 2, 3, 4]))):
        struck = np.zeros(length)
        every = max(1, round(beat_s * float(rng.choice([0.5, 1.0, 1.0, 2.0, 4.0])) * SAMPLE_RATE))
        times = np.arange(int(rng.integers(every)), length, every)
        if rng.random() < 0.3:
            times = rng.integers(0, length, len(times))
        alike = rng.random() < 0.6
        struck[times] = 1.0 if alike else 10.0 ** (rng.uniform(-24.0, 0.0, len(times)) / 20.0)
        sounded = scipy.signal.oaconvolve(struck, _sound(rng))[:length]
        mixture += 10.0 ** (rng.uniform(-15.0, 0.0) / 20.0) * sounded
    return mixture


def _sound(rng: np.random.Generator) -> Float64Array:
    """Make a click, a beep, a pluck, a bell, a drum or a burst of noise, with a peak of about 1."""
    duration_s = float(np.exp(rng.uniform(np.log(_SHORTEST_S), np.log(_LONGEST_S))))
    seconds = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    pitch_hz = 10.0 ** rng.uniform(1.7, 3.5)
    phase = 2.0 * np.pi * pitch_hz * seconds
    fading = np.exp(-seconds / (duration_s * rng.uniform(0.05, 0.4)))
    way = int(rng.integers(6))
    if way == 0:
        sound = np.ones(int(rng.integers(1, 40)))
    elif way == 1:
        other = rng.uniform(1.0, 2.0) if rng.random() < 0.4 else 1.0
        ramp = np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / rng.choice([1e-5, 2e-3, 0.02]))
        sound = (np.sin(phase) + np.sin(other * phase)) * ramp
    elif way == 2:
        partials = range(1, int(rng.integers(2, 12)))
        sound = sum((np.sin(k * phase) / k * fading ** (k**0.7) for k in partials), np.zeros_like(seconds))
    elif way == 3:
        modulator = rng.uniform(0.5, 8.0) * fading * np.sin(rng.uniform(0.3, 4.0) * phase)
        sound = np.sin(phase + modulator) * fading
    elif way == 4:
        sound = np.sin(phase * (1.0 + rng.uniform(0.0, 4.0) * fading**4)) * fading
    else:
        sound = rng.standard_normal(len(seconds)) * fading
    return np.asarray(sound / max(float(np.abs(sound).max()), 1e-12))
