"""Chunks that speak of positions, loudness or treatment, made true again for the output.

Source:
    EBU Tech 3285 (bext), EBU R98 (coding history), iXML 3.0, Microsoft (cue, LIST-adtl, smpl).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from unsquash.tags.chunks import Chunk

_ALWAYS_STALE = {b"levl", b"MD5 "}
_POSITIONS_UNKNOWN = {b"plst", b"r64m", b"regn", b"MARK", b"COMT", b"INST", b"mark", b"strg"}
_BEXT_LOUDNESS = 412
_BEXT_HISTORY = 602
_NOT_SET = 0x7FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the output holds, as far as tags speak of it.

    Attributes:
        sample_rate: Hz.
        start, stop: the part of the input that it holds, in samples.
        is_whole: whether that is all of it.
        changed: whether samples differ from the input's.
        integrated_lufs, true_peak_dbtp, loudness_range_lu: of the output.
        album_lufs, album_peak_dbtp: of all outputs of the album, if it is part of one.
        coding: a line for the coding history, such as `A=PCM,F=44100,W=24,M=stereo,T=unsquash`.
    """

    sample_rate: int
    start: int
    stop: int
    is_whole: bool
    changed: bool
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    loudness_range_lu: float | None
    coding: str
    album_lufs: float | None = None
    album_peak_dbtp: float | None = None


def true_again(chunks: list[Chunk], outcome: Outcome) -> tuple[list[Chunk], list[str]]:
    """Return the chunks as they hold for the output, and the names of those that cannot be kept.

    An excerpt moves cue points and loops with it and drops those outside; the time stamp of `bext` and
    iXML moves too. Chunks with positions in forms that are not known here stay behind.
    """
    cues = _kept_cues(chunks, outcome)
    kept: list[Chunk] = []
    dropped: list[str] = []
    for chunk in chunks:
        if (chunk.name in _ALWAYS_STALE and outcome.changed) or (
            chunk.name in _POSITIONS_UNKNOWN and not outcome.is_whole
        ):
            dropped.append(chunk.name.decode("latin-1").strip())
            continue
        body: bytes | None = chunk.body
        if chunk.name == b"bext":
            body = _bext(chunk.body, outcome)
        elif not outcome.is_whole:
            body = _moved(chunk, outcome, cues)
        if body is not None:
            kept.append(Chunk(chunk.name, body))
    return kept, dropped


def _moved(chunk: Chunk, outcome: Outcome, cues: set[int]) -> bytes | None:
    if chunk.name == b"cue ":
        return _cue(chunk.body, outcome)
    if chunk.name == b"LIST" and chunk.body[:4] == b"adtl":
        return _labels(chunk.body, cues)
    if chunk.name == b"smpl":
        return _loops(chunk.body, outcome)
    if chunk.name == b"iXML":
        return _ixml(chunk.body, outcome.start)
    return chunk.body


def _bext(body: bytes, outcome: Outcome) -> bytes:
    if len(body) < _BEXT_HISTORY:
        return body
    new = bytearray(body)
    if outcome.start:
        reference = struct.unpack_from("<Q", new, 338)[0]
        struct.pack_into("<Q", new, 338, (reference + outcome.start) % 2**64)
    if not outcome.changed and outcome.is_whole:
        return bytes(new)
    if struct.unpack_from("<H", new, 346)[0] >= 2:
        values = (outcome.integrated_lufs, outcome.loudness_range_lu, outcome.true_peak_dbtp, None, None)
        hundredths = [_NOT_SET if value is None else _hundredths(value) for value in values]
        struct.pack_into("<5h", new, _BEXT_LOUDNESS, *hundredths)
    history = bytes(new[_BEXT_HISTORY:]).split(b"\0", 1)[0]
    if history and not history.endswith(b"\n"):
        history += b"\r\n"
    return bytes(new[:_BEXT_HISTORY]) + history + outcome.coding.encode("ascii", "replace") + b"\r\n"


def _hundredths(value: float) -> int:
    return max(-0x8000, min(_NOT_SET - 1, round(100 * value)))


def _cue_points(body: bytes) -> list[bytes]:
    if len(body) < 4:
        return []
    count = min(struct.unpack_from("<I", body)[0], (len(body) - 4) // 24)
    return [body[4 + 24 * n : 28 + 24 * n] for n in range(count)]


def _kept_cues(chunks: list[Chunk], outcome: Outcome) -> set[int]:
    points = (point for chunk in chunks if chunk.name == b"cue " for point in _cue_points(chunk.body))
    return {struct.unpack_from("<I", point)[0] for point in points if _is_kept(point, outcome)}


def _is_kept(point: bytes, outcome: Outcome) -> bool:
    return bool(outcome.start <= struct.unpack_from("<I", point, 20)[0] < outcome.stop)


def _cue(body: bytes, outcome: Outcome) -> bytes | None:
    moved = b""
    for point in _cue_points(body):
        if _is_kept(point, outcome):
            name, position, chunk, chunk_start, block_start, offset = struct.unpack("<II4sIII", point)
            position = max(0, position - outcome.start)
            offset -= outcome.start
            moved += struct.pack("<II4sIII", name, position, chunk, chunk_start, block_start, offset)
    return struct.pack("<I", len(moved) // 24) + moved if moved else None


def _labels(body: bytes, cues: set[int]) -> bytes | None:
    kept = b""
    place = 4
    while place + 12 <= len(body):
        size, name = struct.unpack_from("<II", body, place + 4)
        end = place + 8 + size + size % 2
        if name in cues:
            kept += body[place:end].ljust(end - place, b"\0")
        place = end
    return b"adtl" + kept if kept else None


def _loops(body: bytes, outcome: Outcome) -> bytes:
    if len(body) < 36:
        return body
    count, extra = struct.unpack_from("<II", body, 28)
    count = min(count, (len(body) - 36) // 24)
    kept = b""
    for n in range(count):
        loop = list(struct.unpack_from("<6I", body, 36 + 24 * n))
        if outcome.start <= loop[2] <= loop[3] < outcome.stop:
            loop[2:4] = loop[2] - outcome.start, loop[3] - outcome.start
            kept += struct.pack("<6I", *loop)
    return body[:28] + struct.pack("<II", len(kept) // 24, extra) + kept + body[36 + 24 * count :]


def _ixml(body: bytes, start: int) -> bytes:
    """Move the time stamps, which iXML splits into two halves of 32 bits."""
    pairs = (
        (b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"),
        (b"BWF_TIME_REFERENCE_HIGH", b"BWF_TIME_REFERENCE_LOW"),
    )
    for high_name, low_name in pairs:
        pattern = {name: rb"(<%s>\s*)(\d{1,10})(\s*</%s>)" % (name, name) for name in (high_name, low_name)}
        high, low = re.search(pattern[high_name], body), re.search(pattern[low_name], body)
        if high is None or low is None:
            continue
        moved = (int(high[2]) << 32) + int(low[2]) + start
        for name, value in ((high_name, moved >> 32), (low_name, moved & 0xFFFFFFFF)):
            body = re.sub(pattern[name], rb"\g<1>%d\g<3>" % value, body, count=1)
    return body
