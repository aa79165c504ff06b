"""The engine for known settings: the exact inverse of that compressor, its state carried through the file."""

from __future__ import annotations

from dataclasses import dataclass

from unsquash.dsp.compressor import CompressorParams, CompressorState, initial_state
from unsquash.dsp.inverse import invert
from unsquash.overlap import Grid
from unsquash.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the engine is in the recording, and the compressor's state there."""

    position: int
    compressor: CompressorState


class ModelBasedEngine:
    """Undo a compressor whose settings are known.

    Args:
        params: the settings.
        sample_rate: Hz.
        channels: of the recording.
    """

    grid = Grid(core_samples=65536)

    def __init__(self, params: CompressorParams, sample_rate: float, channels: int) -> None:
        self.params = params
        self.sample_rate = sample_rate
        self.channels = channels

    def start(self) -> Progress:
        """Return the state before the first sample: a compressor at rest."""
        return Progress(position=0, compressor=initial_state(self.params, self.channels))

    def gain_db(self, samples: FloatArray, state: Progress) -> tuple[FloatArray, Progress]:
        """Return the gain that undoes the compressor, and the state after the samples.

        Raises:
            InversionError: with the time in the recording from which on there is no stable inverse.

        Shape:
            samples: `(C, T)`; gain: `(C, T)`, or `(1, T)` when the compressor is linked.
        """
        inverted = invert(
            samples,
            self.sample_rate,
            self.params,
            state.compressor,
            start_s=state.position / self.sample_rate,
        )
        after = Progress(position=state.position + samples.shape[1], compressor=inverted.state)
        return inverted.gain_db, after
