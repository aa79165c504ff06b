"""Which compressor was it? A network that scores candidates by the gain each of them would have had.

A recording and a compressor's settings decide the gain curve that the compressor must have had, if it was
that one (`unsquash.analysis.candidates`). The network sees the recording's features and one such curve, and
says how well the recording with that gain undone would agree with how music and speech sound: its score is
the logarithm of p(recording | candidate), up to a constant of the recording. So a softmax over any set of
candidates is their posterior probability, and scores of several excerpts of one recording may be added.

Source:
    Contrastive neural ratio estimation: Durkan, Murray & Papamakarios, ICML 2020. That the candidates are
    seen through the gain curves of their inverses is this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from unsquash.nets.features import FRAME_SAMPLES, Features
from unsquash.nets.gain import GatedBlock
from unsquash.nets.sizes import Sizes, filled

EXCERPT_FRAMES = 860
"""About five seconds; longer recordings are scored in several excerpts."""

EXCERPT_SAMPLES = EXCERPT_FRAMES * FRAME_SAMPLES
STEP_FRAMES, COARSE_STEPS = 2, 5
_DB_PER_UNIT = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileNetConfig(Sizes):
    """The sizes of a profile network; stored with its weights."""

    mel_bands: int = 40
    fine_channels: int = 64
    coarse_channels: int = 128
    candidate_fine_channels: int = 32
    candidate_coarse_channels: int = 64
    fine_dilations: tuple[int, ...] = (1, 2, 4)
    coarse_dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    candidate_fine_dilations: tuple[int, ...] = (1, 2, 4)
    candidate_coarse_dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2)


class ProfileNet(nn.Module):
    """Scores of candidates from features and the candidates' gain curves.

    Shape:
        features: `(B, F, n)`; curves_db: `(B, K, n)`, gain in dB per frame, ≤ 0; state_known: `(B,)`, 1 where
        the curves begin in the right state, 0 where it had to be guessed; result: `(B, K)`.
    """

    def __init__(self, config: ProfileNetConfig) -> None:
        super().__init__()
        self.config = config
        self.features = Features(config.mel_bands, config.sample_rate)
        count = self.features.count
        fine, coarse = config.fine_channels, config.coarse_channels
        small, large = config.candidate_fine_channels, config.candidate_coarse_channels
        self.norm = nn.BatchNorm2d(count)
        self.enter = _convolution(count + 1, fine, STEP_FRAMES, STEP_FRAMES)
        self.fine = nn.ModuleList(GatedBlock(fine, d) for d in config.fine_dilations)
        self.down = _convolution(fine, coarse, COARSE_STEPS, COARSE_STEPS)
        self.coarse = nn.ModuleList(GatedBlock(coarse, d) for d in config.coarse_dilations)
        self.fine_scale, self.fine_shift = _pointwise(fine, small), _pointwise(fine, small)
        self.coarse_scale, self.coarse_shift = _pointwise(coarse, large), _pointwise(coarse, large)
        self.candidate_enter = _convolution(2, small, STEP_FRAMES, STEP_FRAMES)
        self.candidate_fine = nn.ModuleList(GatedBlock(small, d) for d in config.candidate_fine_dilations)
        self.candidate_down = _convolution(small, large, COARSE_STEPS, COARSE_STEPS)
        self.candidate_coarse = nn.ModuleList(GatedBlock(large, d) for d in config.candidate_coarse_dilations)
        self.attention = _pointwise(large, 1)
        self.leave = nn.Sequential(nn.Linear(3 * large, large), nn.ReLU(), nn.Linear(large, 1))

    def forward(
        self, features: torch.Tensor, curves_db: torch.Tensor, state_known: torch.Tensor
    ) -> torch.Tensor:
        """Score every candidate of every excerpt; only differences within an excerpt mean something."""
        return self.score(self.encode(features, state_known), curves_db)

    def encode(self, features: torch.Tensor, state_known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at the recording: once, however many candidates there are."""
        framed = self.norm(_framed(features))
        rest = state_known.to(framed.dtype)[:, None, None, None].expand(-1, 1, 1, framed.shape[3])
        fine = self.enter(torch.cat([framed, rest], dim=1))
        for block in self.fine:
            fine = block(fine, None, None)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, None, None)
        return fine, coarse

    def score(self, encoded: tuple[torch.Tensor, torch.Tensor], curves_db: torch.Tensor) -> torch.Tensor:
        """Score candidates for recordings already looked at."""
        fine, coarse = encoded
        batch, candidates, frames = curves_db.shape

        def shared(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
            modulation: torch.Tensor = layer(x)  # for one recording it is broadcast, which saves memory
            return modulation if batch == 1 else modulation.repeat_interleave(candidates, dim=0)

        flat = curves_db.reshape(batch * candidates, 1, frames) / _DB_PER_UNIT
        change = torch.diff(flat, dim=2, prepend=flat[..., :1])
        h = self.candidate_enter(_framed(torch.cat([flat, 4.0 * change], dim=1)))
        h = h * (1 + shared(self.fine_scale, fine)) + shared(self.fine_shift, fine)
        for block in self.candidate_fine:
            h = block(h, None, None)
        h = self.candidate_down(h)
        h = h * (1 + shared(self.coarse_scale, coarse)) + shared(self.coarse_shift, coarse)
        for block in self.candidate_coarse:
            h = block(h, None, None)
        h = functional.relu(h).squeeze(2).float()
        weight = torch.softmax(self.attention(h.unsqueeze(2).to(coarse.dtype)).squeeze(2).float(), dim=2)
        pooled = torch.cat([h.mean(2), h.amax(2), (weight * h).sum(2)], dim=1)
        return torch.as_tensor(self.leave(pooled).float().reshape(batch, candidates))


def build_profile_net(config_json: str, tensors: Mapping[str, torch.Tensor]) -> ProfileNet:
    """Make a network from stored sizes and tensors (of any float type), ready to run.

    Raises:
        WeightsCorruptError: The tensors do not fit the sizes.
    """
    return filled(ProfileNet(ProfileNetConfig.from_json(config_json)), tensors)


def _framed(x: torch.Tensor) -> torch.Tensor:
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, kernel), stride=(1, stride))


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1)
