"""The engine for a gain that was saved: applied again, or taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from unsquash.audio import AudioInfo, AudioSource
from unsquash.overlap import Grid
from unsquash.sidecar import GainFile, sample_bytes
from unsquash.units import Float64Array, FloatArray, db_to_linear, gain_factors


class SavedGainEngine:
    """Read the gain from a file, in the blocks that it was saved in."""

    def __init__(self, gain: GainFile) -> None:
        self._gain = gain

    @property
    def grid(self) -> Grid:
        """Blocks as they were saved, so that even the last bit comes out the same."""
        return Grid(core_samples=self._gain.block_frames)

    def start(self) -> int:
        """Return the position before the first sample."""
        return 0

    def gain_db(self, samples: FloatArray, state: int) -> tuple[Float64Array, int]:
        """Return the saved gain, and the position after the samples.

        Shape:
            samples: `(C, T)`; gain: `(C, T)` or `(1, T)`.
        """
        after = state + samples.shape[1]
        return self._gain.read(state, after), after


def squashed_again(
    source: AudioSource,
    gain: GainFile,
    observe: Callable[[FloatArray, FloatArray], None],
    report: Callable[[bool], None],
) -> Iterator[FloatArray]:
    """Yield the recording as it was before the gain was applied, in the precision of its file.

    Args:
        source: the restored recording.
        gain: what was applied to it.
        observe: called with each block and the gain that is applied now.
        report: called in the end: whether the samples are the former ones bit for bit.

    Shape:
        `(C, t)`.
    """
    digest = hashlib.sha256()
    record = gain.record
    level = db_to_linear(record.level_gain_db)
    former = AudioInfo(
        sample_rate=record.sample_rate,
        channels=record.channels,
        frames=record.frames,
        container="WAV",
        subtype=record.squashed_subtype,
    )
    position = 0
    for block in source.blocks(block_frames=gain.block_frames):
        gain_db = gain.read(position, position + block.shape[1])
        position += block.shape[1]
        observe(block, -gain_db - record.level_gain_db)
        squashed = _in_precision(block / level / gain_factors(gain_db), former)
        digest.update(sample_bytes(squashed))
        yield squashed
    report(digest.hexdigest() == record.squashed_sha256)


def _in_precision(samples: Float64Array, former: AudioInfo) -> Float64Array:
    """Round to what the former file could hold."""
    if former.bit_depth is not None:
        full_scale = 2.0 ** (former.bit_depth - 1)
        return np.clip(np.rint(samples * full_scale), -full_scale, full_scale - 1.0) / full_scale
    if former.subtype == "DOUBLE":
        return samples
    return samples.astype(np.float32).astype(np.float64)
