"""Recordings joined into one stream, and streams cut into recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from unsquash.audio import AudioFile, AudioInfo, open_audio
from unsquash.stages import GainObserver
from unsquash.units import Float64Array, FloatArray

_BLOCK_FRAMES = 65_536


class JoinedSource:
    """Recordings one after another as one `AudioSource`; one file at a time is open.

    Args:
        infos: of files with the same rate and channels.
    """

    def __init__(self, infos: Sequence[AudioInfo]) -> None:
        self._infos = tuple(infos)
        self._ends = np.cumsum([info.frames for info in infos]).tolist()
        self.info = AudioInfo(
            sample_rate=infos[0].sample_rate,
            channels=infos[0].channels,
            frames=self._ends[-1],
            container="ARRAY",
            subtype="DOUBLE",
        )
        self._open: tuple[int, AudioFile] | None = None
        self._files = ExitStack()

    def close(self) -> None:
        """Close the file that is open."""
        self._open = None
        self._files.close()

    def blocks(
        self, start: int = 0, stop: int | None = None, block_frames: int = _BLOCK_FRAMES
    ) -> Iterator[Float64Array]:
        """See `AudioSource.blocks`."""
        stop = self.info.frames if stop is None else stop
        for first in range(start, stop, block_frames):
            yield self.read(first, min(stop, first + block_frames))

    def read(self, start: int = 0, stop: int | None = None) -> Float64Array:
        """See `AudioSource.read`.

        Raises:
            AudioReadError: a file cannot be read.
        """
        stop = self.info.frames if stop is None else stop
        parts = []
        for index, (info, end) in enumerate(zip(self._infos, self._ends, strict=True)):
            begin = end - info.frames
            first, last = max(start, begin), min(stop, end)
            if first < last:
                parts.append(self._file(index).read(first - begin, last - begin))
        if not parts:
            return np.zeros((self.info.channels, 0))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _file(self, index: int) -> AudioFile:
        if self._open is None or self._open[0] != index:
            self.close()
            path = self._infos[index].path
            if path is None:
                raise ValueError("only files can be joined")
            self._open = index, self._files.enter_context(open_audio(path))
        return self._open[1]


class DividedObserver:
    """Hand each recording's share of a joined stream's gain to that recording's observer.

    Args:
        lengths: of the recordings, in samples.
        observers: of the recordings.
    """

    def __init__(self, lengths: Sequence[int], observers: Sequence[GainObserver]) -> None:
        self._shares = list(zip(lengths, observers, strict=True))
        self._index = 0
        self._done = 0

    def observe(self, samples: FloatArray, gain_db: FloatArray) -> None:
        """Take in one block and the gain that was applied to it."""
        at = 0
        while at < samples.shape[1]:
            frames, observer = self._shares[self._index]
            end = min(samples.shape[1], at + frames - self._done)
            observer.observe(samples[:, at:end], gain_db[:, at:end])
            self._done += end - at
            at = end
            if self._done == frames:
                self._index, self._done = self._index + 1, 0


def cut_stream(blocks: Iterator[FloatArray], lengths: Iterable[int]) -> Iterator[Iterator[FloatArray]]:
    """Cut a stream into streams of given lengths; each must be used up before the next is asked for.

    Shape:
        blocks: `(C, t)` each, before and after; lengths in samples.
    """
    rest: FloatArray | None = None

    def take(frames: int) -> Iterator[FloatArray]:
        nonlocal rest
        while frames:
            block = next(blocks) if rest is None else rest
            head, tail = block[:, :frames], block[:, frames:]
            rest = tail if tail.shape[1] else None
            frames -= head.shape[1]
            yield np.ascontiguousarray(head)

    for length in lengths:
        yield take(length)
