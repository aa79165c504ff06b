"""The published De-limiter as a gain engine: any rate, any channels, any length, constant memory.

The network normalises by the moments of everything it sees, so a song cut into pieces would not give what
the whole gives. Here the moments are taken once, from windows spread over the file, and then kept: chunks
agree with each other and, as far as the windows stand for the file, with the whole. A short file is one
chunk.
"""

from __future__ import annotations

import numpy as np
import soxr
import torch

from unsquash.audio import AudioSource
from unsquash.nets.delimiter import Delimiter
from unsquash.overlap import Grid
from unsquash.units import Float64Array, FloatArray

REST_GAIN_DB = 20.0 * np.log10(0.5)
"""The published network's gain where it changes nothing; its scale-free training left it there. Taken off."""

CORE_S = 2.0
"""Small enough that a layer's output stays in the processor's cache."""

WINDOW_S = 2.0
WINDOWS = 24

_QUANTUM = 1024
"""Samples at the network's rate that a whole number of file samples stands for; a multiple of its stride."""


class DelimiterEngine:
    """Estimates one gain for all channels.

    Mono is heard twice; of more than two channels the odd and the even ones are averaged. At other rates than
    the network's the file is resampled for its ears only, and the gain is interpolated back.

    Args:
        net: the network, on the device it shall run on.
        source: the whole recording; read here for the moments.
    """

    def __init__(self, net: Delimiter, source: AudioSource) -> None:
        self._net = net
        self._device = next(net.parameters()).device
        ratio = source.info.sample_rate / net.config.sample_rate
        self._quantum = max(1, round(_QUANTUM * ratio))
        window = self._samples(WINDOW_S)
        self._moments: torch.Tensor | None = None
        if source.info.frames <= WINDOWS * window:  # one chunk: the moments are its own
            self._grid = Grid(core_samples=source.info.frames, context_samples=source.info.frames)
            return
        context = -(-net.config.receptive_field_samples // _QUANTUM) + 2  # two more for the resampler's edges
        self._grid = Grid(core_samples=self._samples(CORE_S), context_samples=self._quantum * context)
        self._moments = self._survey(source, window)

    @property
    def grid(self) -> Grid:
        """How the file is to be cut: cores and context are whole frames of the network."""
        return self._grid

    def start(self) -> None:
        """Return the state before the first sample: there is none."""

    def gain_db(self, samples: FloatArray, state: None = None) -> tuple[Float64Array, None]:
        """Estimate the gain to apply to a chunk that starts on the grid.

        Shape:
            samples: `(C, T)`; result: `(1, T)`, in dB, at most 6.02.
        """
        gain, _ = self._net(self._heard(samples)[None], self._moments)
        curve_db = 20.0 * np.log10(np.maximum(gain[0].cpu().numpy().astype(np.float64), 1e-9)) - REST_GAIN_DB
        if self._quantum != _QUANTUM:
            positions = np.arange(samples.shape[1]) * (_QUANTUM / self._quantum)
            curve_db = np.interp(positions, np.arange(len(curve_db)), curve_db)
        return curve_db[np.newaxis, : samples.shape[1]], state

    def _samples(self, length_s: float) -> int:
        """Return a length in whole quanta of the file's samples."""
        return self._quantum * round(length_s * self._net.config.sample_rate / _QUANTUM)

    def _survey(self, source: AudioSource, window: int) -> torch.Tensor:
        """Return the moments of the network's normalisations over windows of the file, pooled."""
        starts = np.linspace(0, source.info.frames - window, WINDOWS).astype(int)
        heard = torch.stack([self._heard(source.read(start, start + window)) for start in starts])
        moments: torch.Tensor = self._net(heard)[1]
        return moments

    def _heard(self, samples: FloatArray) -> torch.Tensor:
        """Return a piece as the network wants it: stereo, at its rate, padded to whole quanta."""
        left = samples[0::2].mean(axis=0)
        right = samples[1::2].mean(axis=0) if len(samples) > 1 else left
        quanta = -(-samples.shape[1] // self._quantum)
        padded = np.zeros((quanta * self._quantum, 2), dtype=np.float32)
        padded[: samples.shape[1], 0] = left
        padded[: samples.shape[1], 1] = right
        if self._quantum != _QUANTUM:
            padded = soxr.resample(padded, self._quantum, _QUANTUM, "HQ")
        config = self._net.config
        strides = -(-samples.shape[1] * _QUANTUM // (self._quantum * config.stride_samples))
        length = max(config.kernel_samples, strides * config.stride_samples)
        result = np.zeros((2, length), dtype=np.float32)
        kept = min(result.shape[1], len(padded))
        result[:, :kept] = padded[:kept].T
        return torch.from_numpy(result).to(self._device)
