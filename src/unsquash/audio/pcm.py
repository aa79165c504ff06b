"""WAV, RF64, AU and headerless samples with headers of our own.

libsndfile refuses to write WAV into a pipe and stamps the time into float WAV files, which makes equal
runs unequal.

Source:
    Microsoft, Multimedia Programming Interface 1.0, WAVE_FORMAT_IEEE_FLOAT and WAVE_FORMAT_EXTENSIBLE.
    RF64: EBU Tech 3306. AU: Sun.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from unsquash.audio.atomic import write_all
from unsquash.audio.formats import BYTES_PER_SAMPLE, OutputFormat
from unsquash.errors import OutputError

PCM_CONTAINERS = ("WAV", "RF64", "AU", "RAW")
UNKNOWN_SIZE = 0xFFFFFFFF
MAX_DATA_BYTES = UNKNOWN_SIZE - 4096
_WAVE_PCM, _WAVE_FLOAT, _WAVE_EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")  # what follows the code of PCM or float
_AU_ENCODINGS = {"PCM_16": 3, "PCM_24": 4, "PCM_32": 5, "FLOAT": 6, "DOUBLE": 7}


def pcm_header(output: OutputFormat, data_bytes: int | None, chunks: bytes = b"") -> bytes:
    """Return the header of a file with `data_bytes` of samples; None where nobody knows yet.

    Sizes that are unknown, or too large for a WAV that goes into a pipe, become 0xFFFFFFFF. `chunks` come
    before the samples of WAV and RF64.
    """
    if output.container == "RAW":
        return b""
    if output.container == "AU":
        size = UNKNOWN_SIZE if data_bytes is None else min(data_bytes, UNKNOWN_SIZE)
        encoding = _AU_ENCODINGS[output.subtype]
        return struct.pack(">4sIIIII", b".snd", 24, size, encoding, output.sample_rate, output.channels)
    form = _wave_form(output)
    frame_bytes = BYTES_PER_SAMPLE[output.subtype] * output.channels
    frames = 0 if data_bytes is None else data_bytes // frame_bytes
    if output.is_float:
        form += struct.pack(
            "<4sII", b"fact", 4, min(frames, UNKNOWN_SIZE) if data_bytes is not None else UNKNOWN_SIZE
        )
    form += chunks
    if output.container == "RF64":
        known = data_bytes or 0
        riff_size = 4 + 36 + len(form) + 8 + known + known % 2
        start = struct.pack("<4sI4s", b"RF64", UNKNOWN_SIZE, b"WAVE")
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, riff_size, known, frames, 0)
        return start + ds64 + form + struct.pack("<4sI", b"data", UNKNOWN_SIZE)
    riff_size = UNKNOWN_SIZE if data_bytes is None else 4 + len(form) + 8 + data_bytes + data_bytes % 2
    if data_bytes is None or riff_size > UNKNOWN_SIZE:
        riff_size = data_size = UNKNOWN_SIZE
    else:
        data_size = data_bytes
    return struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + form + struct.pack("<4sI", b"data", data_size)


def _wave_form(output: OutputFormat) -> bytes:
    """Return the chunk that describes the samples of a WAV, and the loudspeakers if there are over two."""
    bits = 8 * BYTES_PER_SAMPLE[output.subtype]
    code = _WAVE_FLOAT if output.is_float else _WAVE_PCM
    frame_bytes = bits // 8 * output.channels
    numbers = (output.channels, output.sample_rate, output.sample_rate * frame_bytes, frame_bytes, bits)
    if output.channels <= 2 or output.channel_mask is None:
        return struct.pack("<4sIHHIIHH", b"fmt ", 16, code, *numbers)
    rest = (22, bits, output.channel_mask, code, _SUBFORMAT)
    return struct.pack("<4sIHHIIHHHHIH14s", b"fmt ", 40, _WAVE_EXTENSIBLE, *numbers, *rest)


class PcmStream:
    """Writes header and samples to a stream.

    Args:
        stream: where to.
        output: the format.
        frames: samples per channel to come, None if unknown.
        seekable: whether `finish` can go back and correct the header.
        chunks: to come before the samples, where there is no going back.
    """

    def __init__(
        self,
        stream: BinaryIO,
        output: OutputFormat,
        *,
        frames: int | None = None,
        seekable: bool = True,
        chunks: bytes = b"",
    ) -> None:
        self._stream = stream
        self._output = output
        frame_bytes = output.channels * BYTES_PER_SAMPLE[output.subtype]
        self._announced = None if frames is None else frames * frame_bytes
        self._seekable = seekable
        self._data_bytes = 0
        write_all(stream, pcm_header(output, self._announced, chunks))

    def write(self, interleaved: npt.NDArray[Any]) -> None:
        """Append samples as `SampleEncoder` gives them."""
        data = _to_bytes(interleaved, self._output)
        self._data_bytes += len(data)
        if self._seekable and self._output.container in ("WAV", "AU") and self._data_bytes > MAX_DATA_BYTES:
            raise OutputError(f"{self._output.container} ends at 4 GiB", hint="write .w64, .rf64 or .flac")
        write_all(self._stream, data)

    def finish(self) -> None:
        """Complete the file."""
        if self._announced is not None and self._announced != self._data_bytes:
            raise OutputError(
                f"{self._announced} bytes of audio were announced and {self._data_bytes} came",
                hint="please report this",
            )
        size_is_known = self._seekable or self._announced is not None
        if self._output.container in ("WAV", "RF64") and self._data_bytes % 2 and size_is_known:
            write_all(self._stream, b"\0")
        if self._seekable:
            self._stream.seek(0)
            write_all(self._stream, pcm_header(self._output, self._data_bytes))

    def abandon(self) -> None:
        """Leave the file as it is; what is in it is worthless."""


def _to_bytes(interleaved: npt.NDArray[Any], output: OutputFormat) -> bytes:
    """Return samples in the byte order of the container; of 24-bit ones the upper three bytes."""
    order: Literal["<", ">"] = ">" if output.container == "AU" else "<"
    ordered = interleaved.astype(interleaved.dtype.newbyteorder(order), copy=False)
    if output.subtype != "PCM_24":
        return ordered.tobytes()
    four = np.frombuffer(ordered.tobytes(), np.uint8).reshape(-1, 4)
    return (four[:, :3] if order == ">" else four[:, 1:]).tobytes()
