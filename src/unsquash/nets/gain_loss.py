"""What the gain network is trained to make small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional

from unsquash.nets.gain import Assessment

_DB_PER_NEPER = 8.685889638065037


@dataclass(frozen=True, slots=True, kw_only=True)
class GainError:
    """How far an estimated gain is from the truth, per example, constant offset removed.

    Shape:
        squared: `(B,)`, energy-weighted mean square of the log-gain error in nepers²; untouched: the same
        for an estimate of "nothing was done"; offset_db: `(B,)`, the constant that was removed.
    """

    squared: torch.Tensor
    untouched: torch.Tensor
    offset_db: torch.Tensor


def gain_error(estimate_db: torch.Tensor, reduction_db: torch.Tensor, energy: torch.Tensor) -> GainError:
    """Compare gain reductions under the original's energy: for small errors this is 1 / SI-SDR.

    Shape:
        all: `(B, 4·n)`.
    """
    weight = energy / energy.sum(1, keepdim=True).clamp_min(1e-3)
    error = (estimate_db - reduction_db) / _DB_PER_NEPER
    offset = (weight * error).sum(1, keepdim=True)
    truth = reduction_db / _DB_PER_NEPER
    return GainError(
        squared=(weight * (error - offset).square()).sum(1),
        untouched=(weight * (truth - (weight * truth).sum(1, keepdim=True)).square()).sum(1),
        offset_db=_DB_PER_NEPER * offset.squeeze(1),
    )


def gain_loss(estimate_db: torch.Tensor, reduction_db: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
    """Penalize the squared log-gain error, relative to how much was done, and gently a constant offset.

    Dividing by the root of the true log-gain's variance lies between plain squares (heavy squashing drowns
    the rest) and relative ones (which learn slowly); it makes changing a nearly untouched file expensive.
    """
    error = gain_error(estimate_db, reduction_db, energy)
    scaled = error.squared / (error.untouched + 0.003).sqrt()
    return (scaled + 0.001 * error.offset_db.abs()).mean()


def assessment_loss(assessment: Assessment, verdict: torch.Tensor, amount_db: torch.Tensor) -> torch.Tensor:
    """Penalize a wrong verdict (cross-entropy) and a wrong amount (absolute difference of logarithms).

    Shape:
        verdict: `(B,)`, indices into `VERDICTS`; amount_db: `(B, 3)`.
    """
    amount = torch.log1p(assessment.reduction_db) - torch.log1p(amount_db)
    return functional.cross_entropy(assessment.logits, verdict) + amount.abs().mean()
