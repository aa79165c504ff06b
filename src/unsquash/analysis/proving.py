"""Settings searched for by the noise alone, which knows them best where it knows anything.

The noise is asked for its proof of any compressor: with a peak or an RMS detector, with or without gain
smoothing, with one gain for all channels, by their maximum or mean, or one for each. A few draws tell whether
it has anything to say; if not, that costs little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unsquash.analysis.noise import PROOF
from unsquash.analysis.population import Found, Kind, Population, Scorer
from unsquash.dsp.compressor import Detector, Link

WAYS: tuple[tuple[bool, Detector], ...] = ((True, "rms"), (False, "rms"), (False, "peak"))
"""With gain smoothing or without, by which detector."""

FIRST_POPULATION = 64
PROMISE = 0.7
"""Where the noise says less than this for the best of all first populations, it has nothing to say: of
untouched recordings less than 0.3, of others in which it proves something in the end 2.9 and more."""

OUTDONE = (0.15, 0.3)
"""Where the best, of the first and having evolved a little, comes to less than this share of what the noise
says for another estimate of the gain, none will overtake it. Compressors came to 0.27 and more, then to 0.5,
limiters to 0.17 and 0.3 in the middle."""

ROUGH = ((8, 9), (10, 4))
LAST_GENERATIONS, LAST = 8, 3
"""Generations, and how many kinds live to see them."""


def prove(
    some_noise: Scorer,
    noise: Scorer,
    noise_finely: Scorer,
    all_of_them: Scorer,
    peak_dbfs: float,
    rng: np.random.Generator,
    links: Sequence[Link],
    *,
    heard: float = 0.0,
) -> Found | None:
    """Let compressors of all kinds evolve by what the noise says; None where that proves none of them.

    Args:
        some_noise: what the noise of about half of the excerpts says.
        noise: that of all of them.
        noise_finely: the same with gains computed sample by sample, which the last step asks.
        all_of_them: everything that is known, which decides between those kinds that come out best.
        peak_dbfs: of the recording.
        rng: draws the candidates.
        links: what their gain may have followed.
        heard: what the noise of all excerpts says for another estimate of the gain.
    """
    kinds = [
        Kind(smoothed=smoothed, link=link, detector=detector) for link in links for smoothed, detector in WAYS
    ]
    living = [Population.drawn(kind, peak_dbfs, some_noise, FIRST_POPULATION, rng) for kind in kinds]
    if max(one.best for one in living) < max(PROMISE, OUTDONE[0] * heard):
        return None
    for generations, count in ROUGH:
        living = [one.evolved(some_noise, generations, rng) for one in _best_of(living, count)]
        if max(one.best for one in living) < OUTDONE[1] * heard:
            return None
    living = [one.scored(noise).evolved(noise, LAST_GENERATIONS, rng) for one in _best_of(living, LAST)]
    if max(one.best for one in living) < PROOF:
        return None
    weighed = [one.scored(all_of_them).weighed(all_of_them, rng).evidence for one in living]
    params = living[int(np.argmax(weighed))].creeping(noise_finely, rng)
    return Found(evidence=float(np.logaddexp.reduce(weighed) - np.log(len(kinds))), params=params)


def _best_of(populations: Sequence[Population], count: int) -> list[Population]:
    """Return the best one of each link, then the best of the others, so many in all."""
    ahead = sorted(populations, key=lambda one: -one.best)
    first = {one.kind.link: one for one in reversed(ahead)}.values()
    return sorted(ahead, key=lambda one: one not in first)[:count]
