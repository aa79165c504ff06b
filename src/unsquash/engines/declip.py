"""The declipping engine: the gain that lifts flat tops to where they likeliest were; 0 dB everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.declip import DeclipScale, declip
from unsquash.overlap import Grid
from unsquash.units import FloatArray

CORE_HOPS = 128


class DeclipEngine:
    """One gain per channel, ≥ 0 dB, and above 0 only at flat tops.

    Args:
        ceilings: one per channel, as `analysis.clipping` found them.
        sample_rate: Of the file, in Hz.
    """

    def __init__(self, ceilings: Sequence[Ceiling], sample_rate: float) -> None:
        self._ceilings = tuple(ceilings)
        self._scale = DeclipScale.at(sample_rate)

    @property
    def grid(self) -> Grid:
        """How the file is to be cut: on the grid of the predictor."""
        hop = self._scale.hop
        return Grid(
            core_samples=CORE_HOPS * hop,
            context_samples=self._scale.context_samples,
            crossfade_samples=hop,
        )

    def start(self) -> None:
        """Return the state before the first sample: there is none."""

    def gain_db(self, samples: FloatArray, state: Any = None) -> tuple[FloatArray, Any]:
        """Return the gain that turns flat tops into what was cut off.

        Shape:
            samples, result: `(C, T)`.
        """
        restored = declip(samples, self._ceilings, self._scale)
        raised = restored != samples
        ratio = np.divide(restored, samples, out=np.ones_like(restored), where=raised)
        return 20.0 * np.log10(ratio), state


class SumEngine:
    """Two engines without memory whose gains add up; the first cuts the file.

    The second must not mind where a chunk starts by more than a cross-fade can hide.
    """

    def __init__(self, first: Any, second: Any) -> None:
        self._first = first
        self._second = second

    @property
    def grid(self) -> Grid:
        """The first engine's grid, with the longer context of both."""
        first, second = self._first.grid, self._second.grid
        quantum = first.context_samples
        context = quantum * -(-max(first.context_samples, second.context_samples) // quantum)
        return Grid(
            core_samples=first.core_samples,
            context_samples=context,
            crossfade_samples=first.crossfade_samples,
        )

    def start(self) -> None:
        """Return the state before the first sample: there is none."""

    def gain_db(self, samples: FloatArray, state: Any = None) -> tuple[FloatArray, Any]:
        """Return the sum of both gains.

        Shape:
            samples: `(C, T)`; result: `(C, T)`, or `(1, T)` where both engines link the channels.
        """
        return self._first.gain_db(samples, None)[0] + self._second.gain_db(samples, None)[0], state
