"""How a compressor that was found goes together with what the gain network hears, and what it is worth.

From its output alone a compressor's settings decide its whole gain curve. The search finds settings by the
noise and by how music sounds, the gain network estimates the gain itself: the curve is consistent where the
network is uncertain, the network right on average where a setting is not. Correlation says whether they speak
of the same thing, and what the noise says, how much of the curve can be believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.candidates import FRAME_SAMPLES
from unsquash.analysis.listening import Listener
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.space import with_link
from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

SETTLED_FRAMES = 172
"""The first second of an excerpt does not count: the compressor's state where it begins is only guessed."""

LOUD = 1e-5
"""Power, beside the most powerful frame's, of those that count where it is asked how little was done."""

LITTLE_PERCENT = 5.0

AGREEMENT, LEAST_AMOUNT = 0.5, 0.3
"""From here on a compressor's gain is that which the network hears."""

CLOSE_AGREEMENT = 0.75
"""Below it the network's gain counts for more."""

PROOF, BEYOND_DOUBT = 50.0, 150.0
"""What the noise must say for a compressor to leave no doubt of its kind, and none of its settings."""

SHARE_IN_DOUBT, SHARE_ALIKE, SHARE_PROVEN = 0.25, 0.7, 0.9
"""Of the gain, that is the compressor's. All of these were found on 60 pieces of artists held out that
plug-ins and simulations had compressed, docs/training.md."""

_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorFit:
    """A compressor that explains what is heard.

    Attributes:
        params: its settings, for the recording at its present level.
        agreement: correlation of its gain with the gain network's, 0…1, energy-weighted, in dB.
        amount: slope of its gain regressed on the network's; 1 where both are of the same size.
        deviation_db: of its gain, energy-weighted.
        least_db: its reduction where it did little: a constant, which cannot be known and is not given back.
        proof: what the noise says for it, ln of a likelihood ratio, all excerpts together.
        ranges: between what settings probably were, as from `likely_ranges`.
    """

    params: CompressorParams
    agreement: float
    amount: float
    deviation_db: float
    least_db: float
    proof: float
    ranges: Mapping[str, tuple[float, float]]

    @property
    def is_alike(self) -> bool:
        """Whether the network hears the same gain, which need not be of the same size."""
        return self.agreement >= AGREEMENT and self.amount >= LEAST_AMOUNT

    @property
    def is_proven(self) -> bool:
        """Whether the noise alone leaves no doubt."""
        return self.proof >= PROOF

    @property
    def share(self) -> float:
        """How much of the gain is to be the compressor's, the rest being the network's, 0…1."""
        if self.proof >= BEYOND_DOUBT:
            return 1.0
        if self.agreement < CLOSE_AGREEMENT:
            return SHARE_IN_DOUBT
        return SHARE_PROVEN if self.is_proven else SHARE_ALIKE


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Correlation of a candidate's gain with the estimates, its slope on them, and its deviation in dB."""

    correlation: float
    slope: float
    deviation_db: float


def fit_compressor(
    listeners: Sequence[Listener], estimates_db: Sequence[Float64Array], params: CompressorParams
) -> CompressorFit | None:
    """Compare a compressor with the gain network's estimates; None where those do not move.

    Args:
        listeners: to excerpts of one recording, at least one.
        estimates_db: the gain network's reduction in each of them.
        params: the compressor's settings.

    Shape:
        estimates_db: `(n,)` each, per `FRAME_SAMPLES` samples of the excerpt.
    """
    agreement = Agreement(listeners, estimates_db)
    if agreement.variance < _LEAST_VARIANCE:
        return None
    alike = agreement.likeness(params)
    return CompressorFit(
        params=with_link(params),
        agreement=float(np.clip(alike.correlation, 0.0, 1.0)),
        amount=alike.slope,
        deviation_db=alike.deviation_db,
        least_db=agreement.least_db(params),
        proof=float(sum(listener.noise_log_ratios([params])[0] for listener in listeners)),
        ranges=likely_ranges(params),
    )


class Agreement:
    """How well candidates' gain curves agree with estimates, energy-weighted over all excerpts.

    Attributes:
        variance: of the estimates, in dB².
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
        weight, estimate = np.concatenate(self._weights), np.concatenate(self._estimates)
        total = max(float(weight.sum()), 1e-30)
        mean = float(weight @ estimate) / total
        self.variance = float(weight @ np.square(estimate - mean)) / total

    def likeness(self, params: CompressorParams) -> Likeness:
        """Return how a candidate's gain goes together with the estimates."""
        curves_db = [listener.curves_db([params])[0] for listener in self._listeners]
        reduction = -np.concatenate(curves_db).astype(np.float64)
        weight, estimate = np.concatenate(self._weights), np.concatenate(self._estimates)
        weight /= max(float(weight.sum()), 1e-30)
        off, other = reduction - weight @ reduction, estimate - weight @ estimate
        variance, estimate_variance = float(weight @ np.square(off)), float(weight @ np.square(other))
        covariance = float(weight @ (off * other))
        return Likeness(
            correlation=covariance / math.sqrt(max(variance * estimate_variance, 1e-24)),
            slope=covariance / max(estimate_variance, 1e-12),
            deviation_db=math.sqrt(variance),
        )

    def least_db(self, params: CompressorParams) -> float:
        """Return a candidate's reduction where it does little, over all that is not silent."""
        reductions_db = [-listener.curves_db([params])[0] for listener in self._listeners]
        weight = np.concatenate(self._weights)
        loud = weight > LOUD * max(float(weight.max()), 1e-30)
        everywhere_db = np.concatenate(reductions_db)[loud]
        return float(np.percentile(everywhere_db, LITTLE_PERCENT)) if everywhere_db.size else 0.0
