"""How a compressor that was found goes together with what the gain network hears, and what it is worth.

From its output alone a compressor's settings decide its whole gain curve. The search finds settings by the
noise and by how music sounds, the gain network estimates the gain itself: the curve is consistent where the
network is uncertain, the network right on average where a setting is not. Where noise is heard, it decides
between both, and all that lies between them: the right gain, taken back, leaves it even. Elsewhere their
correlation says whether they speak of the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.candidates import FRAME_SAMPLES
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import PROOF, corroborated
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.scorers import added
from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

SETTLED_FRAMES = 172
"""The first second of an excerpt does not count: the compressor's state where it begins is only guessed."""

LOUD = 1e-5
"""Power, beside the most powerful frame's, of those that count where it is asked how little was done."""

LITTLE_PERCENT = 5.0

AGREEMENT, LEAST_AMOUNT = 0.5, 0.3
"""From here on a compressor's gain is that which the network hears."""

CLOSE_AGREEMENT, CLOSE_AMOUNT = 0.75, 1.9
"""Below the one or above the other the network's gain counts for more."""

SHARES = (0.0, 0.25, 0.5, 0.7, 0.9, 1.0)
"""Of a compressor's gain, the rest being the network's: what is looked at."""

ALIKE_PROOF = 1.0
"""Shares for which the noise says less than this less than for the best are as good: then the compressor's
gain, which is consistent, counts for as much as may be. Found on 20 pieces by artists held out."""

MOST_DOUBT = 4.5
"""What may speak against a compressor that the noise proves. On 114 pieces by artists held out, squashed or
not, at most 3.5 did where what was proven restored them; 5.7 and more for some that look limited."""

SHARE_IN_DOUBT, SHARE_ALIKE = 0.25, 0.7
"""Where the noise proves nothing. Found, like the lines above, on 60 pieces of artists held out that plug-ins
and simulations had compressed, docs/training.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorFit:
    """A compressor that explains what is heard.

    Attributes:
        params: its settings, for the recording at its present level.
        agreement: correlation of its gain with the gain network's, 0…1, energy-weighted, in dB.
        amount: slope of its gain regressed on the network's; 1 where both are of the same size.
        deviation_db: of its gain, energy-weighted.
        least_db: its reduction where it did little: a constant, which cannot be known and is not given back.
        proofs: what the noise says for each of `SHARES`, ln of likelihood ratios, all excerpts together.
        music: what all else says for it, as the profile network hears it, like that.
        ranges: between what settings probably were, as from `likely_ranges`.
    """

    params: CompressorParams
    agreement: float
    amount: float
    deviation_db: float
    least_db: float
    proofs: tuple[float, ...]
    music: float
    ranges: Mapping[str, tuple[float, float]]

    @property
    def is_alike(self) -> bool:
        """Whether the network hears the same gain, which need not be of the same size."""
        return self.agreement >= AGREEMENT and self.amount >= LEAST_AMOUNT

    @property
    def proof(self) -> float:
        """What the noise says for the best of `SHARES`."""
        return max(self.proofs)

    @property
    def is_proven(self) -> bool:
        """Whether the noise alone leaves no doubt, and the music raises none."""
        return self.proof >= PROOF and self.music >= -MOST_DOUBT

    @property
    def is_ahead(self) -> bool:
        """Whether the noise leaves no doubt that this is better than the network's gain alone."""
        return self.is_proven and self.proof >= self.proofs[0] + PROOF

    @property
    def share(self) -> float:
        """How much of the gain is to be the compressor's, the rest being the network's, 0…1."""
        if self.is_proven:
            good = [proof >= self.proof - ALIKE_PROOF for proof in self.proofs]
            return max(share for share, is_good in zip(SHARES, good, strict=True) if is_good)
        return SHARE_ALIKE if self.is_close else SHARE_IN_DOUBT

    @property
    def is_close(self) -> bool:
        """Whether the network hears nearly the same gain."""
        return self.agreement >= CLOSE_AGREEMENT and LEAST_AMOUNT <= self.amount <= CLOSE_AMOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Correlation of a candidate's gain with the estimates, its slope on them, and its deviation in dB."""

    correlation: float
    slope: float
    deviation_db: float


def fit_compressor(
    listeners: Sequence[Listener], estimates_db: Sequence[Float64Array], params: CompressorParams
) -> CompressorFit:
    """Compare a compressor with the gain network's estimates, and both with what the noise says.

    Args:
        listeners: to excerpts of one recording, at least one.
        estimates_db: the gain network's reduction in each of them.
        params: the compressor's settings.

    Shape:
        estimates_db: `(n,)` each, per `FRAME_SAMPLES` samples of the excerpt.
    """
    agreement = Agreement(listeners, estimates_db)
    alike = agreement.likeness(params)
    each = zip(listeners, estimates_db, strict=True)
    music = [one.log_ratios([params]) - one.noise_log_ratios([params]) for one in listeners]
    said = [listener.proofs(params, estimate_db, SHARES) for listener, estimate_db in each]
    return CompressorFit(
        params=params,
        agreement=float(np.clip(alike.correlation, 0.0, 1.0)),
        amount=alike.slope,
        deviation_db=alike.deviation_db,
        least_db=agreement.least_db(params),
        proofs=tuple(corroborated(np.array(said)).tolist()),
        music=float(added(music)[0]),
        ranges=likely_ranges(params),
    )


class Agreement:
    """How well candidates' gain curves agree with estimates, energy-weighted over all excerpts."""

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
