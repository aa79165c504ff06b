"""The published De-limiter: a Conv-TasNet that decodes one gain per sample, between 0 and 1.

It was trained on a scale-free loss, so its level is arbitrary: where it wants to change nothing it rests at
one half (-6.02 dB), which its engine takes off. Its normalisations reach over everything the network sees at
once; given their moments beforehand they become fixed, and a piece of a recording then gives what the whole
would give.

Source:
    Jeon & Lee, Music De-limiter Networks via Sample-wise Gain Inversion, WASPAA 2023. Conv-TasNet and its
    global layer normalisation: Luo & Mesgarani, IEEE/ACM TASLP 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

from unsquash.errors import OptionError
from unsquash.nets.sizes import Sizes, filled

_EPSILON = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class DelimiterConfig(Sizes):
    """The sizes of a De-limiter; stored with its weights. The defaults are the published ones."""

    filters: int = 512
    kernel_samples: int = 128
    stride_samples: int = 64
    blocks: int = 5
    repeats: int = 2
    bottleneck_channels: int = 128
    hidden_channels: int = 512
    skip_channels: int = 128

    def __post_init__(self) -> None:
        """Check that every size is positive and that frames overlap or touch."""
        Sizes.__post_init__(self)
        if self.stride_samples > self.kernel_samples:
            raise OptionError("the stride is longer than the kernel: samples between frames are lost")
        if self.blocks > 16 or self.repeats > 16:
            raise OptionError("more than 16 blocks or repeats are surely a mistake")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each block, in order."""
        return tuple(2**block for block in range(self.blocks)) * self.repeats

    @property
    def receptive_field_samples(self) -> int:
        """Samples to either side that can influence an output sample, once the moments are fixed."""
        return (sum(self.dilations) + 1) * self.stride_samples + self.kernel_samples


class GlobalNorm(nn.Module):
    """Bring everything at once to zero mean and unit deviation, then scale and shift each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor, moments: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise with the given mean and variance, or with those of `x`; also return them.

        Shape:
            x: `(B, C, n)`, overwritten; moments: `(2,)`.
        """
        if moments is None:
            variance, mean = torch.var_mean(x, correction=0)
            moments = torch.stack([mean, variance])
        factor = self.scale / torch.sqrt(moments[1] + _EPSILON)
        offset = self.shift - moments[0] * factor
        return torch.addcmul(offset[:, None], x, factor[:, None], out=x), moments


class Block(nn.Module):
    """Expand, look at neighbours at one dilation, and give to the residual and to the sum of skips."""

    def __init__(self, config: DelimiterConfig, dilation: int) -> None:
        super().__init__()
        outer, hidden = config.bottleneck_channels, config.hidden_channels
        self.expand = nn.Conv1d(outer, hidden, 1)
        self.slope_in = nn.Parameter(torch.tensor([0.25]))
        self.norm_in = GlobalNorm(hidden)
        self.depthwise = nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden)
        self.slope_out = nn.Parameter(torch.tensor([0.25]))
        self.norm_out = GlobalNorm(hidden)
        self.residual = nn.Conv1d(hidden, outer, 1)
        self.skip = nn.Conv1d(hidden, config.skip_channels, 1)

    def forward(self, x: torch.Tensor, moments: Iterator[torch.Tensor | None]) -> tuple[torch.Tensor, ...]:
        """Return what is added to `x`, what is added to the skips, and the moments of both norms."""
        h, first = self.norm_in(_leaky(_pointwise(self.expand, x), self.slope_in), next(moments))
        h, second = self.norm_out(_leaky(self.depthwise(h), self.slope_out), next(moments))
        return _pointwise(self.residual, h), _pointwise(self.skip, h), first, second


class Delimiter(nn.Module):
    """One gain per sample for a stereo recording."""

    def __init__(self, config: DelimiterConfig) -> None:
        super().__init__()
        self.config = config
        features = 2 * config.filters
        self.encoder = nn.Conv1d(1, config.filters, config.kernel_samples, config.stride_samples, bias=False)
        self.norm = GlobalNorm(features)
        self.bottleneck = nn.Conv1d(features, config.bottleneck_channels, 1)
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        self.slope = nn.Parameter(torch.tensor([0.25]))
        self.mask = nn.Conv1d(config.skip_channels, config.filters, 1)
        self.decoder = nn.ConvTranspose1d(
            config.filters, 1, config.kernel_samples, config.stride_samples, bias=False
        )

    @property
    def norms(self) -> int:
        """How many normalisations there are, each with its mean and variance."""
        return 1 + 2 * len(self.blocks)

    @torch.inference_mode()
    def forward(
        self, samples: torch.Tensor, moments: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gain, and the moments every normalisation used.

        Args:
            samples: at the network's rate, at least one kernel long.
            moments: of each normalisation, in order; None takes them from `samples`, over the whole batch.

        Shape:
            samples: `(B, 2, T)`; gain: `(B, T)`, linear, 0 to 1; moments: `(norms, 2)`, mean and variance.
            Samples after the last whole stride are seen by no frame; the published gain of those is one half.
        """
        batch, channels, length = samples.shape
        given: Iterator[torch.Tensor | None] = iter([None] * self.norms if moments is None else moments)
        x = _encode(samples.reshape(batch * channels, length), self.encoder).relu_()
        x, used = self.norm(x.reshape(batch, -1, x.shape[2]), next(given))
        seen = [used]
        x = _pointwise(self.bottleneck, x)
        skips = torch.zeros(())
        for block in self.blocks:
            residual, skip, *both = block(x, given)
            seen += both
            x = x.add_(residual)
            skips = skip.add_(skips.to(skip.device))
        decoded = _decode(_pointwise(self.mask, _leaky(skips, self.slope)).relu_(), self.decoder)
        return functional.pad(decoded, (0, length - decoded.shape[1])).sigmoid_(), torch.stack(seen)


def build_delimiter(config_json: str, tensors: Mapping[str, torch.Tensor]) -> Delimiter:
    """Make a network from stored sizes and tensors, ready to run.

    Raises:
        WeightsCorruptError: the tensors do not fit the sizes.
    """
    return filled(Delimiter(DelimiterConfig.from_json(config_json)), tensors)


def _leaky(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Multiply what is negative in `x`, which is overwritten, by a learned slope."""
    return functional.leaky_relu_(x, float(slope))


def _pointwise(layer: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """Apply a convolution of one tap as the matrix product that it is: torch's convolution is far slower."""
    bias = torch.as_tensor(layer.bias)[:, None]
    return torch.baddbmm(bias, layer.weight[:, :, 0].expand(len(x), -1, -1), x)


def _encode(samples: torch.Tensor, layer: nn.Conv1d) -> torch.Tensor:
    """Filter overlapping frames.

    Shape:
        samples: `(B, T)`; result: `(B, filters, n)`.
    """
    frames = samples.unfold(1, layer.kernel_size[0], layer.stride[0])
    return layer.weight[:, 0] @ frames.transpose(1, 2)


def _decode(frames: torch.Tensor, layer: nn.ConvTranspose1d) -> torch.Tensor:
    """Add overlapping frames.

    Shape:
        frames: `(B, filters, n)`; result: `(B, T)`.
    """
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    pieces = layer.weight[:, 0].T @ frames
    length = (frames.shape[2] - 1) * stride + kernel
    added = functional.fold(pieces, (1, length), (1, kernel), stride=(1, stride))
    return added[:, 0, 0]
