"""Samples without a header, which someone has to describe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unsquash.audio.formats import BYTES_PER_SAMPLE, OutputFormat
from unsquash.errors import OptionError

_SUBTYPES = {
    "u8": "PCM_U8",
    "s8": "PCM_S8",
    "s16": "PCM_16",
    "s24": "PCM_24",
    "s32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
}
_MAGICS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"fLaC", b"OggS", b"caff", b"riff", b".snd")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFormat:
    """What headerless samples are.

    Attributes:
        subtype: as libsndfile names it.
        endian: order of the bytes.
        bytes_per_sample: 1 to 8.
        sample_rate: in Hz.
        channels: interleaved.
    """

    subtype: str
    endian: Literal["LITTLE", "BIG"]
    bytes_per_sample: int
    sample_rate: int
    channels: int


def parse_raw_format(text: str) -> RawFormat:
    """Read `ENCODING:RATE:CHANNELS`; encodings are called as ffmpeg calls them.

    Raises:
        OptionError: it is not of that form.

    Example:
        >>> parse_raw_format("s16le:44100:2").subtype
        'PCM_16'
    """
    match = re.fullmatch(r"(?:(u8|s8)|([sf])(16|24|32|64)(le|be)):(\d{1,7}):(\d{1,3})", text)
    name = "" if match is None else match[1] or match[2] + match[3]
    if match is None or name not in _SUBTYPES or int(match[6]) == 0:
        raise OptionError(
            f"'{text}' does not describe samples",
            hint="write s16le:44100:2 or the like: u8, s8, s16le, s24be, s32le, f32le, f64le and so on",
        )
    return RawFormat(
        subtype=_SUBTYPES[name],
        endian="BIG" if match[4] == "be" else "LITTLE",
        bytes_per_sample=int(name[1:]) // 8,
        sample_rate=int(match[5]),
        channels=int(match[6]),
    )


def headerless(output: OutputFormat) -> RawFormat | None:
    """Return what an output without a header holds; None where a header says it."""
    if output.container != "RAW":
        return None
    return RawFormat(
        subtype=output.subtype,
        endian="LITTLE",
        bytes_per_sample=BYTES_PER_SAMPLE[output.subtype],
        sample_rate=output.sample_rate,
        channels=output.channels,
    )


def frame_bytes(raw: RawFormat) -> int:
    """Return the bytes of one sample of all channels."""
    return raw.bytes_per_sample * raw.channels


def header_remarks(path: Path) -> tuple[str, ...]:
    """Return a warning where a file that was called headerless begins like one with a header."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in _MAGICS:
        return ()
    return (f"it begins with {magic.decode()} like a file with a header, which --input-format makes samples",)
