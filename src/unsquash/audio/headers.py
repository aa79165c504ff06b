"""What headers announce: libsndfile reads a file that was cut off as if it were whole.

Source:
    RIFF/WAVE: Microsoft, Multimedia Programming Interface 1.0. RF64: EBU Tech 3306. W64: Sony Wave64.
    AIFF: Apple, AIFF 1.3. CAF: Apple Core Audio Format. AU: Sun. Ogg: RFC 3533. MP3: the Xing/Info frame.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

_STREAMED = {0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFF000, 0x100000000)}
_STREAMED |= set(range(0x7F000000, 0x7F001000))  # AIFF by sox
_MAX_CHUNKS = 1000
_MAX_FORM_BYTES = 1000
_FOUR_GIB = 2**32
_OGG_PAGE_BYTES = 65_307


def missing_bytes(path: Path) -> int:
    """Return how many bytes of audio the header announces beyond the end of the file.

    Sizes that programs write into pipes, where they cannot know better (0, 0xFFFFFFFF and the like),
    announce nothing. Formats that carry no size give 0.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(16)
        file.seek(0)
        if magic[:4] in (b"RIFF", b"RIFX", b"FORM"):
            end = _iff_end(file, little_endian=magic[:4] == b"RIFF")
        elif magic[:4] in (b"RF64", b"BW64"):
            end = _rf64_end(file)
        elif magic[:4] == b"riff":
            end = _w64_end(file)
        elif magic[:4] == b"caff":
            end = _caf_end(file)
        elif magic[:4] == b".snd" and len(magic) >= 12:
            offset, data = struct.unpack(">II", magic[4:12])
            end = None if data in _STREAMED else offset + data
        elif magic[:4] == b"OggS":
            end = _ogg_end(file, size)
        else:
            end = None
    return 0 if end is None else max(0, end - size)


def w64_data_bytes(path: Path) -> int | None:
    """Return the size of a W64's samples; libsndfile takes chunks after them for samples too."""
    with path.open("rb") as file:
        end = _w64_end(file)
        return None if end is None else end - file.tell()


def mp3_announcement(path: Path) -> tuple[int, int]:
    """Return the frame count that an MP3's Xing or Info frame announces, and how many bytes are missing.

    The count is 0 where it is not announced: libmpg123 then guesses the length from the first frame's
    bit rate, and libsndfile cuts the recording off there.
    """
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(start)
        match = re.search(rb"\xff[\xe2-\xff][^\xff].{1,48}?(?:Xing|Info)(.{12})", file.read(4096), re.DOTALL)
        available = os.fstat(file.fileno()).st_size - start - (match.start() if match else 0)
    if match is None:
        return 0, 0
    flags, frames, size = struct.unpack(">III", match[1])
    announced = frames if flags & 1 else 0
    return announced, max(0, size - available) if flags & 3 == 3 else 0


def sized_wav_header(path: Path) -> tuple[bytes, int] | None:
    """Return a header that tells the true size of a streamed WAV where libsndfile would not find it.

    libsndfile takes a size of 0xFFFFFFFF to mean "to the end" up to 4 GiB only, and a size of 0 literally.

    Returns:
        An RF64 header and the offset of the samples that it stands before, or None if none is needed.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return None
        file.seek(12)
        form = b""
        for _ in range(_MAX_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                return None
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                break
            if name == b"fmt " and size <= _MAX_FORM_BYTES:
                form = head + file.read(size + size % 2)
            else:
                file.seek(size + size % 2, os.SEEK_CUR)
        offset = file.tell()
        length = os.fstat(file.fileno()).st_size - offset
        is_streamed = (
            size in _STREAMED and length > 0 and (size > 0 or not _are_chunks(file, offset + length))
        )
    if not is_streamed or (size > 0 and length < _FOUR_GIB):
        return None
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, 4 + 36 + len(form) + 8 + length, length, 0, 0)
    header = b"RF64\xff\xff\xff\xffWAVE" + ds64 + form + b"data\xff\xff\xff\xff"
    return header, offset


def _are_chunks(file: BinaryIO, end: int) -> bool:
    """Return whether well-formed chunks fill the rest of a RIFF file."""
    while file.tell() < end:
        head = file.read(8)
        if len(head) < 8 or not head[:4].isascii() or not head[:4].decode().isprintable():
            return False
        size = struct.unpack("<I", head[4:])[0]
        file.seek(size + size % 2, os.SEEK_CUR)
    return file.tell() - end in (0, 1)


def _iff_end(file: BinaryIO, *, little_endian: bool) -> int | None:
    """Find the end of the `data` (RIFF) or `SSND` (AIFF) chunk."""
    layout = "<4sI" if little_endian else ">4sI"
    file.seek(12)
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return None
        name, size = struct.unpack(layout, head)
        if name in (b"data", b"SSND"):
            return None if size in _STREAMED else file.tell() + int(size)
        file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _rf64_end(file: BinaryIO) -> int | None:
    """As `_iff_end`, with the size of `data` in the `ds64` chunk."""
    file.seek(12)
    data_size: int | None = None
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return None
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            size = data_size if size == 0xFFFFFFFF else size
            return file.tell() + size if size else None
        if name == b"ds64":
            body = file.read(16)
            if len(body) == 16:
                data_size = struct.unpack("<Q", body[8:])[0]
            file.seek(-len(body), os.SEEK_CUR)
        file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _w64_end(file: BinaryIO) -> int | None:
    """Chunks carry a 16-byte name and a 64-bit size that counts both; they start at multiples of 8."""
    file.seek(40)
    for _ in range(_MAX_CHUNKS):
        head = file.read(24)
        if len(head) < 24:
            return None
        size = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return file.tell() - 24 + int(size) if 24 < size < 2**62 else None
        if not 24 <= size < 2**62:
            return None
        file.seek((size + 7) // 8 * 8 - 24, os.SEEK_CUR)
    return None


def _caf_end(file: BinaryIO) -> int | None:
    """Chunks carry a signed 64-bit size; -1 for data that runs to the end of the file."""
    file.seek(8)
    for _ in range(_MAX_CHUNKS):
        head = file.read(12)
        if len(head) < 12:
            return None
        name, size = struct.unpack(">4sq", head)
        if name == b"data":
            return file.tell() + int(size) if size > 0 else None
        if size < 0:
            return None
        file.seek(size, os.SEEK_CUR)
    return None


def _ogg_end(file: BinaryIO, size: int) -> int | None:
    """Find where the last page that begins in the file ends."""
    start = max(0, size - 2 * _OGG_PAGE_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return None
    header = tail[page : page + 27]
    if len(header) < 27:
        return start + page + 27
    segments = header[26]
    lacing = tail[page + 27 : page + 27 + segments]
    return start + page + 27 + segments + sum(lacing)
