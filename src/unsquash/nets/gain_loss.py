"""What the gain network is trained to make small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional

from unsquash.nets.judge import Assessment

_DB_PER_NEPER = 8.685889638065037

SQUARED_FLOOR = 1e-4
"""Errors below 40 dB of SI-SDR hardly count."""

NOTICEABLE = 2e-3
"""Variance of the log-gain in nepers², 27 dB of SI-SDR, at which the shape counts half."""


AUDIBLE = 1e-3
"""Error in nepers², 30 dB of SI-SDR, under which nothing more is won."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainError:
    """How far an estimated gain is from the truth, per example, constant offset removed.

    Shape:
        squared: `(B,)`, energy-weighted mean square of the log-gain error in nepers²; untouched: the same
        for an estimate of "nothing was done"; unexplained: 0…1, the least share of `untouched` that any
        multiple of the estimate leaves; offset_db: `(B,)`, the constant that was removed.
    """

    squared: torch.Tensor
    untouched: torch.Tensor
    unexplained: torch.Tensor
    offset_db: torch.Tensor


def gain_error(estimate_db: torch.Tensor, reduction_db: torch.Tensor, energy: torch.Tensor) -> GainError:
    """Compare gain reductions under the original's energy: for small errors this is 1 / SI-SDR.

    Shape:
        all: `(B, 4·n)`.
    """
    weight = energy / energy.sum(1, keepdim=True).clamp_min(1e-3)
    estimate, truth = estimate_db / _DB_PER_NEPER, reduction_db / _DB_PER_NEPER
    estimate_mean = (weight * estimate).sum(1, keepdim=True)
    truth_mean = (weight * truth).sum(1, keepdim=True)
    moved, target = estimate - estimate_mean, truth - truth_mean
    variance, untouched = (weight * moved.square()).sum(1), (weight * target.square()).sum(1)
    covariance = (weight * moved * target).sum(1)
    explained = covariance.clamp_min(0.0).square() / ((variance + 1e-6) * (untouched + 1e-6))
    return GainError(
        squared=(weight * (moved - target).square()).sum(1),
        untouched=untouched,
        unexplained=1.0 - explained,
        offset_db=_DB_PER_NEPER * (estimate_mean - truth_mean).squeeze(1),
    )


def gain_loss(estimate_db: torch.Tensor, reduction_db: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
    """Penalize the log-gain error, the part of the truth that no scaling explains, and gently an offset.

    Half of it: the error counts by its root and its square, between squares (heavy squashing drowns the
    rest) and relative errors (which learn slowly); the unexplained part teaches the shape in every file
    alike, while the amount is still a guess. The other half is what is lost in SI-SDR, which makes changing
    a nearly untouched file as expensive as failing to restore another.
    """
    error = gain_error(estimate_db, reduction_db, energy)
    shaped = 5.0 * (error.squared + SQUARED_FLOOR).sqrt() + 10.0 * error.squared
    shape = error.untouched / (error.untouched + NOTICEABLE) * error.unexplained
    lost = torch.log((error.squared + AUDIBLE) / (error.untouched + AUDIBLE))
    return (0.5 * (shaped + 2.0 * shape + 0.002 * error.offset_db.abs()) + 0.5 * lost).mean()


def assessment_loss(assessment: Assessment, verdict: torch.Tensor, amount_db: torch.Tensor) -> torch.Tensor:
    """Penalize a wrong verdict (cross-entropy) and a wrong amount (absolute difference of logarithms).

    Shape:
        verdict: `(B,)`, indices into `VERDICTS`; amount_db: `(B, 3)`.
    """
    amount = torch.log1p(assessment.reduction_db) - torch.log1p(amount_db)
    return functional.cross_entropy(assessment.logits, verdict) + amount.abs().mean()
