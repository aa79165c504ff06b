"""The neural engine: the gain that a network believes was taken away, given back."""

from __future__ import annotations

import numpy as np
import torch

from unsquash.nets.gain import COARSE_FRAMES, GainNet
from unsquash.nets.timebase import RESAMPLER_EDGE_QUANTA, Timebase
from unsquash.overlap import Grid
from unsquash.units import Float64Array, FloatArray

CORE_S = 14.0
SMALLEST_CORE_S = 6.0
FULL_CORE_VALUES_PER_S = 2 * 96_000
"""Files with more values (channels · rate) a second than this are cut into shorter cores, to bound memory."""

CROSSFADE_QUANTA = 2


class NeuralEngine:
    """Estimates, without memory from chunk to chunk, one gain for all channels.

    Args:
        net: The network, on the device it shall run on.
        sample_rate: Of the file, in Hz.
        channels: Of the file.
        peak: Largest absolute sample of the whole file, linear; levels are seen relative to it.
        conditioning: What `analysis.dynamics.survey` found about the whole file.
        amount: The multiple of the estimate that is given back, found likewise.

    Shape:
        conditioning: `(2·E,)`.
    """

    def __init__(
        self,
        net: GainNet,
        sample_rate: int,
        channels: int,
        peak: float,
        conditioning: FloatArray,
        amount: float,
    ) -> None:
        self._net = net
        device = next(net.parameters()).device
        self._conditioning = torch.tensor(conditioning, dtype=torch.float32, device=device)[None]
        self._timebase = Timebase.between(sample_rate, net.config)
        self._scale = 1.0 / peak
        self._amount = amount
        quantum = self._timebase.quantum_samples
        core_s = CORE_S * min(1.0, FULL_CORE_VALUES_PER_S / (sample_rate * channels))
        field_quanta = -(-net.config.receptive_field_frames // COARSE_FRAMES)
        self._grid = Grid(
            core_samples=quantum * round(max(core_s, SMALLEST_CORE_S) * sample_rate / quantum),
            context_samples=quantum * (field_quanta + RESAMPLER_EDGE_QUANTA),
            crossfade_samples=quantum * CROSSFADE_QUANTA,
        )

    @property
    def grid(self) -> Grid:
        """How the file is to be cut: cores and context are whole frames of the network."""
        return self._grid

    def start(self) -> None:
        """Return the state before the first sample: there is none."""

    def gain_db(self, samples: FloatArray, state: None = None) -> tuple[Float64Array, None]:
        """Estimate the gain to apply to a chunk that starts on the grid.

        Shape:
            samples: `(C, T)`; result: `(1, T)`, in dB, ≥ 0.
        """
        with torch.inference_mode():
            features = self._timebase.features(samples, self._net.features, self._scale)
            reduction_db = self._net(features, self._conditioning)[0]
        curve = self._amount * reduction_db.cpu().numpy().astype(np.float64)
        return self._timebase.to_samples(curve, samples.shape[1])[None], state
