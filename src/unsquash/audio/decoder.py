"""libsndfile with exact positions and lengths, and errors in words."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile

from unsquash.audio.formats import BYTES_PER_SAMPLE
from unsquash.audio.headers import missing_bytes, mp3_announcement, sized_wav_header, w64_data_bytes
from unsquash.audio.iff import read_channel_mask
from unsquash.audio.libsndfile import StreamedSoundFile, from_file_order
from unsquash.audio.raw import RawFormat, frame_bytes
from unsquash.audio.views import EndlessFile, ReheadedFile
from unsquash.errors import AudioReadError, InputError, UnsupportedAudioError
from unsquash.units import Float64Array, to_planar

COUNTING_BLOCK_FRAMES = 65_536
_UNKNOWN_FRAMES = 2**63 - 1
_MP3_SLACK_FRAMES = 2 * 1152  # encoders disagree whether the frame that announces the length counts
_SEEKABLE_TO_THE_SAMPLE = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW", "MPEG_LAYER_")
_CONVERT = "if it is audio, convert it first, for example with: ffmpeg -i INPUT out.wav"
_REPAIR = "copy or download it again; what is there can be saved with: ffmpeg -i INPUT repaired.wav"


class Decoder:
    """An open file that decodes to float64 from any position, to the sample.

    Where libsndfile's own seek misses (Vorbis, Opus, ADPCM) the file is decoded onwards, and from its
    beginning again to go back.

    Attributes:
        container, subtype, sample_rate, channels: as libsndfile reports them.
        channel_mask: the loudspeakers that the channels are for; None where the file does not say.
        frames: samples per channel, counted where the file does not say or libsndfile only guesses.

    Args:
        path: the file.
        raw: what its samples are, if it has no header.

    Raises:
        AudioReadError: the file is missing, empty, truncated or no audio.
    """

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        self._path = path
        self._raw = raw
        self._name = name = f"'{path}'"
        _require_file(path, name)
        with self._errors():
            lacking = missing_bytes(path) if raw is None else -path.stat().st_size % frame_bytes(raw)
        if lacking:
            raise AudioReadError(f"{name} is truncated: at least {lacking} bytes are missing", hint=_REPAIR)
        self._open_file: Callable[[], io.RawIOBase] | None = None
        self._backing: io.RawIOBase | None = None
        with self._errors():
            header = sized_wav_header(path) if raw is None else None
            self.channel_mask = read_channel_mask(path) if raw is None else None
        if header is not None:
            self._open_file = lambda: ReheadedFile(path, *header)
        self._sound = self._open()
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.container = "WAV" if header is not None else str(self._sound.format).replace("WAVEX", "WAV")
        self.subtype = str(self._sound.subtype)
        self._position = 0
        try:
            self.frames = self._measure()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._sound.close()
        if self._backing is not None:
            self._backing.close()

    def read(self, start: int, frames: int) -> Float64Array:
        """Decode up to `frames` samples from `start`; fewer only at the end of what can be decoded.

        Shape:
            `(C, t)` contiguous, t ≤ `frames`.
        """
        with self._errors():
            self._move_to(start)
            interleaved = self._sound.read(frames, dtype="float64", always_2d=True)
        self._position += len(interleaved)
        return to_planar(from_file_order(interleaved, self.container))

    def truncated(self, end: int) -> AudioReadError:
        """Return the error for a file that ends at the sample `end`, before what it announces."""
        return AudioReadError(
            f"{self._name} is truncated: it announces {self.frames / self.sample_rate:.3f} s "
            f"and ends after {end / self.sample_rate:.3f} s",
            hint=_REPAIR,
        )

    def _open(self) -> StreamedSoundFile:
        if self._raw is None and self._path.suffix.lower() == ".raw":
            raise UnsupportedAudioError(
                f"{self._name} has no header that says what it holds",
                hint="say it, for example with: --input-format s16le:44100:2",
            )
        with self._errors():
            if self._raw is not None:
                return StreamedSoundFile(
                    os.fsencode(self._path) if os.name == "posix" else str(self._path),
                    samplerate=self._raw.sample_rate,
                    channels=self._raw.channels,
                    format="RAW",
                    subtype=self._raw.subtype,
                    endian=self._raw.endian,
                )
            if self._open_file is None:
                return StreamedSoundFile(os.fsencode(self._path) if os.name == "posix" else str(self._path))
            self._backing = self._open_file()
            try:
                return StreamedSoundFile(self._backing)
            except BaseException:
                self._backing.close()
                raise

    def _reopen(self) -> None:
        self.close()
        self._sound = self._open()
        self._position = 0

    def _measure(self) -> int:
        """Return the true length; find out early that the end of a compressed file is missing."""
        frames: int = self._sound.frames
        lacking = 0
        if self.subtype.startswith("MPEG"):
            announced, lacking = mp3_announcement(self._path)
            if not announced:
                self._open_file = lambda: EndlessFile(self._path)
                return self._count()
        elif frames == _UNKNOWN_FRAMES:
            return self._count()
        elif self.container == "W64" and self.subtype in BYTES_PER_SAMPLE:
            size = w64_data_bytes(self._path)
            block = BYTES_PER_SAMPLE[self.subtype] * self.channels
            return frames if size is None else min(frames, size // block)
        elif frames == 0 or self.container != "FLAC":
            return frames
        self.frames = frames
        if self._has_end():
            return frames
        counted = self._count()
        if lacking or counted < frames - _MP3_SLACK_FRAMES:
            raise self.truncated(counted)
        return counted

    def _has_end(self) -> bool:
        """Return whether the last announced sample can be decoded."""
        try:
            last = self.read(self.frames - 1, 1)
        except AudioReadError as error:
            raise AudioReadError(f"{self._name} is truncated or damaged", hint=_REPAIR) from error
        self._reopen()
        return bool(last.shape[1] == 1)

    def _count(self) -> int:
        self._reopen()
        while self.read(self._position, COUNTING_BLOCK_FRAMES).shape[1]:
            pass
        frames = self._position
        self._reopen()
        return frames

    def _move_to(self, position: int) -> None:
        if position == self._position:
            return
        if self.subtype.startswith(_SEEKABLE_TO_THE_SAMPLE):
            self._position = self._sound.seek(position)
            return
        if position < self._position:
            self._reopen()
        while self._position < position:
            step = min(COUNTING_BLOCK_FRAMES, position - self._position)
            decoded = len(self._sound.read(step, dtype="float64", always_2d=True))
            if not decoded:
                raise self.truncated(self._position)
            self._position += decoded

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except PermissionError as error:
            raise _forbidden(self._name) from error
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".") or "it is damaged"
            raise AudioReadError(f"{self._name} cannot be read as audio: {reason}", hint=_CONVERT) from error
        except OSError as error:
            raise AudioReadError(
                f"{self._name} cannot be read: {error.strerror}", hint="check the disk or the connection"
            ) from error


def _require_file(path: Path, name: str) -> None:
    try:
        size = path.stat().st_size
    except PermissionError as error:
        raise _forbidden(name) from error
    except (OSError, ValueError) as error:
        raise AudioReadError(f"{name} does not exist", hint="check the spelling of the path") from error
    if path.is_dir():
        raise AudioReadError(f"{name} is a folder", hint="give the audio files in it")
    if not path.is_file():
        raise AudioReadError(f"{name} is not a regular file", hint="give - and pipe the audio to stdin")
    if size == 0:
        raise AudioReadError(f"{name} is empty", hint="check that it was copied or downloaded completely")


def _forbidden(name: str) -> AudioReadError:
    return AudioReadError(f"no permission to read {name}", hint="change its permissions, or run as its owner")
