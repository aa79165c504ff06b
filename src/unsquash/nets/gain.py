"""The gain network: how many dB the dynamics were reduced by, every 64 samples.

Two rates: gated dilated convolutions at 172 frames a second see attacks, a wider stack at a quarter of that
rate sees releases, about three seconds to either side. A vector pooled over the whole file (settings do not
change within a track) scales and shifts every block (FiLM), scales the answer, and also says what was done to
the file. Nothing in it depends on where a chunk was cut, apart from the receptive field.

Source:
    Gated dilated stacks: van den Oord et al., WaveNet (2016). FiLM: Perez et al., AAAI 2018. Attentive
    statistics pooling: Okabe, Koshinaka & Shinoda, Interspeech 2018. The sizes and the loss are this
    project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from unsquash.nets.features import FRAME_SAMPLES, SUBFRAMES, WINDOW_SAMPLES, Features
from unsquash.nets.judge import Assessment, Judge, file_statistics
from unsquash.nets.sizes import Sizes, filled

COARSE_FRAMES = 4
"""Frames of the fine stack per frame of the coarse one."""

QUANTUM_SAMPLES = COARSE_FRAMES * FRAME_SAMPLES
"""Chunks must start on a multiple of this many samples at the network's rate."""

VERDICTS = ("none", "limited", "compressed")
_DB_PER_UNIT = 4.0
_NOISE_SCALE, _NOISE_RANGE = 4.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GainNetConfig(Sizes):
    """The sizes of a gain network; stored with its weights."""

    mel_bands: int = 40
    noise_bands: int = 22
    fine_channels: int = 64
    coarse_channels: int = 128
    embedding_channels: int = 64
    fine_dilations_before: tuple[int, ...] = (1, 2)
    coarse_dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32)
    fine_dilations_after: tuple[int, ...] = (1, 2, 4)
    embedding_dilations: tuple[int, ...] = (1, 2, 4, 8)

    @property
    def receptive_field_frames(self) -> int:
        """Frames to either side that can influence an output frame."""
        fine = 1 + sum(self.fine_dilations_before) + sum(self.fine_dilations_after)
        window = -(-(WINDOW_SAMPLES - FRAME_SAMPLES) // (2 * FRAME_SAMPLES))
        return fine + window + COARSE_FRAMES * (sum(self.coarse_dilations) + 1)


class GatedBlock(nn.Module):
    """Normalise, modulate, convolve with a gate, add to the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = _convolution(channels, 2 * channels, 3, dilation=dilation)
        self.out = _convolution(channels, channels, 1)

    def forward(
        self, x: torch.Tensor, scale: torch.Tensor | None, shift: torch.Tensor | None
    ) -> torch.Tensor:
        """Apply the block; without `scale` and `shift` it is not modulated."""
        h: torch.Tensor = self.norm(x)
        if scale is not None and shift is not None:
            h = torch.addcmul(shift, h, 1 + scale)
        value, gate = self.conv(h).chunk(2, dim=1)
        return x + torch.as_tensor(self.out(functional.relu(value) * torch.sigmoid(gate)))


class Embedder(nn.Module):
    """Feature frames to weighted sums from which a file's vector is pooled."""

    def __init__(self, config: GainNetConfig, features: int) -> None:
        super().__init__()
        channels = config.embedding_channels
        self.enter = _convolution(features, channels, 3)
        self.fine = GatedBlock(channels, 1)
        self.down = _downsampling(channels, channels)
        self.blocks = nn.ModuleList(GatedBlock(channels, d) for d in config.embedding_dilations)
        self.leave = _convolution(channels, channels + 1, 1)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Sum attention weights, weighted values and weighted squares over the frames.

        Shape:
            x, seen: `(B, F, 1, n)`, features to learn from and as they are; result: `(B, 1 + 2·E)`, E being
            the learned values and the F features. Sums of several windows of one file may be added.
        """
        h = self.down(self.fine(self.enter(x), None, None))
        for block in self.blocks:
            h = block(h, None, None)
        h = self.leave(h).squeeze(2).float()
        known = functional.avg_pool1d(seen.squeeze(2).float(), COARSE_FRAMES)
        weight, value = torch.sigmoid(h[:, :1]), torch.cat([h[:, 1:], known], dim=1)
        return torch.cat([weight.sum(2), (weight * value).sum(2), (weight * value.square()).sum(2)], dim=1)


class GainNet(nn.Module):
    """Gain reduction from features and the file's conditioning vector.

    Args:
        config: Its sizes.
        dropout: While training, the probability to lose a feature, or a part of what is pooled over the file:
            what says which recording this is must not be what says how much was done to it.

    Shape:
        features: `(B, F, n)` with `n` a multiple of `COARSE_FRAMES`; conditioning: `(B, 2·E)`;
        result: `(B, 4·n)`, gain reduction in dB, ≥ 0, one value per 64 samples.
    """

    def __init__(self, config: GainNetConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self._dropout = dropout
        self.config = config
        self.features = Features(config.mel_bands, config.sample_rate, config.noise_bands)
        count = self.features.count
        fine, coarse, embedding = config.fine_channels, config.coarse_channels, config.embedding_channels
        self.norm = nn.BatchNorm2d(count)
        self.embedder = Embedder(config, count)
        self.enter = _convolution(count + config.noise_bands, fine, 3)
        self.before = nn.ModuleList(GatedBlock(fine, d) for d in config.fine_dilations_before)
        self.down = _downsampling(fine, coarse)
        self.coarse = nn.ModuleList(GatedBlock(coarse, d) for d in config.coarse_dilations)
        self.up = _convolution(coarse, fine, 1)
        self.after = nn.ModuleList(GatedBlock(fine, d) for d in config.fine_dilations_after)
        self.leave = _convolution(fine, SUBFRAMES, 1)
        self._widths = [fine] * len(self.before) + [coarse] * len(self.coarse) + [fine] * len(self.after)
        self.conditioning_size = 2 * (embedding + count)
        self.hidden = nn.Linear(self.conditioning_size, embedding)
        self.modulation = nn.Linear(embedding, 2 * sum(self._widths))
        self.amount = nn.Linear(embedding, 1)
        self.judge = Judge()
        self.assessor = nn.Sequential(
            nn.Linear(self.conditioning_size, embedding), nn.ReLU(), nn.Linear(embedding, 6)
        )
        nn.init.normal_(self.modulation.weight, std=1e-3)
        nn.init.zeros_(self.modulation.bias)
        nn.init.normal_(self.leave.weight, std=0.02)

    def normalize(self, features: torch.Tensor) -> torch.Tensor:
        """Bring features to zero mean and unit deviation, in the layout the convolutions run fastest in."""
        framed = features.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return torch.as_tensor(self.norm(framed))

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Compute the sums of one window, to be added over windows and given to `pool`."""
        normalized = self.normalize(features)
        return torch.as_tensor(self.embedder(self._dropped(normalized), normalized))

    @staticmethod
    def pool(sums: torch.Tensor) -> torch.Tensor:
        """Turn sums into the weighted mean and deviation that condition the network.

        Shape:
            sums: `(B, 1 + 2·E)`; result: `(B, 2·E)`.
        """
        size = (sums.shape[1] - 1) // 2
        weight, first, second = sums[:, :1], sums[:, 1 : 1 + size], sums[:, 1 + size :]
        mean = first / weight
        deviation = (second / weight - mean.square()).clamp_min(1e-6).sqrt()
        return torch.cat([mean, deviation], dim=1)

    def assess(self, conditioning: torch.Tensor) -> Assessment:
        """Say from the pooled vector what was done to the file and how much: a task beside the main one."""
        heard = functional.dropout(conditioning, self._dropout, self.training)
        output = self.assessor(heard).float()
        logits, amount = output[:, : len(VERDICTS)], output[:, len(VERDICTS) :]
        return Assessment(logits=logits, reduction_db=_DB_PER_UNIT * functional.softplus(amount))

    def statistics(
        self, features: torch.Tensor, reduction_db: torch.Tensor, conditioning: torch.Tensor
    ) -> torch.Tensor:
        """Describe the file, its estimate and what is thought of it: what `judge` decides from."""
        return file_statistics(features, reduction_db, self.assess(conditioning))

    def forward(self, features: torch.Tensor, conditioning: torch.Tensor) -> torch.Tensor:
        """Estimate the gain reduction in dB."""
        heard = functional.dropout(conditioning, self._dropout, self.training)
        hidden = functional.dropout(functional.relu(self.hidden(heard)), self._dropout, self.training)
        modulation = iter(
            self.modulation(hidden)[..., None, None].split([2 * w for w in self._widths], dim=1)
        )

        def run(blocks: nn.ModuleList, h: torch.Tensor) -> torch.Tensor:
            for block in blocks:
                h = block(h, *next(modulation).chunk(2, dim=1))
            return h

        normalized = self.normalize(features)
        seen = torch.cat([normalized, self._moving_noise(normalized, conditioning)], dim=1)
        fine = run(self.before, self.enter(self._dropped(seen)))
        coarse = run(self.coarse, self.down(fine))
        fine = fine + self.up(coarse).repeat_interleave(COARSE_FRAMES, dim=3)
        output = self.leave(run(self.after, fine)).squeeze(2).float()
        amount_db = _DB_PER_UNIT * functional.softplus(self.amount(hidden).float())
        return amount_db * functional.softplus(output).transpose(1, 2).flatten(1)

    def _dropped(self, features: torch.Tensor) -> torch.Tensor:
        return functional.dropout2d(features, self._dropout, self.training)

    def _moving_noise(self, normalized: torch.Tensor, conditioning: torch.Tensor) -> torch.Tensor:
        """Compare the noise bands with their means over the file: an even noise moves as the gain does."""
        bands = slice(self.config.mel_bands, self.config.mel_bands + self.config.noise_bands)
        means = conditioning[:, self.config.embedding_channels :][:, bands, None, None]
        moving = (normalized[:, bands] - means) * _NOISE_SCALE
        return moving.clamp(-_NOISE_RANGE, _NOISE_RANGE).contiguous(memory_format=torch.channels_last)


def build_gain_net(config_json: str, tensors: Mapping[str, torch.Tensor]) -> GainNet:
    """Make a network from stored sizes and tensors (of any float type), ready to run.

    Raises:
        WeightsCorruptError: The tensors do not fit the sizes.
    """
    return filled(GainNet(GainNetConfig.from_json(config_json)), tensors)


def _convolution(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    padding = (0, dilation * (kernel // 2))
    return nn.Conv2d(inputs, outputs, (1, kernel), dilation=(1, dilation), padding=padding)


def _downsampling(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, COARSE_FRAMES), stride=(1, COARSE_FRAMES))
