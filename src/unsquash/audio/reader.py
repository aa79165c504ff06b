"""Sources of audio: files of any length read in blocks, and arrays behind the same interface."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from operator import index
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unsquash.audio.decoder import Decoder
from unsquash.audio.formats import MAX_CHANNELS, AudioInfo
from unsquash.audio.raw import RawFormat
from unsquash.errors import AudioReadError, OptionError, UnsupportedAudioError
from unsquash.units import Float64Array, FloatArray

BLOCK_FRAMES = 65_536
LARGEST_SAMPLE = 1e30
"""Not even integers that were written as floats without scaling are near; above it, float32 overflows."""


class AudioSource(Protocol):
    """Audio that can be read in blocks and at random, as often as wanted."""

    @property
    def info(self) -> AudioInfo:
        """What it holds."""

    def blocks(
        self, start: int = 0, stop: int | None = None, block_frames: int = BLOCK_FRAMES
    ) -> Iterator[Float64Array]:
        """Yield the samples from `start` to `stop` (None: the end) in order.

        Shape:
            `(C, t)` contiguous, t = `block_frames` but for the last block.
        """

    def read(self, start: int = 0, stop: int | None = None) -> Float64Array:
        """Return the samples from `start` to `stop` (None: the end).

        Shape:
            `(C, stop - start)` contiguous.
        """


class ArraySource:
    """An array as a source.

    Args:
        samples: float32 or float64, finite.
        sample_rate: in Hz.

    Shape:
        samples: `(C, T)` with C ≤ 8, or `(T,)` for mono.

    Example:
        >>> ArraySource(np.zeros(48000), 48000).read(0, 10).shape
        (1, 10)
    """

    def __init__(self, samples: FloatArray, sample_rate: int) -> None:
        array: np.ndarray[Any, Any] = np.asarray(samples)
        if array.dtype not in (np.float32, np.float64):
            raise UnsupportedAudioError(
                f"samples are {array.dtype}, not float32 or float64",
                hint="scale them to ±1 first, such as samples / 32768.0 for 16-bit integers",
            )
        if array.ndim == 1:
            array = array[np.newaxis]
        if array.ndim != 2 or array.shape[0] > MAX_CHANNELS:
            raise UnsupportedAudioError(
                f"samples of shape {array.shape} are not (channels, samples), channels ≤ {MAX_CHANNELS}",
                hint="transpose (samples, channels) arrays with samples.T",
            )
        try:
            sample_rate = index(sample_rate)
        except TypeError as error:
            raise UnsupportedAudioError(
                f"a sample rate of {sample_rate!r} is no whole number", hint="give an int, such as 44100"
            ) from error
        self.info = AudioInfo(
            sample_rate=sample_rate,
            channels=array.shape[0],
            frames=array.shape[1],
            container="ARRAY",
            subtype="FLOAT" if array.dtype == np.float32 else "DOUBLE",
        )
        _require_levels(array, 0, self.info)
        self._samples = array

    def blocks(
        self, start: int = 0, stop: int | None = None, block_frames: int = BLOCK_FRAMES
    ) -> Iterator[Float64Array]:
        """See `AudioSource.blocks`."""
        for first, last in _cut(self.info, start, stop, block_frames):
            yield self.read(first, last)

    def read(self, start: int = 0, stop: int | None = None) -> Float64Array:
        """See `AudioSource.read`."""
        start, stop = _range(self.info, start, stop)
        return np.array(self._samples[:, start:stop], dtype=np.float64, order="C")


class AudioFile:
    """An open audio file, as `open_audio` gives it."""

    def __init__(self, decoder: Decoder, info: AudioInfo) -> None:
        self.info = info
        self._decoder = decoder

    def blocks(
        self, start: int = 0, stop: int | None = None, block_frames: int = BLOCK_FRAMES
    ) -> Iterator[Float64Array]:
        """See `AudioSource.blocks`; raises as `read` does."""
        for first, last in _cut(self.info, start, stop, block_frames):
            yield self.read(first, last)

    def read(self, start: int = 0, stop: int | None = None) -> Float64Array:
        """See `AudioSource.read`.

        Raises:
            AudioReadError: the file ends early, cannot be decoded, or holds what can be no sample.
        """
        start, stop = _range(self.info, start, stop)
        samples = self._decoder.read(start, stop - start)
        if samples.shape[1] < stop - start:
            raise self._decoder.truncated(start + samples.shape[1])
        if self.info.is_float:
            _require_levels(samples, start, self.info)
        return samples


@contextlib.contextmanager
def open_audio(path: Path, raw: RawFormat | None = None) -> Iterator[AudioFile]:
    """Open a file of any format that libsndfile reads, told by its content, or headerless samples.

    Args:
        path: the file.
        raw: what its samples are, if it has no header.

    Raises:
        AudioReadError: missing, empty, truncated, damaged or not audio.
        UnsupportedAudioError: more than 8 channels, or a rate outside 8 to 384 kHz.
    """
    with contextlib.closing(Decoder(path, raw)) as decoder:
        info = AudioInfo(
            sample_rate=decoder.sample_rate,
            channels=decoder.channels,
            frames=decoder.frames,
            container=decoder.container,
            subtype=decoder.subtype,
            path=path,
            channel_mask=decoder.channel_mask,
        )
        yield AudioFile(decoder, info)


def _range(info: AudioInfo, start: int, stop: int | None) -> tuple[int, int]:
    stop = info.frames if stop is None else stop
    if not 0 <= start <= stop <= info.frames:
        raise OptionError(
            f"samples {start} to {stop} are not within the {info.frames} of {info.name}",
            hint="choose a part that the audio has",
        )
    return start, stop


def _cut(info: AudioInfo, start: int, stop: int | None, block_frames: int) -> Iterator[tuple[int, int]]:
    if block_frames < 1:
        raise OptionError(f"blocks of {block_frames} samples are impossible", hint="give at least 1")
    start, stop = _range(info, start, stop)
    for first in range(start, stop, block_frames):
        yield first, min(first + block_frames, stop)


def _require_levels(samples: FloatArray, start: int, info: AudioInfo) -> None:
    """Raise if a sample is NaN, infinite or beyond any level, naming the time of the first."""
    if not samples.size or max(samples.max(), -samples.min()) <= LARGEST_SAMPLE:  # never so with NaN
        return
    possible = (np.abs(samples) <= LARGEST_SAMPLE).all(axis=0)
    time_s = (start + int(np.argmin(possible))) / info.sample_rate
    what = "beyond any level" if np.isfinite(samples).all() else "that are not numbers (NaN or infinite)"
    raise AudioReadError(
        f"{info.name} holds samples {what}, the first at {time_s:.3f} s",
        hint="find out what wrote them: they are no audio, and no level could be computed",
    )
