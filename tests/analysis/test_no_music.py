"""What is neither music nor speech, and was never squashed, is left alone by the shipped networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal

import unsquash
from unsquash.units import Float64Array

RATE = 44_100
TIME_S = np.arange(20 * RATE) / RATE


def repeated(sound: Float64Array, times_s: list[float]) -> Float64Array:
    struck = np.zeros(len(TIME_S))
    struck[[round(time_s * RATE) for time_s in times_s]] = 1.0
    return np.asarray(scipy.signal.oaconvolve(struck, sound)[: len(TIME_S)])


def pluck(pitch_hz: float, decay_s: float) -> Float64Array:
    seconds = np.arange(RATE) / RATE
    fading = np.exp(-seconds / decay_s)
    return np.asarray(sum(np.sin(2 * np.pi * pitch_hz * k * seconds) / k * fading**k for k in (1, 2, 3)))


def bells() -> Float64Array:
    fading = np.exp(-3.0 * (TIME_S % 1.0))
    return np.asarray(np.sin(600 * np.pi * TIME_S + 5 * fading * np.sin(300 * np.pi * TIME_S)) * fading)


SOUNDS: dict[str, Callable[[], Float64Array]] = {
    "tone": lambda: np.sin(2 * np.pi * 440 * TIME_S),
    "beeps": lambda: np.sin(2 * np.pi * 800 * TIME_S) * (TIME_S % 1.0 < 0.3),
    "dialling": lambda: (
        (np.sin(1394 * np.pi * TIME_S) + np.sin(2418 * np.pi * TIME_S)) * (TIME_S % 0.2 < 0.1)
    ),
    "sweep": lambda: scipy.signal.chirp(TIME_S, 20, 20, 20_000, "logarithmic"),
    "metronome": lambda: repeated(pluck(1000, 0.01), list(np.arange(0, 19, 0.5))),
    "plucks": lambda: repeated(pluck(880, 0.2), [2.0, 7.0, 13.3]),
    "bells": bells,
    "noise": lambda: np.random.default_rng(0).standard_normal(len(TIME_S)),
    "triangle": lambda: scipy.signal.sawtooth(2 * np.pi * 220 * TIME_S, 0.5),
    "organ": lambda: np.asarray(sum(np.sin(220 * np.pi * k * TIME_S) / k for k in range(1, 20))),
    "bursts": lambda: np.random.default_rng(0).standard_normal(len(TIME_S)) * (TIME_S % 2.0 < 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "length_s"), [*((name, 20) for name in SOUNDS), ("triangle", 4), ("organ", 4), ("tone", 4)]
)
def test_it_is_left_alone(name: str, length_s: int) -> None:
    sound = SOUNDS[name]()[: length_s * RATE]
    samples = np.stack([sound, sound]) * (0.9 / np.abs(sound).max())
    restored = unsquash.restore(samples, RATE)
    assert restored.plan.method == "none"
    assert "tones, clicks or noise" in restored.plan.reasons[0]
    assert np.array_equal(restored.samples, samples)
