"""The input of the recorded fixtures; also used by their recorder, so it needs numpy only."""

from __future__ import annotations

import numpy as np


def clipped_beat(*, seed: int, samples: int) -> np.ndarray:
    """Decaying hits over a chord, driven 12 dB into a hard clip: `(2, T)` float32 at 44.1 kHz."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / 44100
    beat = np.exp(-8.0 * (time % 0.25)) * (0.6 * random.standard_normal((2, samples)) + np.sin(700.0 * time))
    chord = sum(
        np.sin(2.0 * np.pi * note * time + random.random((2, 1)) * 6.0) for note in (110, 165, 277, 440)
    )
    return np.clip(4.0 * (0.4 * beat + 0.08 * chord), -0.95, 0.95).astype(np.float32)
