"""Settings searched for by what sounds like a compressor: the profile network and the noise, together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unsquash.analysis.population import Found, Kind, Population, Scorer
from unsquash.dsp.compressor import Link

FIRST_POPULATION = 192
FIRST_GENERATIONS, ROUGH_GENERATIONS, GENERATIONS = 8, 12, 4

HOPELESS = 15.0
"""Who is so far behind under the quick scorer is not looked at any closer."""


def search(
    few: Scorer, all_of_them: Scorer, peak_dbfs: float, rng: np.random.Generator, links: Sequence[Link]
) -> Found:
    """Let compressors with and without gain smoothing evolve, and weigh what they come to.

    Args:
        few: a quick scorer, which most generations see.
        all_of_them: the true one.
        peak_dbfs: of the recording.
        rng: draws the candidates.
        links: what their gain may have followed.
    """
    kinds = [Kind(smoothed=smoothed, link=link) for smoothed in (True, False) for link in links]
    populations = []
    for kind in kinds:
        first = Population.drawn(kind, peak_dbfs, few, FIRST_POPULATION, rng)
        populations.append(first.evolved(few, FIRST_GENERATIONS, rng))
    populations = [one.evolved(few, ROUGH_GENERATIONS, rng) for one in _with_hope(populations, 2.0)]
    last = [one.evolved(all_of_them, GENERATIONS, rng) for one in _with_hope(populations, 1.0)]
    found = [one.weighed(all_of_them, rng) for one in last]
    evidence = float(np.logaddexp.reduce([one.evidence for one in found]) - np.log(len(kinds)))
    return Found(evidence=evidence, params=max(found, key=lambda one: one.evidence).params)


def _with_hope(populations: Sequence[Population], patience: float) -> list[Population]:
    """Return those whose best is not too far behind the best of all."""
    ahead = max(one.best for one in populations)
    return [one for one in populations if one.best >= ahead - patience * HOPELESS]
