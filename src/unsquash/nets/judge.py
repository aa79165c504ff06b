"""Is it worth restoring this file, and by how much of the network's estimate?

The gain network learns the shape of the gain first; how much was done to a file, and whether anything was,
it knows less well. The judge sees what the estimate looks like over the whole file, what the network itself
thinks of the file, and how often the level comes near the ceiling and to how near (a limiter piles peaks up
there, one like the other). It is fitted last, on outcomes: the multiple of the estimate that restores best,
and the probability that anything was done at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unsquash.nets.features import SUBFRAMES, TRACKS

NEAR_DB = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 6.0)
STATISTICS = 6 + len(NEAR_DB) + 6
BLOCK_SUBFRAMES = 16
SPREAD_SUBFRAMES = 64
HIDDEN, MEMBERS = 32, 8
_LEAST_LOG_AMOUNT, _MOST_LOG_AMOUNT = -3.0, 1.5
AMOUNT_OUTPUT = 2
_UNFITTED_LOGIT = -9.0
_PEAK_TRACK, _RMS_TRACK = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge says; one entry per file.

    Shape:
        all `(B,)`. squashed, limited: logits, that something noticeable was done to the file, and that
        it was limited rather than compressed; amount: the multiple of the estimate to give back, > 0.
    """

    squashed: torch.Tensor
    limited: torch.Tensor
    amount: torch.Tensor


def perceptron(hidden: int, outputs: int = 3) -> nn.Sequential:
    """Make a small perceptron: what a judge is made of."""
    return nn.Sequential(nn.Linear(STATISTICS, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class Judge(nn.Module):
    """`MEMBERS` small perceptrons on standardized inputs, side by side in a wide one: their mean is taken.

    As many others say whether there is anything to judge: whether it sounds like no music at all.
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(STATISTICS))
        self.register_buffer("spread", torch.ones(STATISTICS))
        self.layers = perceptron(MEMBERS * HIDDEN)
        self.artificial_layers = perceptron(MEMBERS * HIDDEN, 1)
        for parameter in self.artificial_layers[-1].parameters():  # until fitted, nothing sounds artificial
            nn.init.constant_(parameter, 0.0 if parameter.ndim > 1 else _UNFITTED_LOGIT)

    def forward(self, statistics: torch.Tensor) -> Judgement:
        """Judge files by the statistics of their estimates.

        Shape:
            statistics: `(B, STATISTICS)`.
        """
        return judgement_of(self.layers(self.standardized(statistics)))

    def artificial(self, statistics: torch.Tensor) -> torch.Tensor:
        """Say whether files are tones, clicks or noise that nobody played, as they were made.

        Shape:
            statistics: `(B, STATISTICS)`; result: logits, `(B,)`.
        """
        return torch.as_tensor(self.artificial_layers(self.standardized(statistics)))[:, 0]

    def standardized(self, statistics: torch.Tensor) -> torch.Tensor:
        """Bring statistics to mean 0 and spread 1."""
        return ((statistics - self.centre) / self.spread).clamp(-6.0, 6.0)


@torch.no_grad()
def join(wide: nn.Sequential, members: Sequence[nn.Sequential]) -> None:
    """Let a wide perceptron become the mean of `MEMBERS` of `HIDDEN` units."""
    state = [member.state_dict() for member in members]
    wide.load_state_dict(
        {
            "0.weight": torch.cat([one["0.weight"] for one in state]),
            "0.bias": torch.cat([one["0.bias"] for one in state]),
            "2.weight": torch.cat([one["2.weight"] for one in state], dim=1) / len(state),
            "2.bias": torch.stack([one["2.bias"] for one in state]).mean(0),
        }
    )


def judgement_of(outputs: torch.Tensor) -> Judgement:
    """Read what a perceptron answers, shape `(B, 3)`."""
    squashed, limited, amount = outputs.unbind(dim=1)
    amount = amount.clamp(_LEAST_LOG_AMOUNT, _MOST_LOG_AMOUNT).exp()
    return Judgement(squashed=squashed, limited=limited, amount=amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the gain network's pooled vector says about the file; one row per file.

    Shape:
        logits: `(B, 3)`, in the order of `unsquash.nets.gain.VERDICTS`; reduction_db: `(B, 3)`, mean,
        maximum and deviation, ≥ 0.
    """

    logits: torch.Tensor
    reduction_db: torch.Tensor


def file_statistics(
    features: torch.Tensor, reduction_db: torch.Tensor, assessment: Assessment
) -> torch.Tensor:
    """Describe an estimate and the peaks: what the judge sees.

    Logarithms of the estimate's deviation, mean, median, 95 and 99.5 % (the latter four over the 5 %
    quantile; deviation and mean energy-weighted); its correlation with the level; logarithms of the shares
    of 23 ms blocks whose peak is within `NEAR_DB` of the ceiling; the network's own assessment.

    Shape:
        features: `(B, F, n)`; reduction_db: `(B, 4·n)`; result: `(B, STATISTICS)`.
    """
    power = 10.0 ** (2.0 * _track(features, _RMS_TRACK)) * 10.0 ** (0.1 * reduction_db)
    weight = power / power.sum(1, keepdim=True).clamp_min(1e-20)
    low, *quantiles = torch.quantile(
        reduction_db, torch.tensor([0.05, 0.5, 0.95, 0.995], device=reduction_db.device), dim=1
    )
    mean = (weight * reduction_db).sum(1)
    moved = reduction_db - mean[:, None]
    variance = (weight * moved.square()).sum(1)
    level = _track(features, _RMS_TRACK)
    level = level - (weight * level).sum(1, keepdim=True)
    level_variance = (weight * level.square()).sum(1)
    covariance = (weight * moved * level).sum(1)
    correlation = covariance / (variance * level_variance + 1e-9).sqrt()
    sizes = torch.stack([variance.sqrt(), (mean - low).clamp_min(0.0), *(q - low for q in quantiles)], dim=1)
    said = torch.cat([assessment.logits, torch.log(assessment.reduction_db + 0.05)], dim=1)
    return torch.cat([torch.log(sizes + 0.05), correlation[:, None], _nearness(features), said], dim=1)


def _nearness(features: torch.Tensor) -> torch.Tensor:
    peaks = _track(features, _PEAK_TRACK)
    blocks = max(1, peaks.shape[1] // BLOCK_SUBFRAMES)
    block_peaks = peaks[:, : blocks * BLOCK_SUBFRAMES].reshape(len(peaks), blocks, -1).amax(2)
    return torch.stack(
        [torch.log10((block_peaks > -near_db / 20.0).float().mean(1) + 1e-3) for near_db in NEAR_DB], dim=1
    )


def level_spread_db(features: torch.Tensor) -> torch.Tensor:
    """Return between what the level lies in nine of ten tenths of a second.

    Shape:
        features: `(B, F, n)`; result: in dB, `(B,)`.
    """
    power = 10.0 ** (2.0 * _track(features, _RMS_TRACK))
    blocks = max(1, power.shape[1] // SPREAD_SUBFRAMES)
    means = power[:, : blocks * SPREAD_SUBFRAMES].reshape(len(power), blocks, -1).mean(2)
    low, high = torch.quantile(means, torch.tensor([0.05, 0.95], device=means.device), dim=1)
    return 10.0 * torch.log10((high + 1e-20) / (low + 1e-20))


def _track(features: torch.Tensor, index: int) -> torch.Tensor:
    """Find a level track among the features, as log10; shape `(B, 4·n)`."""
    first = features.shape[1] - SUBFRAMES * (TRACKS - index)
    return features[:, first : first + SUBFRAMES].transpose(1, 2).flatten(1)
