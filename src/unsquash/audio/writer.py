"""Writers: the same blocks in, a whole file out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy.typing as npt
import soundfile

from unsquash.audio.atomic import atomic_output, output_errors
from unsquash.audio.encoding import SampleEncoder
from unsquash.audio.formats import OutputFormat
from unsquash.audio.libsndfile import StreamedSoundFile, to_file_order
from unsquash.audio.pcm import PCM_CONTAINERS, PcmStream
from unsquash.errors import OptionError, OutputError
from unsquash.units import FloatArray

_CODEC_BLOCK_FRAMES = 4096  # libsndfile's Vorbis encoder overflows the stack on long blocks
_COMPRESSION = {"VORBIS": 0.2, "OPUS": 0.5, "MPEG_LAYER_III": 0.0}  # about 256 kbit/s in stereo


class _Stream(Protocol):
    def write(self, interleaved: npt.NDArray[Any]) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """What goes into an output beside its samples.

    Attributes:
        strings: fields for libsndfile to write, by its names (`title`, `artist`, …).
        header_chunks: chunks that a WAV in a pipe gets before its samples.
        finish: called with the file once all else is in it, before it gets its name or goes into a pipe.
    """

    strings: Mapping[str, str] = field(default_factory=dict)
    header_chunks: bytes = b""
    finish: Callable[[BinaryIO], None] | None = None


NOTHING_ATTACHED = Attachments()


class AudioWriter:
    """Takes audio block by block; made by `open_writer` and `open_pipe_writer`.

    Attributes:
        frames: samples per channel written so far.
    """

    def __init__(self, stream: _Stream, output: OutputFormat, name: str, *, dither: bool, seed: int) -> None:
        self.frames = 0
        self._name = name
        self._stream = stream
        self._output = output
        self._encoder = SampleEncoder(output, dither=dither, seed=seed)

    def write(self, samples: FloatArray) -> None:
        """Append a block.

        Shape:
            samples: `(C, t)`.

        Raises:
            OutputError: a sample would clip, or the disk is full.
        """
        if samples.ndim != 2 or samples.shape[0] != self._output.channels:
            raise OptionError(
                f"a block of shape {samples.shape} does not fit {self._output.channels} channels",
                hint="blocks are (channels, samples)",
            )
        interleaved = self._encoder.encode(samples)
        with output_errors(self._name):
            self._stream.write(interleaved)
        self.frames += samples.shape[1]


@contextlib.contextmanager
def open_writer(
    target: Path,
    output: OutputFormat,
    *,
    overwrite: bool = False,
    dither: bool = False,
    seed: int = 0,
    attachments: Attachments = NOTHING_ATTACHED,
) -> Iterator[AudioWriter]:
    """Write a file that appears under its name on a clean exit, and not at all after an error.

    Args:
        target: the output.
        output: its format, from `choose_format`.
        overwrite: replace an existing file.
        dither: add triangular dither to integers; see `wants_dither`.
        seed: of the dither.
        attachments: what goes with the samples.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    name = f"'{target}'"
    with (
        atomic_output(target, overwrite=overwrite) as file,
        writing_into(file, output, name, dither=dither, seed=seed, attachments=attachments) as writer,
    ):
        yield writer


@contextlib.contextmanager
def writing_into(
    file: BinaryIO,
    output: OutputFormat,
    name: str,
    *,
    dither: bool,
    seed: int,
    attachments: Attachments = NOTHING_ATTACHED,
) -> Iterator[AudioWriter]:
    """Write audio to an open, seekable file; `name` is what messages call it."""
    stream: PcmStream | CodecStream
    with output_errors(name):
        if output.container in PCM_CONTAINERS:
            stream = PcmStream(file, output)
        else:
            stream = CodecStream(file, output, attachments.strings)
    try:
        yield AudioWriter(stream, output, name, dither=dither, seed=seed)
    except BaseException:
        stream.abandon()
        raise
    with output_errors(name):
        stream.finish()
        if attachments.finish is not None:
            attachments.finish(file)


class CodecStream:
    """Writes the formats that libsndfile makes, to a seekable file."""

    def __init__(self, file: BinaryIO, output: OutputFormat, strings: Mapping[str, str]) -> None:
        self._guard = _Guard(file)
        self._container = output.container
        self._stamps_time = output.container == "AIFF" and output.is_float
        with self._errors():
            self._sound = StreamedSoundFile(
                self._guard,
                "w",
                samplerate=output.sample_rate,
                channels=output.channels,
                format=output.container,
                subtype=output.subtype,
                compression_level=_COMPRESSION.get(output.subtype),
                bitrate_mode="VARIABLE" if output.subtype == "MPEG_LAYER_III" else None,
            )
            for name, value in strings.items():
                setattr(self._sound, name, value)

    def write(self, interleaved: npt.NDArray[Any]) -> None:
        """Append samples as `SampleEncoder` gives them."""
        interleaved = to_file_order(interleaved, self._container)
        with self._errors():
            for start in range(0, len(interleaved), _CODEC_BLOCK_FRAMES):
                self._sound.write(interleaved[start : start + _CODEC_BLOCK_FRAMES])

    def finish(self) -> None:
        """Complete the file."""
        with self._errors():
            self._sound.close()
        if self._stamps_time:
            self._guard.file.seek(0)
            head = self._guard.file.read(4096)
            peak = head.find(b"PEAK")
            if peak >= 0:
                self._guard.file.seek(peak + 12)
                self._guard.file.write(bytes(4))

    def abandon(self) -> None:
        """Release the encoder; what it made is worthless."""
        with contextlib.suppress(soundfile.SoundFileError, OSError):
            self._sound.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what the file said rather than what libsndfile made of it."""
        try:
            yield
        except (soundfile.SoundFileError, AssertionError) as error:
            if self._guard.error is not None:
                raise self._guard.error from error
            raise OutputError(f"the encoder failed: {error}", hint="write .wav instead") from error
        if self._guard.error is not None:
            raise self._guard.error


class _Guard:
    """A file that keeps an error for later: raised inside libsndfile's callback it would be lost."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        return self._kept(lambda: self.file.write(data))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._kept(lambda: self.file.seek(offset, whence))

    def tell(self) -> int:
        return self._kept(self.file.tell)

    def read(self, count: int) -> bytes:
        return self.file.read(count)

    def _kept(self, action: Callable[[], int]) -> int:
        if self.error is None:
            try:
                return action()
            except OSError as error:
                self.error = error
        return 0
