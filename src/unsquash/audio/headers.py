"""What headers announce: libsndfile reads a file that was cut off as if it were whole.

Source:
    RF64: EBU Tech 3306. AU: Sun. Ogg: RFC 3533. MP3: the Xing/Info frame.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from unsquash.audio.iff import SAMPLES, STREAMED, announced_chunks

_MAX_FORM_BYTES = 1000
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
        if magic[:4] == b".snd" and len(magic) >= 12:
            offset, data = struct.unpack(">II", magic[4:12])
            end = None if data in STREAMED else offset + data
        elif magic[:4] == b"OggS":
            end = _ogg_end(file, size)
        else:
            end = _announced_end(file)
    return 0 if end is None else max(0, end - size)


def w64_data_bytes(path: Path) -> int | None:
    """Return the size of a W64's samples; libsndfile takes chunks after them for samples too."""
    with path.open("rb") as file:
        return next((size for name, _, size in announced_chunks(file) if name in SAMPLES), None)


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

    libsndfile takes a size up to the end of the file literally, 0 too, and no size leads it beyond 4 GiB.

    Returns:
        An RF64 header and the offset of the samples that it stands before, or None if none is needed.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return None
        form = b""
        for name, offset, size in announced_chunks(file):
            if size is None:
                break
            if name == b"fmt " and size <= _MAX_FORM_BYTES:
                file.seek(offset - 8)
                form = file.read(8 + size + size % 2)
        else:
            return None
        file.seek(offset - 4)
        said = struct.unpack("<I", file.read(4))[0]
        length = os.fstat(file.fileno()).st_size - offset
    if length <= said:
        return None
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, 4 + 36 + len(form) + 8 + length, length, 0, 0)
    header = b"RF64\xff\xff\xff\xffWAVE" + ds64 + form + b"data\xff\xff\xff\xff"
    return header, offset


def _announced_end(file: BinaryIO) -> int | None:
    """Find the end of the samples of a file in chunks."""
    for name, offset, size in announced_chunks(file):
        if name in SAMPLES:
            return None if size is None else offset + size
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
