"""Compressors of one kind that evolve under a scorer, and what they know in the end.

Source:
    Storn & Price, Differential evolution, Journal of Global Optimization 1997.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unsquash.analysis.space import LOWEST, compressor_at
from unsquash.dsp.compressor import RANGES, CompressorParams, Detector, Link
from unsquash.units import Float64Array

SIZE = 32
SETTLED = 1.0
"""A population whose scores differ no more than this, as a standard deviation, need not evolve further."""

MUTATION, RECOMBINATION = (0.4, 0.9), 0.8

WEIGHED = 48
WIDER, LEAST_SPREAD = 1.3, 0.004

CREEPING, TRIED, ROUNDS = 16, 24, 10
FIRST_STEP, SHRINKING, LEAST_STEP = 0.7, 0.8, 0.001
"""How the top of a scorer is looked for more closely: so many places, and new ones about their better half in
steps of so much of their spread."""

Scorer = Callable[[Sequence[CompressorParams]], Float64Array]
"""Candidates to logarithms of their likelihoods, up to a constant; shape `(K,)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the six coordinates of a compressor leave open."""

    smoothed: bool
    link: Link
    detector: Detector = "rms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The compressor that a search found, and the evidence for it."""

    evidence: float
    params: CompressorParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Compressors of one kind.

    Shape:
        places: `(n, 6)`; scores: `(n,)`.
    """

    kind: Kind
    peak_dbfs: float
    places: Float64Array
    scores: Float64Array

    @property
    def best(self) -> float:
        """The best score."""
        return float(self.scores.max())

    @classmethod
    def drawn(
        cls, kind: Kind, peak_dbfs: float, scorer: Scorer, count: int, rng: np.random.Generator
    ) -> Population:
        """Draw compressors for a recording with this peak."""
        places = rng.random((count, LOWEST.size))
        return cls(kind=kind, peak_dbfs=peak_dbfs, places=places, scores=np.zeros(count)).scored(scorer)

    def settings(self, places: Float64Array) -> list[CompressorParams]:
        """Return the compressors at these places."""
        kind = self.kind
        of_full_scale = (compressor_at(place, smoothed=kind.smoothed) for place in places)
        moved = (shifted(one, self.peak_dbfs) for one in of_full_scale)
        return [dataclasses.replace(one, link=kind.link, detector=kind.detector) for one in moved]

    def scored(self, scorer: Scorer) -> Population:
        """Score all of them anew."""
        return dataclasses.replace(self, scores=scorer(self.settings(self.places)))

    def evolved(self, scorer: Scorer, generations: int, rng: np.random.Generator) -> Population:
        """Let the best of them evolve until they are settled, or for so many generations."""
        from scipy.optimize import Bounds, differential_evolution  # takes most of a second

        def loss(columns: Float64Array, /) -> Any:  # an array, as `vectorized` wants it
            return np.asarray(-scorer(self.settings(columns.T)))

        result = differential_evolution(
            loss,
            Bounds(np.zeros(LOWEST.size), np.ones(LOWEST.size)),
            init=self.places[np.argsort(-self.scores, kind="stable")[:SIZE]],
            maxiter=generations,
            mutation=MUTATION,
            recombination=RECOMBINATION,
            tol=0.0,
            atol=SETTLED,
            polish=False,
            vectorized=True,
            updating="deferred",
            seed=rng,
        )
        return dataclasses.replace(self, places=result.population, scores=-result.population_energies)

    def weighed(self, scorer: Scorer, rng: np.random.Generator) -> Found:
        """Draw compressors around the better half, and weigh them."""
        elite = self.places[np.argsort(-self.scores, kind="stable")[: len(self.places) // 2]]
        centre = elite.mean(axis=0)
        spread = np.linalg.cholesky(WIDER**2 * np.cov(elite.T) + LEAST_SPREAD**2 * np.eye(len(centre)))
        standard = rng.standard_normal((WEIGHED, len(centre)))
        places = np.clip(centre + standard @ spread.T, 0.0, 1.0)
        scores = scorer(self.settings(places))
        log_density = -0.5 * np.square(standard).sum(axis=1)
        log_density -= np.log(np.sqrt(2.0 * np.pi) * np.diag(spread)).sum()
        log_weights = scores - log_density
        middle = softmax(log_weights) @ places
        candidates = [middle, self.places[self.scores.argmax()]]
        settings = self.settings(np.array(candidates))
        best = int(np.argmax(scorer(settings)))
        evidence = float(np.logaddexp.reduce(log_weights) - np.log(WEIGHED))
        return Found(evidence=evidence, params=settings[best])

    def creeping(self, scorer: Scorer, rng: np.random.Generator) -> CompressorParams:
        """Climb to the top of a scorer, from the best of the population on, in smaller and smaller steps."""
        places = self.places[np.argsort(-self.scores, kind="stable")[:CREEPING]]
        scores = scorer(self.settings(places))
        for step in FIRST_STEP * SHRINKING ** np.arange(ROUNDS):
            best = places[np.argsort(-scores, kind="stable")[: CREEPING // 2]]
            spread = np.linalg.cholesky(np.cov(places.T) + LEAST_STEP**2 * np.eye(LOWEST.size))
            moves = step * rng.standard_normal((TRIED, LOWEST.size)) @ spread.T
            tried = np.clip(best[rng.integers(len(best), size=TRIED)] + moves, 0.0, 1.0)
            places = np.concatenate([places, tried])
            scores = np.concatenate([scores, scorer(self.settings(tried))])
            kept = np.argsort(-scores, kind="stable")[:CREEPING]
            places, scores = places[kept], scores[kept]
        return self.settings(places[:1])[0]


def shifted(params: CompressorParams, offset_db: float) -> CompressorParams:
    """Return the compressor for a recording whose level was changed by so much, as far as thresholds go."""
    threshold_db = max(RANGES["threshold_db"][0], min(0.0, params.threshold_db + offset_db))
    return dataclasses.replace(params, threshold_db=threshold_db)


def softmax(logarithms: Float64Array) -> Float64Array:
    """Return weights of sum 1 from their logarithms."""
    powers = np.exp(logarithms - logarithms.max())
    return np.asarray(powers / powers.sum())
