"""The chunks of WAV, RF64, AIFF and CAF files: read, appended, blanked; those of W64 only read.

A `Walk`, such as `unsquash.audio.walk_chunks`, tells where they lie: what finds the samples finds them too.

Source:
    RIFF/WAVE: Microsoft, Multimedia Programming Interface 1.0. RF64: EBU Tech 3306.
    AIFF: Apple, AIFF 1.3. CAF: Apple Core Audio Format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from unsquash.errors import OutputError

Walk: TypeAlias = Callable[[BinaryIO], Iterable[tuple[bytes, int, int]]]
"""Gives `(name, offset of the body, size)` of each chunk of a file."""
_UNKNOWN = 0xFFFFFFFF
_TEXTS = (b"id3 ", b"ID3 ", b"iXML", b"axml", b"_PMX")
_STRUCTURE = {
    b"RIFF": {b"fmt ", b"fact", b"data", b"ds64", b"PEAK", b"JUNK", b"FLLR", b"PAD ", b"junk", b"bxml"},
    b"FORM": {b"COMM", b"SSND", b"FVER", b"PEAK"},
    b"caff": {b"desc", b"data", b"free", b"kuki", b"pakt", b"chan", b"peak", b"ovvw"},
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A named piece of a file."""

    name: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a container writes the head of a chunk."""

    family: bytes
    head: str
    align: int

    @property
    def head_bytes(self) -> int:
        return struct.calcsize(self.head)

    def padded(self, size: int) -> int:
        return -(-size // self.align) * self.align


_RIFF = _Layout(b"RIFF", "<4sI", 2)
_LAYOUTS = {
    b"RIFF": _RIFF,
    b"RIFX": _Layout(b"RIFF", ">4sI", 2),
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"riff": _Layout(b"RIFF", "<16sQ", 8),
    b"FORM": _Layout(b"FORM", ">4sI", 2),
    b"caff": _Layout(b"caff", ">4sq", 1),
}


def read_chunks(file: BinaryIO, walk: Walk, room_bytes: int) -> tuple[list[Chunk], list[str]]:
    """Return what a file holds beside its samples and their description, and remarks on what is left out.

    A damaged file gives the chunks before the damage. Texts of RIFX, the big-endian WAV, come as in a WAV;
    its chunks of numbers are left out.
    """
    magic = _magic(file)
    layout = _LAYOUTS.get(magic)
    if layout is None:
        return [], []
    found: list[Chunk] = []
    problems: list[str] = []
    for name, offset, size in walk(file):
        if name in _STRUCTURE[layout.family]:
            continue
        title = f"its chunk '{name.decode('latin-1')}'"
        file.seek(offset)
        is_text = name in _TEXTS or (name == b"LIST" and file.read(4) == b"INFO")
        if size > room_bytes:
            problems.append(f"{title} is too long to be carried")
        elif magic == b"RIFX" and not is_text:
            problems.append(f"{title} holds big-endian numbers and stays behind")
        else:
            file.seek(offset)
            found.append(_reordered(Chunk(name, file.read(size)), magic, b"RIFF"))
            room_bytes -= size
    return found, problems


def pack_chunks(chunks: Iterable[Chunk], magic: bytes = b"RIFF") -> bytes:
    """Return chunks as they stand in a file that begins with `magic`."""
    layout = _LAYOUTS[magic]
    return b"".join(
        struct.pack(layout.head, chunk.name, len(chunk.body))
        + chunk.body.ljust(layout.padded(len(chunk.body)), b"\0")
        for chunk in chunks
    )


def unpack_chunks(data: bytes, magic: bytes = b"RIFF") -> list[Chunk]:
    """Undo `pack_chunks`."""
    layout = _LAYOUTS[magic]
    chunks = []
    place = 0
    while place + layout.head_bytes <= len(data):
        name, size = struct.unpack_from(layout.head, data, place)
        place += layout.head_bytes
        chunks.append(Chunk(name, data[place : place + size]))
        place += layout.padded(size)
    return chunks


def append_chunks(file: BinaryIO, chunks: Iterable[Chunk]) -> None:
    """Add chunks after the samples of a complete file, and correct the size in its header.

    Raises:
        OutputError: the file would be longer than its header can say.
    """
    magic = _magic(file)
    packed = pack_chunks((_reordered(chunk, b"RIFF", magic) for chunk in chunks), magic)
    if not packed:
        return
    end = file.seek(0, os.SEEK_END)
    padding = b"\0" * (_LAYOUTS[magic].padded(end) - end)
    file.write(padding + packed)
    total = end + len(padding) + len(packed) - 8
    if magic in (b"RF64", b"BW64"):
        file.seek(20)
        file.write(struct.pack("<Q", total))
    elif magic != b"caff":
        if total >= _UNKNOWN:
            raise OutputError("the tags do not fit below 4 GiB", hint="write .flac or .w64, or use --no-tags")
        file.seek(4)
        file.write(struct.pack("<I" if magic == b"RIFF" else ">I", total))


def blank_chunks(file: BinaryIO, walk: Walk) -> None:
    """Turn everything but samples and their description into filler, in place."""
    layout = _LAYOUTS[_magic(file)]
    filler = {b"RIFF": b"JUNK", b"FORM": b"JUNK", b"caff": b"free"}[layout.family]
    places = [
        offset - layout.head_bytes for name, offset, _ in walk(file) if name not in _STRUCTURE[layout.family]
    ]
    for place in places:
        file.seek(place)
        file.write(filler)


def _reordered(chunk: Chunk, source: bytes, target: bytes) -> Chunk:
    """Return a chunk with the sizes in its LIST in another byte order, if either file is a RIFX."""
    if b"RIFX" not in (source, target) or chunk.name != b"LIST":
        return chunk
    return Chunk(b"LIST", chunk.body[:4] + pack_chunks(unpack_chunks(chunk.body[4:], source), target))


def _magic(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(4)
