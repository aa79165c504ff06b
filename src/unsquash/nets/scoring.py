"""Scores of many candidates for one excerpt: numpy in, numpy out."""

from __future__ import annotations

import numpy as np
import torch

from unsquash.dsp.curve_kernels import Float32Array
from unsquash.nets.profile import ProfileNet
from unsquash.parallel import in_order
from unsquash.units import Float64Array

BATCH = 16
"""More are no faster, and cost memory for every batch that is scored at the same time."""


class EncodedExcerpt:
    """An excerpt as the profile network sees it, for any number of candidates.

    Shape:
        samples: `(C, T)` at the network's rate, of any level but silence.
    """

    def __init__(self, samples: Float64Array, net: ProfileNet) -> None:
        self._net = net
        self._device = next(net.parameters()).device
        scaled = np.ascontiguousarray(samples / np.abs(samples).max(), dtype=np.float32)
        self._encoded: dict[bool, tuple[torch.Tensor, torch.Tensor]] = {}
        with torch.inference_mode():
            self._features = net.features(torch.from_numpy(scaled).to(self._device)[None])

    def scores(self, curves_db: Float32Array, *, state_known: bool, at_once: int = 1) -> Float64Array:
        """Score candidates by the gain each would have had.

        Args:
            curves_db: their gains.
            state_known: whether the state in which each began is known rather than guessed.
            at_once: how many batches to score side by side; the result is the same.

        Shape:
            curves_db: `(K, n)`; result: `(K,)`.
        """
        with torch.inference_mode():
            if state_known not in self._encoded:
                rest = torch.tensor([float(state_known)], device=self._device)
                self._encoded[state_known] = self._net.encode(self._features, rest)
            encoded = self._encoded[state_known]
            curves = torch.from_numpy(curves_db).to(self._device)
            batches = torch.split(curves, BATCH)
            scores = torch.cat([*in_order(lambda batch: self._score(encoded, batch), batches, at_once)])
        return scores.cpu().numpy().astype(np.float64)

    @torch.inference_mode()
    def _score(self, encoded: tuple[torch.Tensor, torch.Tensor], curves: torch.Tensor) -> torch.Tensor:
        return self._net.score(encoded, curves[None])[0]
