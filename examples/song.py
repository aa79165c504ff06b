"""Synthesise a short piece with drums, bass, chords and a plucked melody: `python examples/song.py song.wav`.

Nothing is sampled or downloaded; the same seed gives the same samples. The piece has a quiet and a loud half
and real transients (peak to loudness ratio about 18 dB), so that there is something for a limiter to squash.
"""

from __future__ import annotations

import sys

import numpy as np
import soundfile
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE = 44100
BEAT_S = 0.55
CHORDS_HZ = (
    (110.0, 220.0, 261.6, 329.6),
    (87.3, 174.6, 220.0, 261.6),
    (130.8, 196.0, 261.6, 329.6),
    (98.0, 196.0, 246.9, 293.7),
)
MELODY = (0, 2, 3, 2, 1, 3, 2, 3, 0, 3, 2, 1, 3, 2, 1, 2)


def song(bars: int = 6, seed: int = 0) -> np.ndarray:
    """Return the piece, peak at -1 dBFS.

    Shape:
        `(2, T)`, T = 4 * bars * BEAT_S * SAMPLE_RATE plus one second of tail, float64.
    """
    rng = np.random.default_rng(seed)
    beat = int(BEAT_S * SAMPLE_RATE)
    mix = np.zeros((2, 4 * bars * beat + SAMPLE_RATE))
    kick, snare, hat = _kick(), _snare(rng), _hat(rng)
    for bar in range(bars):
        chord = CHORDS_HZ[bar % len(CHORDS_HZ)]
        loud = bar >= bars // 2
        start = 4 * bar * beat
        _add(mix, _pad(chord, 4 * BEAT_S) * (0.16 if loud else 0.09), start, 0.0)
        for step in range(8):
            at = start + step * beat // 2
            velocity = 0.6 + 0.4 * rng.random()
            _add(
                mix,
                _bass(chord[0] / 2 * (2 if step in (3, 6) else 1)) * (0.3 if loud else 0.2) * velocity,
                at,
                0.0,
            )
            note = chord[MELODY[(8 * bar + step) % len(MELODY)]] * 2
            _add(mix, _pluck(note, rng) * 0.22 * velocity, at, 0.5 * (-1) ** step)
            if loud or step % 2:
                _add(mix, hat * 0.12 * velocity, at, 0.3)
        for step, drum, level in (
            (0, kick, 0.9),
            (2, snare, 0.7),
            (4, kick, 0.8),
            (5, kick, 0.5),
            (6, snare, 0.75),
        ):
            if loud or step in (0, 6):
                _add(mix, drum * level * (0.85 + 0.15 * rng.random()), start + step * beat // 2, 0.0)
    return mix * (10 ** (-1 / 20) / np.abs(mix).max())


def _add(mix: np.ndarray, sound: np.ndarray, at: int, pan: float) -> None:
    n = min(len(sound), mix.shape[1] - at)
    angle = (pan + 1.0) * np.pi / 4.0
    mix[0, at : at + n] += sound[:n] * np.cos(angle)
    mix[1, at : at + n] += sound[:n] * np.sin(angle)


def _time(length_s: float) -> np.ndarray:
    return np.arange(int(length_s * SAMPLE_RATE)) / SAMPLE_RATE


def _kick() -> np.ndarray:
    t = _time(0.35)
    phase = 2 * np.pi * np.cumsum(48 + 160 * np.exp(-t / 0.02)) / SAMPLE_RATE
    return np.sin(phase) * np.exp(-t / 0.09) + 0.4 * np.exp(-t / 0.002) * np.sin(2 * np.pi * 2500 * t)


def _snare(rng: np.random.Generator) -> np.ndarray:
    t = _time(0.3)
    rattle = sosfilt(butter(2, 1500, "high", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(len(t)))
    return 0.5 * rattle * np.exp(-t / 0.06) + 0.7 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.05)


def _hat(rng: np.random.Generator) -> np.ndarray:
    t = _time(0.1)
    return sosfilt(
        butter(4, 7000, "high", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(len(t))
    ) * np.exp(-t / 0.02)


def _bass(frequency_hz: float) -> np.ndarray:
    t = _time(BEAT_S / 2)
    wave = sum(np.sin(2 * np.pi * k * frequency_hz * t) / k for k in range(1, 8))
    return wave * np.minimum(1, t / 0.005) * np.exp(-t / 0.25)


def _pad(chord_hz: tuple[float, ...], length_s: float) -> np.ndarray:
    t = _time(length_s)
    wave = sum(
        np.sin(2 * np.pi * k * f * d * t) / k**1.5
        for f in chord_hz
        for d in (0.997, 1.003)
        for k in range(1, 5)
    )
    return wave / 4 * np.minimum(1, t / 0.08) * np.minimum(1, (length_s - t) / 0.1)


def _pluck(frequency_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Karplus-Strong string."""
    period = round(SAMPLE_RATE / frequency_hz)
    burst = np.zeros(int(0.9 * SAMPLE_RATE))
    burst[:period] = rng.uniform(-1, 1, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.497, -0.497
    return lfilter([1.0], loop, burst)


if __name__ == "__main__":
    soundfile.write(sys.argv[1], song().T, SAMPLE_RATE, "PCM_24")
