"""Settings searched for: a population that narrows, and what it knows in the end.

Source:
    Rubinstein & Kroese, The Cross-Entropy Method, 2004.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.space import LOWEST, compressor_at
from unsquash.dsp.compressor import RANGES, CompressorParams
from unsquash.units import Float64Array

FIRST_POPULATION, POPULATION, ELITE = 192, 64, 14
ROUGH_ROUNDS, ROUNDS = 3, 5
LEAST_SPREAD = 0.02

Scorer = Callable[[Sequence[CompressorParams]], Float64Array]
"""Candidates to logarithms of their likelihoods, up to a constant; shape `(K,)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The compressor that a search found, and the evidence for it."""

    evidence: float
    params: CompressorParams


def search(
    few: Scorer,
    all_of_them: Scorer,
    peak_dbfs: float,
    rng: np.random.Generator,
    *,
    least: float,
    rough_rounds: int = ROUGH_ROUNDS,
    rounds: int = ROUNDS,
) -> Found | None:
    """Narrow a population, with and without gain smoothing, and weigh the last one.

    Args:
        few: a quick scorer, for the first rounds.
        all_of_them: the true one.
        peak_dbfs: of the recording.
        rng: draws the candidates.
        rough_rounds: how often the population narrows under the quick scorer.
        rounds: how often in all.
        least: score below which the first population shows that there is nothing to be found.
    """
    found = [
        _narrow(few, all_of_them, peak_dbfs, rng, least, rough_rounds, rounds, smoothed=smoothed)
        for smoothed in (True, False)
    ]
    branches = [branch for branch in found if branch is not None]
    if not branches:
        return None
    evidence = float(np.logaddexp.reduce([branch.evidence for branch in branches]) - np.log(len(found)))
    best = max(branches, key=lambda branch: branch.evidence)
    return dataclasses.replace(best, evidence=evidence)


def _narrow(
    few: Scorer,
    all_of_them: Scorer,
    peak_dbfs: float,
    rng: np.random.Generator,
    least: float,
    rough_rounds: int,
    rounds: int,
    *,
    smoothed: bool,
) -> Found | None:
    def settings(places: Float64Array) -> list[CompressorParams]:
        return [shifted(compressor_at(place, smoothed=smoothed), peak_dbfs) for place in places]

    places = rng.random((FIRST_POPULATION, LOWEST.size))
    scores = few(settings(places))
    if scores.max() < least:
        return None
    centre, spread = places.mean(axis=0), places.std(axis=0)
    for turn in range(rounds):
        elite = places[np.argsort(-scores)[:ELITE]]
        centre, spread = elite.mean(axis=0), np.maximum(1.2 * elite.std(axis=0), LEAST_SPREAD)
        places = centre + spread * rng.standard_normal((POPULATION, LOWEST.size))
        places = np.clip(places, 0.0, 1.0)
        scores = (few if turn < rough_rounds else all_of_them)(settings(places))
    log_density = (
        -0.5 * np.square((places - centre) / spread).sum(axis=1) - np.log(spread * np.sqrt(2.0 * np.pi)).sum()
    )
    log_weights = scores - log_density
    weights = softmax(log_weights)
    middle = weights @ places
    return Found(
        evidence=float(np.logaddexp.reduce(log_weights) - np.log(len(places))),
        params=settings(middle[None])[0],
    )


def shifted(params: CompressorParams, offset_db: float) -> CompressorParams:
    """Return the compressor for a recording whose level was changed by so much, as far as thresholds go."""
    threshold_db = max(RANGES["threshold_db"][0], min(0.0, params.threshold_db + offset_db))
    return dataclasses.replace(params, threshold_db=threshold_db)


def softmax(logarithms: Float64Array) -> Float64Array:
    """Return weights of sum 1 from their logarithms."""
    powers = np.exp(logarithms - logarithms.max())
    return np.asarray(powers / powers.sum())
