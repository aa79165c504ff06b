"""WAV, RF64, W64, AIFF and CAF are made of chunks: where they lie, and where the samples end.

Source:
    RIFF/WAVE: Microsoft, Multimedia Programming Interface 1.0. RF64: EBU Tech 3306. W64: Sony Wave64.
    AIFF: Apple, AIFF 1.3. CAF: Apple Core Audio Format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SAMPLES = (b"data", b"SSND")
STREAMED = {0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFF000, 0x100000000)}
STREAMED |= set(range(0x7F000000, 0x7F001000))  # AIFF by sox
"""What programs write into pipes, where they cannot know the size."""
_MAX_CHUNKS = 1000
_MAX_SIZE = 2**32 - 1
_LONGEST = 2**62
_EXTENSIBLE = 0xFFFE
_EXTENSIBLE_BYTES = 40
_FRAME_COUNTS = {b"fact": 0, b"COMM": 2}  # where they count samples per channel


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a container writes the head of a chunk."""

    first: int
    head: str
    align: int
    counts_head: bool = False

    @property
    def head_bytes(self) -> int:
        return struct.calcsize(self.head)

    def padded(self, size: int) -> int:
        return -(-size // self.align) * self.align


_RIFF = _Layout(12, "<4sI", 2)
_LAYOUTS = {
    b"RIFF": _RIFF,
    b"RIFX": _Layout(12, ">4sI", 2),
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"riff": _Layout(40, "<4s12xQ", 8, counts_head=True),
    b"FORM": _Layout(12, ">4sI", 2),
    b"caff": _Layout(8, ">4sq", 1),
}


def announced_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int | None]]:
    """Yield `(name, offset of the body, size)` as the heads of the chunks tell.

    The size is None for samples that go to the end of the file, since the program that wrote them into a
    pipe knew no better. The last chunk may end beyond the end of the file. Nothing comes from other files.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    layout = _LAYOUTS.get(file.read(4))
    if layout is None:
        return
    place = layout.first
    long_size = 0
    for _ in range(_MAX_CHUNKS):
        file.seek(min(place, end))
        head = file.read(layout.head_bytes)
        if len(head) < layout.head_bytes:
            return
        name, size = struct.unpack(layout.head, head)
        offset = place + layout.head_bytes
        if layout.counts_head:
            name, size = b"LIST" if name == b"list" else name, size - layout.head_bytes
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name in SAMPLES:
            size = long_size if long_size and size in STREAMED else size
            if _is_streamed(file, layout, offset, size, end):
                yield name, offset, None
                return
        if not 0 <= size < _LONGEST:
            return
        yield name, offset, size
        place = offset + layout.padded(size)


def walk_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield `(name, offset of the body, size)` of each chunk that is complete, samples as far as they go."""
    end = file.seek(0, os.SEEK_END)
    for name, offset, size in announced_chunks(file):
        if name in SAMPLES:
            yield name, offset, end - offset if size is None else min(size, end - offset)
        elif size is not None and offset + size <= end:
            yield name, offset, size


def read_channel_mask(path: Path) -> int | None:
    """Return the loudspeakers that a WAV, RF64 or W64 says its channels are for; None if it does not."""
    with path.open("rb") as file:
        for name, offset, size in walk_chunks(file):
            if name == b"fmt " and size >= _EXTENSIBLE_BYTES:
                file.seek(offset)
                code, mask = struct.unpack("<H18xI", file.read(24))
                return int(mask) if code == _EXTENSIBLE else None
    return None


def complete_sizes(file: BinaryIO, frames: int) -> None:
    """Write the true sizes into the header of a streamed WAV or AIFF, so that chunks can follow its samples.

    A file that is longer than its header can say stays as it is, as does one that is not streamed.

    Args:
        file: open for reading and writing.
        frames: samples per channel that it holds.
    """
    end = file.seek(0, os.SEEK_END)
    total = end + end % 2 - 8
    file.seek(0)
    magic = file.read(4)
    numbers = [(4, total)]
    for name, offset, size in announced_chunks(file):
        if size is None:
            numbers.append((offset - 4, end - offset))
            break
        if name in _FRAME_COUNTS and size >= _FRAME_COUNTS[name] + 4:
            numbers.append((offset + _FRAME_COUNTS[name], frames))
    else:
        return
    if magic not in (b"RIFF", b"RIFX", b"FORM") or total >= _MAX_SIZE:
        return
    file.seek(end)
    file.write(bytes(end % 2))
    for place, number in numbers:
        file.seek(place)
        file.write(struct.pack("<I" if magic == b"RIFF" else ">I", number))


def _is_streamed(file: BinaryIO, layout: _Layout, offset: int, size: int, end: int) -> bool:
    """Return whether a size of samples says nothing: a few whole chunks behind them would prove it true."""
    if not 0 <= size < _LONGEST:
        return True
    if size not in STREAMED:
        return False
    if layout.head_bytes > 8:
        return size == 0
    place = offset + size + size % 2
    for _ in range(_MAX_CHUNKS):
        if place >= end:
            break
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or not head[:4].isascii() or not head[:4].decode().isprintable():
            return True
        place += 8 + struct.unpack(layout.head, head)[1]
        place += place % 2
    return place - end not in (0, 1)
