"""Which compressor, if none that is known? Settings that both networks speak for.

From its output alone a compressor's settings decide its whole gain curve. The profile network says how well
a recording and a curve go together; the gain network estimates the gain everywhere, with errors everywhere,
and a curve that correlates with the estimate keeps what is common to all of it and drops the errors. Both
make mistakes, but not the same ones: the settings are searched for that are likely to either. Correlation
says nothing about the amount; that follows from what a conditional mean is: regressed on a fair estimate, the
truth has a slope of one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.candidates import FRAME_SAMPLES
from unsquash.analysis.listening import (
    Listener,
    added,
    log_odds_of,
    middle_one,
    peak_dbfs,
    threads_each,
)
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.searching import Scorer, search
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.parallel import in_order, threads
from unsquash.units import Float64Array

INDEPENDENT = 30.0
"""How many independent values an estimate is worth; chosen on held-out artists, where 20 and 80 do alike."""

AMOUNT_WEIGHT = 0.25
CLOSEST = 0.99
"""A correlation beyond which nothing more is learnt."""

USUAL_DB, USUAL_RATIO = (-4.0, 8.0), (3.5, 0.6)
"""Before looking: threshold over the RMS level, its spread; ratio, the spread of its logarithm."""

SETTLED_FRAMES = 172
"""The first second of an excerpt does not count: the compressor's state where it begins is only guessed."""

LOUD = 1e-5
"""Power, beside the most powerful frame's, of those that count where it is asked how little was done."""

LITTLE_PERCENT = 5.0
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorFit:
    """The compressor that explains best what both networks hear.

    Attributes:
        params: its settings, for the recording at its present level.
        agreement: correlation of its gain with the gain network's, 0…1, energy-weighted, in dB.
        amount: slope of its gain regressed on the network's; 1 where both are of the same size.
        log_odds: that any compressor was at work, as far as the profile network knows.
        least_db: its reduction where it did little: a constant, which cannot be known and is not given back.
        ranges: between what settings probably were, as from `likely_ranges`.
    """

    params: CompressorParams
    agreement: float
    amount: float
    log_odds: float
    least_db: float
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Correlation of candidates' gains with the estimates, and their slope on them; shape `(K,)` each."""

    correlation: Float64Array
    slope: Float64Array


def fit_compressor(
    listeners: Sequence[Listener], estimates_db: Sequence[Float64Array], *, seed: int = 0
) -> CompressorFit | None:
    """Search for the compressor that both networks speak for; None where the estimates do not move.

    Args:
        listeners: to excerpts of one recording, at least one.
        estimates_db: the gain network's reduction in each of them.
        seed: of the search.

    Shape:
        estimates_db: `(n,)` each, per `FRAME_SAMPLES` samples of the excerpt.
    """
    agreement, everywhere = Agreement(listeners, estimates_db), range(len(listeners))
    if agreement.variance < _LEAST_VARIANCE:
        return None
    found = search(
        _both(agreement, middle_one(everywhere)),
        _both(agreement, everywhere),
        peak_dbfs(listeners),
        np.random.default_rng(seed),
        least=-np.inf,
    )
    if found is None:
        return None
    heard, alike = agreement.heard([found.params], everywhere)
    return CompressorFit(
        params=dataclasses.replace(found.params, link="max"),
        agreement=float(np.clip(alike.correlation[0], 0.0, 1.0)),
        amount=float(alike.slope[0]),
        log_odds=log_odds_of(float(heard[0]), len(listeners)),
        least_db=agreement.least_db(found.params),
        ranges=likely_ranges(found.params),
    )


class Agreement:
    """How well candidates' gain curves agree with estimates, energy-weighted over all excerpts.

    Attributes:
        variance: of the estimates, in dB².
        rms_dbfs: of the excerpts.
    """

    def __init__(self, listeners: Sequence[Listener], estimates_db: Sequence[Float64Array]) -> None:
        self._listeners = list(listeners)
        self._estimates = list(estimates_db)
        self._weights = []
        for listener, estimate_db in zip(listeners, estimates_db, strict=True):
            power = np.square(np.abs(listener.excerpt.samples).max(axis=0))
            per_frame = power[: len(estimate_db) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).mean(axis=1)
            weight = per_frame * 10.0 ** (estimate_db / 10.0)
            weight[:SETTLED_FRAMES] = 0.0
            self._weights.append(weight)
        power = np.concatenate([np.square(listener.level) for listener in listeners])
        self.rms_dbfs = float(10.0 * np.log10(power.mean() + 1e-24))
        weight, estimate = np.concatenate(self._weights), np.concatenate(self._estimates)
        total = max(float(weight.sum()), 1e-30)
        mean = float(weight @ estimate) / total
        self.variance = float(weight @ np.square(estimate - mean)) / total

    def heard(
        self, candidates: Sequence[CompressorParams], of: Sequence[int]
    ) -> tuple[Float64Array, Likeness]:
        """Return what the profile network says of candidates in some of the excerpts, and how they agree.

        Shape:
            first result: `(K,)`, as from `Listener.log_ratios`, added up.
        """

        def look(index: int) -> tuple[Float64Array, Float64Array]:
            listener = self._listeners[index]
            curves_db = listener.curves_db(candidates)
            log_ratios = listener.log_ratios(candidates, curves_db, at_once=threads_each(len(of)))
            return log_ratios, self._moments(index, curves_db)

        log_ratios, moments = zip(*in_order(look, of, threads()), strict=True)
        return added(log_ratios), _likeness(np.sum(moments, axis=0))

    def least_db(self, params: CompressorParams) -> float:
        """Return a candidate's reduction where it does little, over all that is not silent."""
        reductions_db = [-listener.curves_db([params])[0] for listener in self._listeners]
        weight = np.concatenate(self._weights)
        loud = weight > LOUD * max(float(weight.max()), 1e-30)
        everywhere_db = np.concatenate(reductions_db)[loud]
        return float(np.percentile(everywhere_db, LITTLE_PERCENT)) if everywhere_db.size else 0.0

    def _moments(self, index: int, curves_db: Float32Array) -> Float64Array:
        """Sum up what correlation and slope follow from; shape `(6, K)`."""
        reductions = -curves_db.astype(np.float64)
        estimate, weight = self._estimates[index], self._weights[index]
        ones = np.ones(len(reductions))
        return np.stack(
            [
                weight.sum() * ones,
                reductions @ weight,
                np.square(reductions) @ weight,
                reductions @ (weight * estimate),
                (weight @ estimate) * ones,
                (weight @ np.square(estimate)) * ones,
            ]
        )


def _likeness(sums: Float64Array) -> Likeness:
    mean, square, product, estimate_mean, estimate_square = sums[1:] / np.maximum(sums[0], 1e-30)
    variance = np.maximum(square - np.square(mean), 1e-12)
    estimate_variance = np.maximum(estimate_square - np.square(estimate_mean), 1e-12)
    covariance = product - mean * estimate_mean
    return Likeness(
        correlation=covariance / np.sqrt(variance * estimate_variance),
        slope=covariance / estimate_variance,
    )


def _both(agreement: Agreement, of: Sequence[int]) -> Scorer:
    """Add the logarithms of both networks' likelihoods, and of what is usual."""

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        likely, alike = agreement.heard(candidates, of)
        unexplained = 1.0 - np.square(np.clip(alike.correlation, 0.0, CLOSEST))
        off = np.square(np.log(np.clip(alike.slope, 1e-2, 1e2)))
        off_estimate = INDEPENDENT * (0.5 * np.log(unexplained) + AMOUNT_WEIGHT * off)
        over_db = np.array([one.threshold_db for one in candidates]) - agreement.rms_dbfs
        log_ratio = np.log([one.ratio for one in candidates])
        unusual = np.square((over_db - USUAL_DB[0]) / USUAL_DB[1])
        unusual += np.square((log_ratio - np.log(USUAL_RATIO[0])) / USUAL_RATIO[1])
        return np.asarray(likely - off_estimate - 0.5 * unusual)

    return score
