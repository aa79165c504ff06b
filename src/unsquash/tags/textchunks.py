"""Text in chunks: RIFF's LIST-INFO, AIFF's NAME and companions, CAF's info, the fields of `bext`."""

from __future__ import annotations

import struct

from unsquash.tags.chunks import Chunk, pack_chunks, unpack_chunks
from unsquash.tags.model import Pairs

_INFO = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"ICMT": "COMMENT",
    b"ICRD": "DATE",
    b"IGNR": "GENRE",
    b"ITRK": "TRACKNUMBER",
    b"IPRT": "TRACKNUMBER",
    b"ICOP": "COPYRIGHT",
    b"ISFT": "ENCODER",
    b"ITCH": "ENCODEDBY",
    b"IENG": "ENGINEER",
    b"ILNG": "LANGUAGE",
    b"ISRC": "SOURCE",
    b"IKEY": "KEYWORDS",
    b"ISBJ": "SUBJECT",
    b"IMUS": "COMPOSER",
    b"IWRI": "LYRICIST",
}
_AIFF = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
_CAF = {
    "TRACK NUMBER": "TRACKNUMBER",
    "COMMENTS": "COMMENT",
    "YEAR": "DATE",
    "ENCODING APPLICATION": "ENCODER",
}
_BEXT = (
    ("DESCRIPTION", 0, 256),
    ("ORIGINATOR", 256, 32),
    ("ORIGINATOR_REFERENCE", 288, 32),
    ("ORIGINATION_DATE", 320, 10),
    ("ORIGINATION_TIME", 330, 8),
)
_BEXT_HISTORY = 602


def text_of(chunks: list[Chunk]) -> Pairs:
    """Return the fields that chunks of WAV, AIFF and CAF files hold as text."""
    pairs: Pairs = []
    for chunk in chunks:
        if chunk.name == b"LIST" and chunk.body[:4] == b"INFO":
            entries = unpack_chunks(chunk.body[4:])
            pairs += [(_INFO[entry.name], _text(entry.body)) for entry in entries if entry.name in _INFO]
        elif chunk.name in _AIFF:
            pairs.append((_AIFF[chunk.name], _text(chunk.body)))
        elif chunk.name == b"info":
            pairs += _caf_entries(chunk.body)
        elif chunk.name == b"bext":
            pairs += _bext_fields(chunk.body)
        elif chunk.name == b"iXML":
            pairs.append(("IXML", _text(chunk.body)))
    return list(dict.fromkeys((name, value) for name, value in pairs if value))


def info_chunk(pairs: Pairs) -> Chunk | None:
    """Return a LIST-INFO chunk with the fields that it has names for, in UTF-8; None if there are none."""
    names = {field: name for name, field in reversed(_INFO.items())}
    entries = [
        Chunk(names[name.upper()], value.encode() + b"\0") for name, value in pairs if name.upper() in names
    ]
    return Chunk(b"LIST", b"INFO" + pack_chunks(entries)) if entries else None


def aiff_chunks(pairs: Pairs) -> list[Chunk]:
    """Return AIFF's text chunks for the fields that it has names for."""
    names = {field: name for name, field in _AIFF.items()}
    return [Chunk(names[name.upper()], value.encode()) for name, value in pairs if name.upper() in names]


def caf_chunk(pairs: Pairs) -> Chunk | None:
    """Return CAF's info chunk, which takes any field; None if there is none."""
    joined: dict[str, str] = {}
    names = {field: name.lower() for name, field in _CAF.items()}
    for name, value in pairs:
        key = names.get(name.upper(), name.lower())
        joined[key] = f"{joined[key]}; {value}" if key in joined else value
    if not joined:
        return None
    body = b"".join(text.replace("\0", " ").encode() + b"\0" for entry in joined.items() for text in entry)
    return Chunk(b"info", struct.pack(">I", len(joined)) + body)


def with_software(chunks: list[Chunk], family: str, software: str) -> list[Chunk]:
    """Return chunks that name this software, in the text chunks of their family, as the last to write."""
    if family == "FORM":
        return [*chunks, Chunk(b"ANNO", software.encode())]
    entries: list[Chunk] = []
    others: list[Chunk] = []
    for chunk in chunks:
        if chunk.name == b"LIST" and chunk.body[:4] == b"INFO":
            entries += [entry for entry in unpack_chunks(chunk.body[4:]) if entry.name != b"ISFT"]
        else:
            others.append(chunk)
    entries.append(Chunk(b"ISFT", software.encode() + b"\0"))
    return [*others, Chunk(b"LIST", b"INFO" + pack_chunks(entries))]


def _caf_entries(body: bytes) -> Pairs:
    words = [_text(word) for word in body[4:].split(b"\0")]
    return [
        (_CAF.get(key.upper(), key.upper()), value)
        for key, value in zip(words[::2], words[1::2], strict=False)
    ]


def _bext_fields(body: bytes) -> Pairs:
    if len(body) < _BEXT_HISTORY:
        return []
    pairs = [(name, _text(body[start : start + size])) for name, start, size in _BEXT]
    pairs.append(("TIME_REFERENCE", str(struct.unpack_from("<Q", body, 338)[0])))
    pairs.append(("CODING_HISTORY", _text(body[_BEXT_HISTORY:])))
    return pairs


def _text(data: bytes) -> str:
    """Decode what may be UTF-8 or an old Windows encoding, up to the first zero."""
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").strip()
