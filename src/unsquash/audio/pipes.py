"""Standard input and output."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from unsquash.audio.atomic import output_errors, write_all
from unsquash.audio.formats import OutputFormat
from unsquash.audio.pcm import PcmStream
from unsquash.audio.writer import NOTHING_ATTACHED, Attachments, AudioWriter, writing_into
from unsquash.errors import AudioReadError, UnsquashError

_COPY_BYTES = 2**20


@contextlib.contextmanager
def spooled(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream to a temporary file, which is removed in the end, and which errors call standard input.

    libsndfile cannot read FLAC, Ogg or W64 from a pipe, and restoring takes two passes anyway.

    Raises:
        AudioReadError: nothing came, or the stream broke.
        OutputError: no room for the temporary file.
    """
    with tempfile.TemporaryDirectory(prefix="unsquash-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "standard-input"
        with path.open("wb", buffering=0) as file:
            while data := _received(stream):
                with output_errors(f"the temporary file '{path}'"):
                    write_all(file, data)
        if path.stat().st_size == 0:
            raise AudioReadError("nothing came in on standard input", hint="pipe an audio file into unsquash")
        try:
            yield path
        except UnsquashError as error:  # nobody knows the file by its name
            error.args = (str(error).replace(f"'{path}'", "standard input"),)
            raise


@contextlib.contextmanager
def open_pipe_writer(
    stream: BinaryIO,
    output: OutputFormat,
    frames: int | None = None,
    *,
    dither: bool = False,
    seed: int = 0,
    attachments: Attachments = NOTHING_ATTACHED,
) -> Iterator[AudioWriter]:
    """Write to standard output.

    WAV, AU and headerless samples go out as they come, with sizes of 0xFFFFFFFF where `frames` is None or
    the sizes do not fit. The other formats are made in a temporary file first, because their headers are
    completed last.

    Args:
        stream: where to; never closed.
        output: the format, from `choose_format`.
        frames: samples per channel to come; None if unknown.
        dither: add triangular dither to integers.
        seed: of the dither.
        attachments: what goes with the samples.

    Raises:
        BrokenPipeError: the reader went away.
        OutputError: no room for the temporary file, or more or fewer than `frames` samples came.
    """
    name = "standard output"
    if output.container in ("WAV", "AU", "RAW") or (output.container == "RF64" and frames is not None):
        with output_errors(name):
            direct = PcmStream(
                stream, output, frames=frames, seekable=False, chunks=attachments.header_chunks
            )
        yield AudioWriter(direct, output, name, dither=dither, seed=seed)
        with output_errors(name):
            direct.finish()
            stream.flush()
        return
    with tempfile.TemporaryFile(prefix="unsquash-") as file:
        with writing_into(
            file, output, "the temporary file", dither=dither, seed=seed, attachments=attachments
        ) as writer:
            yield writer
        with output_errors(name):
            file.seek(0)
            while data := file.read(_COPY_BYTES):
                write_all(stream, data)
            stream.flush()


def _received(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_COPY_BYTES)
    except OSError as error:
        raise AudioReadError(
            f"standard input broke off: {error.strerror}", hint="check the program that feeds it"
        ) from error
