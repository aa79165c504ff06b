"""The engine for a compressor that was only estimated: its inverse and a network's estimate, averaged.

Both are wrong, but not alike: the inverse is consistent where the network is uncertain, the network is
right on average where a setting is not. Their weighted mean in dB is nearer to the truth than either.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from unsquash.dsp.compressor import CompressorParams, CompressorState, initial_state
from unsquash.dsp.inverse import Inverted, invert
from unsquash.overlap import GainEngine, Grid
from unsquash.units import Float64Array, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the next chunk begins, how much of it is context, and the compressor's state there."""

    position: int
    lead: int
    compressor: CompressorState


class HybridEngine:
    """Average the inverse of a compressor and the estimate of a network.

    Args:
        params: of the compressor.
        share: weight of its inverse, 0…1; the estimate has the rest and, where there is none, is not made.
        least_db: its reduction where it does little, which is not given back.
        neural: the network's engine, one without memory; its grid is used.
        sample_rate: Hz.
        channels: of the recording.
    """

    def __init__(
        self,
        params: CompressorParams,
        share: float,
        least_db: float,
        neural: GainEngine,
        sample_rate: float,
        channels: int,
    ) -> None:
        self._params = params
        self._share = share
        self._least_db = least_db
        self._neural = neural
        self._sample_rate = sample_rate
        self._channels = channels

    @property
    def grid(self) -> Grid:
        """The network's: the compressor's state is carried to where the next chunk begins."""
        return self._neural.grid

    def start(self) -> Progress:
        """Return the state before the first sample: a compressor at rest."""
        return Progress(position=0, lead=0, compressor=initial_state(self._params, self._channels))

    def gain_db(self, samples: FloatArray, state: Progress) -> tuple[Float64Array, Progress]:
        """Return the weighted mean of both gains, and the state where the next chunk begins.

        Raises:
            InversionError: with the time in the recording from which on there is no stable inverse.

        Shape:
            samples: `(C, T)`, cut on the grid; gain: `(1, T)`, or `(C, T)` for an unlinked compressor.
        """
        end = state.lead + self.grid.core_samples
        step = min(max(0, end - self.grid.context_samples), samples.shape[1])
        with ThreadPoolExecutor(1) as pool:
            estimate = pool.submit(self._neural.gain_db, samples, None) if self._share < 1.0 else None
            before = self._inverted(samples[:, :step], state.compressor, state.position)
            after = self._inverted(samples[:, step:], before.state, state.position + step)
            estimated_db = np.zeros(1) if estimate is None else estimate.result()[0]
        exact_db = np.concatenate([before.gain_db, after.gain_db], axis=1)
        following = Progress(position=state.position + step, lead=end - step, compressor=before.state)
        compressor_db = self._share * (exact_db - self._least_db)
        return np.asarray(compressor_db + (1.0 - self._share) * estimated_db), following

    def _inverted(self, samples: FloatArray, state: CompressorState, position: int) -> Inverted:
        return invert(samples, self._sample_rate, self._params, state, start_s=position / self._sample_rate)
