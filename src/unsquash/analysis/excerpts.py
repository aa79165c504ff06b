"""A few seconds here and there: what is known of a recording's compressor is known from excerpts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unsquash.analysis.candidates import CURVE_RATE, LEAD_S, followed_levels
from unsquash.audio import AudioSource
from unsquash.nets.gain import QUANTUM_SAMPLES
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.nets.timebase import Timebase
from unsquash.units import Float64Array, FloatArray

EXCERPTS = 6
SHORTEST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Five seconds of a recording.

    Shape:
        samples: `(C, EXCERPT_SAMPLES)` at the network's rate, full scale 1; lead: `(len(LINKS) + C, m)`.
    """

    samples: Float64Array
    lead: FloatArray
    """The levels of what came before, up to `LEAD_S`, as from `followed_levels`; nothing at the beginning."""

    rounding_power: float = 0.0
    """Variance of the error that was made when the samples were last rounded; 0 if they were not."""

    @property
    def lead_s(self) -> float:
        """How much is known of what came before."""
        return float(self.lead.shape[1] / CURVE_RATE)

    @property
    def is_first(self) -> bool:
        """Whether it is the recording's beginning, where a compressor may have been at rest."""
        return self.lead.size == 0


def read_excerpts(source: AudioSource, timebase: Timebase) -> list[Excerpt]:
    """Read up to `EXCERPTS` excerpts spread evenly over a recording, the first at its beginning.

    What is silent is left out; a recording shorter than `SHORTEST_S` has none.
    """
    info, quantum = source.info, timebase.quantum_samples
    length = min(EXCERPT_SAMPLES // QUANTUM_SAMPLES, info.frames // quantum) * quantum
    if length < SHORTEST_S * info.sample_rate:
        return []
    count = max(1, min(EXCERPTS, info.frames // length))
    lead_quanta = int(LEAD_S * CURVE_RATE) // QUANTUM_SAMPLES
    excerpts = []
    for start in np.linspace(0, info.frames - length, count).astype(int):
        led = min(int(start) // quantum, lead_quanta) * quantum
        read = source.read(int(start) - led, int(start) + length)
        heard = timebase.to_net(read).astype(np.float64)
        before, samples = np.split(heard, [led // quantum * QUANTUM_SAMPLES], axis=1)
        if np.abs(samples).max() > 0.0:
            power = rounding_power(read) * min(1.0, CURVE_RATE / info.sample_rate)
            lead = followed_levels(before).astype(np.float32)
            excerpts.append(Excerpt(samples=samples.copy(), lead=lead, rounding_power=power))
    return excerpts


def rounding_power(samples: FloatArray) -> float:
    """Return the variance of the error made when samples were rounded to 16 or 24 bits; 0 if they were not.

    Shape:
        samples: `(C, T)`, full scale 1.
    """
    for bits in (16, 24):
        steps = np.multiply(samples, 2.0 ** (bits - 1), dtype=np.float64)
        if np.array_equal(steps, np.round(steps)):
            return float(4.0 ** (1 - bits) / 12.0)
    return 0.0
