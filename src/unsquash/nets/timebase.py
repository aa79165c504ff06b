"""A file's own sample rate and the network's: whole frames of the one are whole samples of the other.

The network hears a file at `sample_rate · 1024 / quantum_samples`, with `quantum_samples` the whole number
that brings this nearest to 44.1 kHz (exactly there for 44.1, within 0.04 % for 48, 88.2, 96 and 192, 0.3 %
for 8 kHz: a few cents). So chunks can start on the network's frame grid at any rate, on a multiple of
`quantum_samples`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr
import torch

from unsquash.dsp.interpolation import interpolated
from unsquash.nets.features import SUBFRAME_SAMPLES, Features
from unsquash.nets.gain import QUANTUM_SAMPLES, GainNetConfig
from unsquash.nets.profile import ProfileNetConfig
from unsquash.units import Float64Array, FloatArray

RESAMPLER_EDGE_QUANTA = 2
"""What is near the ends of a resampled piece depends on its length: so much is added and thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timebase:
    """Conversion between a file's samples and the network's."""

    quantum_samples: int
    """Samples of the file per `QUANTUM_SAMPLES` of the network."""

    @staticmethod
    def between(sample_rate: int, config: GainNetConfig | ProfileNetConfig) -> Timebase:
        """Choose the conversion for a file.

        Example:
            >>> Timebase.between(48_000, GainNetConfig()).quantum_samples
            1115
        """
        return Timebase(quantum_samples=max(1, round(QUANTUM_SAMPLES * sample_rate / config.sample_rate)))

    def to_net(self, samples: FloatArray, scale: float = 1.0) -> npt.NDArray[np.float32]:
        """Scale and resample a piece that starts on the frame grid; its end is padded to a whole quantum.

        Shape:
            samples: `(C, T)`; result: `(C, n · QUANTUM_SAMPLES)`.
        """
        channels, length = samples.shape
        quanta = -(-length // self.quantum_samples)
        if self.quantum_samples == QUANTUM_SAMPLES:
            heard = np.zeros((channels, quanta * QUANTUM_SAMPLES), np.float32)
            np.multiply(samples, scale, out=heard[:, :length], casting="same_kind")
            return heard
        padded = np.zeros(((quanta + RESAMPLER_EDGE_QUANTA) * self.quantum_samples, channels), np.float32)
        np.multiply(samples.T, scale, out=padded[:length], casting="same_kind")
        padded = soxr.resample(padded, self.quantum_samples, QUANTUM_SAMPLES, "VHQ")
        return np.ascontiguousarray(padded[: quanta * QUANTUM_SAMPLES].T)

    def features(self, samples: FloatArray, extract: Features, scale: float = 1.0) -> torch.Tensor:
        """Compute what a network sees of a piece that starts on the frame grid.

        Args:
            samples: the piece.
            extract: what computes the network's features.
            scale: brings the file's peak to ±1.

        Shape:
            samples: `(C, T)`; result: `(1, F, 4·n)`, on the device of `extract`.
        """
        device = extract.window.device
        heard = torch.from_numpy(self.to_net(samples, scale)).to(device)[None]
        if self.quantum_samples == QUANTUM_SAMPLES:
            return torch.as_tensor(extract(heard))
        peaks = torch.from_numpy(self._peaks(samples, scale)).to(device)[None]
        return torch.as_tensor(extract(heard, peaks))

    def _peaks(self, samples: FloatArray, scale: float) -> npt.NDArray[np.float32]:
        """Find the largest absolute sample under each of the network's subframes, before resampling blurs it.

        Shape:
            samples: `(C, T)`, starting on the frame grid; result: `(4n,)`, as long as `to_net` makes it.
        """
        quanta = -(-samples.shape[1] // self.quantum_samples)
        count = quanta * QUANTUM_SAMPLES // SUBFRAME_SAMPLES
        loudest = np.zeros(quanta * self.quantum_samples + 1, np.float32)
        loudest[: samples.shape[1]] = np.abs(samples).max(axis=0) * scale
        starts = np.arange(count) * self.quantum_samples * SUBFRAME_SAMPLES // QUANTUM_SAMPLES
        return np.asarray(np.maximum.reduceat(loudest, starts))

    def to_samples(self, curve: FloatArray, length: int) -> Float64Array:
        """Interpolate a curve of one value per subframe (at its middle) linearly to the file's samples.

        Shape:
            curve: `(4n,)`; result: `(length,)`.
        """
        step = SUBFRAME_SAMPLES * self.quantum_samples / QUANTUM_SAMPLES
        middle = 0.5 * (SUBFRAME_SAMPLES - 1) * self.quantum_samples / QUANTUM_SAMPLES
        return interpolated(np.ascontiguousarray(curve, dtype=np.float64), middle, step, length)
