"""Ways to look at a recording, of which settings of a compressor are regressed.

They differ in what they see, the waveform, log-mel energies, the gain that a gain network believes was taken
away, or both of these; all that follows is the same, so that a comparison tells what the views are worth.

Source:
    The waveform front end is of the kind of the music effects encoder: Koo et al., ICASSP 2023, as used by
    Peladeau & Peeters, ICASSP 2024, and Sun, Fourer & Maaref, arXiv:2411.04337; a seventieth of its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as functional
from torch import nn

from unsquash.analysis.space import LOWEST
from unsquash.nets.features import SUBFRAMES
from unsquash.nets.gain import GatedBlock

View = Literal["waveform", "log-mel", "gain", "all but the waveform"]
VIEWS: tuple[View, ...] = ("waveform", "log-mel", "gain", "all but the waveform")

FINE_CHANNELS, COARSE_CHANNELS = 64, 128
FINE_DILATIONS, COARSE_DILATIONS = (1, 2, 4), (1, 2, 4, 8, 1, 2, 4, 8)
STEP_FRAMES, COARSE_STEPS = 2, 5
WAVEFORM_CHANNELS = (32, 48, 64, 64)
WAVEFORM_STRIDE, WAVEFORM_KERNEL = 4, 15
"""Four of these strides make a frame of the other views."""

COORDINATES = LOWEST.size
LEAST_LOG_DEVIATION, MOST_LOG_DEVIATION = math.log(0.02), math.log(1.0)
_DB_PER_UNIT = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What encoders may see of a batch of excerpts.

    Shape:
        waveform: `(B, T)`, the mean of channels whose peak is 1; features: `(B, F, n)`, as from
        `nets.features`, `bands` of them log-mel energies; reduction_db: `(B, 4·n)`, a gain network's
        estimate; from_rest: `(B,)`, 1 where the compressor was at rest when the excerpt began.
    """

    waveform: torch.Tensor
    features: torch.Tensor
    reduction_db: torch.Tensor
    from_rest: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What is believed of the settings, in the coordinates of `analysis.space`: independent normals.

    Shape:
        means, log_deviations: `(B, 2, 6)`, of compressors without and with gain smoothing; smoothed: `(B,)`,
        log odds that there was gain smoothing.
    """

    means: torch.Tensor
    log_deviations: torch.Tensor
    smoothed: torch.Tensor


class Regressor(nn.Module):
    """Settings from one view of an excerpt.

    Args:
        view: what it sees.
        bands: log-mel bands among the features.
        tracks: rows of the features that are level tracks.
    """

    def __init__(self, view: View, bands: int, tracks: int) -> None:
        super().__init__()
        self.view, self._bands = view, bands
        reduction = 2 * SUBFRAMES
        rows = {
            "waveform": WAVEFORM_CHANNELS[-1],
            "log-mel": bands,
            "gain": tracks + reduction,
            "all but the waveform": bands + tracks + reduction,
        }[view]
        self.front = _waveform_front() if view == "waveform" else nn.Identity()
        self.norm = nn.BatchNorm2d(rows)
        self.enter = nn.Conv2d(rows + 1, FINE_CHANNELS, (1, STEP_FRAMES), stride=(1, STEP_FRAMES))
        self.fine = nn.ModuleList(GatedBlock(FINE_CHANNELS, d) for d in FINE_DILATIONS)
        self.down = nn.Conv2d(FINE_CHANNELS, COARSE_CHANNELS, (1, COARSE_STEPS), stride=(1, COARSE_STEPS))
        self.coarse = nn.ModuleList(GatedBlock(COARSE_CHANNELS, d) for d in COARSE_DILATIONS)
        self.attention = nn.Conv2d(COARSE_CHANNELS, 1, 1)
        self.leave = nn.Sequential(
            nn.Linear(3 * COARSE_CHANNELS, COARSE_CHANNELS),
            nn.ReLU(),
            nn.Linear(COARSE_CHANNELS, 4 * COORDINATES + 1),
        )

    def forward(self, views: Views) -> Posterior:
        """Look at excerpts."""
        seen = self.norm(self._seen(views).unsqueeze(2).contiguous(memory_format=torch.channels_last))
        rest = views.from_rest.to(seen.dtype)[:, None, None, None].expand(-1, 1, 1, seen.shape[3])
        h = self.enter(torch.cat([seen, rest], dim=1))
        for block in self.fine:
            h = block(h, None, None)
        h = self.down(h)
        for block in self.coarse:
            h = block(h, None, None)
        h = functional.relu(h)
        weight = torch.softmax(self.attention(h).float(), dim=3)
        h = h.float()
        pooled = torch.cat([h.mean((2, 3)), h.amax((2, 3)), (weight * h).sum((2, 3))], dim=1)
        answer = self.leave(pooled).float()
        means, spreads = answer[:, :-1].reshape(-1, 2, 2, COORDINATES).unbind(1)
        return Posterior(
            means=0.5 + means,
            log_deviations=LEAST_LOG_DEVIATION
            + (MOST_LOG_DEVIATION - LEAST_LOG_DEVIATION) * torch.sigmoid(spreads),
            smoothed=answer[:, -1],
        )

    def _seen(self, views: Views) -> torch.Tensor:
        if self.view == "waveform":
            return torch.as_tensor(self.front(views.waveform[:, None, None]).squeeze(2))
        if self.view == "log-mel":
            return views.features[:, : self._bands]
        reduction = _per_frame(views.reduction_db) / _DB_PER_UNIT
        change = torch.diff(reduction, dim=2, prepend=reduction[..., :1])
        heard = views.features[:, self._bands if self.view == "gain" else 0 :]
        return torch.cat([heard, reduction, 4.0 * change], dim=1)


def regression_loss(posterior: Posterior, places: torch.Tensor, smoothed: torch.Tensor) -> torch.Tensor:
    """Return minus the mean log likelihood of the true settings.

    Shape:
        places: `(B, 6)`, NaN where a coordinate does not count; smoothed: `(B,)`, 1 or 0.
    """
    branch = smoothed.long()
    row = torch.arange(len(branch), device=branch.device)
    means, log_deviations = posterior.means[row, branch], posterior.log_deviations[row, branch]
    counts = ~places.isnan()
    off = torch.where(counts, places - means, 0.0) * torch.exp(-log_deviations)
    surprise = torch.where(counts, 0.5 * off.square() + log_deviations, 0.0)
    kind = functional.binary_cross_entropy_with_logits(posterior.smoothed, smoothed)
    return surprise.sum(1).mean() + kind


def _waveform_front() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 1
    for channels in WAVEFORM_CHANNELS:
        padding = (0, (WAVEFORM_KERNEL - 1) // 2)
        layers += [
            nn.Conv2d(
                before,
                channels,
                (1, WAVEFORM_KERNEL),
                stride=(1, WAVEFORM_STRIDE),
                padding=padding,
                bias=False,
            ),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        before = channels
    return nn.Sequential(*layers)


def _per_frame(subframes: torch.Tensor) -> torch.Tensor:
    return subframes.reshape(len(subframes), -1, SUBFRAMES).transpose(1, 2)
