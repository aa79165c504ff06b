"""ID3 tags, by mutagen: copied frame by frame, or mapped to and from fields.

Source:
    https://id3.org; the names of Picard, https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

from mutagen.id3 import (
    APIC,
    COMM,
    ID3,
    TXXX,
    UFID,
    USLT,
    Frames,
    ID3NoHeaderError,
    TextFrame,
    UrlFrame,
    delete,
)

from unsquash.tags.model import Pairs, Picture, is_among

_TEXT_FRAMES = {
    "TIT1": "GROUPING",
    "TIT2": "TITLE",
    "TIT3": "SUBTITLE",
    "TPE1": "ARTIST",
    "TPE2": "ALBUMARTIST",
    "TPE3": "CONDUCTOR",
    "TPE4": "REMIXER",
    "TALB": "ALBUM",
    "TCOM": "COMPOSER",
    "TEXT": "LYRICIST",
    "TDRC": "DATE",
    "TDOR": "ORIGINALDATE",
    "TCON": "GENRE",
    "TRCK": "TRACKNUMBER",
    "TPOS": "DISCNUMBER",
    "TSST": "DISCSUBTITLE",
    "TBPM": "BPM",
    "TSRC": "ISRC",
    "TPUB": "LABEL",
    "TCOP": "COPYRIGHT",
    "TENC": "ENCODEDBY",
    "TSSE": "ENCODERSETTINGS",
    "TKEY": "KEY",
    "TLAN": "LANGUAGE",
    "TMED": "MEDIA",
    "TMOO": "MOOD",
    "TSOT": "TITLESORT",
    "TSOP": "ARTISTSORT",
    "TSOA": "ALBUMSORT",
    "TSO2": "ALBUMARTISTSORT",
    "TSOC": "COMPOSERSORT",
    "TCMP": "COMPILATION",
    "TOPE": "ORIGINALARTIST",
    "TOAL": "ORIGINALALBUM",
}
_FRAME_OF = {field: frame for frame, field in _TEXT_FRAMES.items()}
_TOTALS = {"TRCK": "TRACKTOTAL", "TPOS": "DISCTOTAL"}
_TOTAL_NAMES = {"TRACKTOTAL": "TRCK", "TOTALTRACKS": "TRCK", "DISCTOTAL": "TPOS", "TOTALDISCS": "TPOS"}
_MUSICBRAINZ = "http://musicbrainz.org"
_PICARD = {
    "MusicBrainz Album Id": "MUSICBRAINZ_ALBUMID",
    "MusicBrainz Artist Id": "MUSICBRAINZ_ARTISTID",
    "MusicBrainz Album Artist Id": "MUSICBRAINZ_ALBUMARTISTID",
    "MusicBrainz Release Group Id": "MUSICBRAINZ_RELEASEGROUPID",
    "MusicBrainz Release Track Id": "MUSICBRAINZ_RELEASETRACKID",
    "MusicBrainz Work Id": "MUSICBRAINZ_WORKID",
    "MusicBrainz Disc Id": "MUSICBRAINZ_DISCID",
    "Acoustid Id": "ACOUSTID_ID",
    "Acoustid Fingerprint": "ACOUSTID_FINGERPRINT",
}
_PICARD_OF = {field: description for description, field in _PICARD.items()}
_STALE_FRAMES = ("RVA2", "RVAD", "XRVA", "RGAD", "TLEN")


def load(data: bytes) -> ID3:
    """Read a tag as it stands, version 2.2 as 2.4; an empty one if there is none to be understood.

    Raises:
        mutagen.MutagenError: it is damaged.
    """
    try:
        tag = ID3(fileobj=io.BytesIO(data), translate=False)
        return tag if tag.version >= (2, 3, 0) else ID3(fileobj=io.BytesIO(data))
    except ID3NoHeaderError:
        return ID3()


def read_file(path: Path) -> bytes | None:
    """Return the tag of an MP3 file, of version 2 or else 1; None if it has none.

    Raises:
        mutagen.MutagenError: it is damaged.
    """
    try:
        tag = ID3(path, translate=False)
        return dump(tag if tag.version >= (2, 3, 0) else ID3(path))
    except ID3NoHeaderError:
        return None


def dump(tag: ID3) -> bytes:
    """Return a tag as bytes, in the version that it came in (2.3 or 2.4)."""
    buffer = io.BytesIO()
    version = 3 if tag.version[:2] == (2, 3) else 4
    tag.save(fileobj=buffer, v1=0, v2_version=version, padding=lambda _info: 0)
    return buffer.getvalue()


def replace(file: BinaryIO, tag: ID3) -> None:
    """Make this the tag of an MP3 file, instead of any other; its frames move, their bytes stay.

    Raises:
        mutagen.MutagenError: the file cannot be written.
    """
    file.seek(0)
    delete(fileobj=file)
    if len(tag):
        file.seek(0)
        tag.save(fileobj=file, v1=0, v2_version=3 if tag.version[:2] == (2, 3) else 4)


def parse(data: bytes) -> tuple[Pairs, list[Picture], list[str]]:
    """Return a tag's fields, its pictures, and the frames that are neither."""
    tag = ID3(fileobj=io.BytesIO(data))
    pairs: Pairs = []
    pictures: list[Picture] = []
    unmapped: list[str] = []
    for frame in tag.values():
        name = frame.FrameID
        if name == "APIC":
            pictures.append(
                Picture(kind=int(frame.type), mime=frame.mime, description=frame.desc, data=frame.data)
            )
        elif name in _TEXT_FRAMES:
            pairs += _text_pairs(name, frame)
        elif name == "TXXX":
            key = _PICARD.get(frame.desc, frame.desc) or "TXXX"
            pairs += [(key, str(text)) for text in frame.text]
        elif name == "COMM":
            key = f"COMMENT:{frame.desc}" if frame.desc else "COMMENT"
            pairs += [(key, str(text)) for text in frame.text]
        elif name == "USLT":
            pairs.append(("LYRICS", str(frame.text)))
        elif name == "UFID" and frame.owner == _MUSICBRAINZ:
            pairs.append(("MUSICBRAINZ_TRACKID", frame.data.decode("ascii", "replace")))
        elif name in _STALE_FRAMES:
            continue
        elif name.startswith("T") and hasattr(frame, "text"):
            pairs += [(name, str(text)) for text in frame.text]
        elif name.startswith("W") and hasattr(frame, "url"):
            pairs.append((f"{name}:{frame.desc}" if name == "WXXX" else name, frame.url))
        else:
            unmapped.append(name)
    return [(name, value) for name, value in pairs if value], pictures, sorted(set(unmapped))


def build(pairs: Pairs, pictures: list[Picture]) -> ID3:
    """Return a tag of version 2.4 with fields and pictures; what has no frame becomes a custom one."""
    tag = ID3()
    totals: dict[str, str] = {}
    for name, values in _grouped(pairs).items():
        if name.upper() in _TOTAL_NAMES:
            totals[_TOTAL_NAMES[name.upper()]] = values[0]
        else:
            tag.add(_frame(name, values))
    for frame_name, total in totals.items():
        number = str(tag[frame_name].text[0]) if frame_name in tag else ""
        if "/" not in number:
            tag.add(Frames[frame_name](encoding=3, text=[f"{number}/{total}"]))
    for picture in pictures:
        add_picture(tag, picture)
    return tag


def add_picture(tag: ID3, picture: Picture) -> None:
    """Add a picture; two of one kind and description both stay."""
    description = picture.description
    while f"APIC:{description}" in tag:
        description += " "
    tag.add(
        APIC(encoding=3, mime=picture.mime, type=min(picture.kind, 20), desc=description, data=picture.data)
    )


def add_custom(tag: ID3, pairs: Pairs) -> None:
    """Add custom fields."""
    for name, values in _grouped(pairs).items():
        tag.add(_frame(name, values))


def clean(tag: ID3, *, art: bool, stale: tuple[str, ...], loudness: bool) -> None:
    """Remove custom fields and comments with `stale` names, with `loudness` frames on it; maybe pictures."""
    for key, frame in list(tag.items()):
        name = frame.FrameID
        label = frame.desc if name in ("TXXX", "COMM") else ""
        is_old = is_among(label, stale) or (loudness and name in _STALE_FRAMES)
        if is_old or (name == "APIC" and not art):
            del tag[key]
    if loudness:
        names = tuple(name.encode() for name in _STALE_FRAMES)
        tag.unknown_frames = [frame for frame in tag.unknown_frames if not frame.startswith(names)]


def _text_pairs(name: str, frame: Any) -> Pairs:
    values = frame.genres if name == "TCON" else [str(text) for text in frame.text]
    field = _TEXT_FRAMES[name]
    if name not in _TOTALS:
        return [(field, value) for value in values]
    pairs = []
    for value in values:
        number, _, total = value.partition("/")
        pairs += [(field, number), (_TOTALS[name], total)]
    return pairs


def _frame(spelling: str, values: list[str]) -> Any:
    """Return the frame for a field."""
    name = spelling.upper()
    label, description = name.partition(":")[0], spelling.partition(":")[2]
    if name in _FRAME_OF:
        return Frames[_FRAME_OF[name]](encoding=3, text=values)
    if label == "COMMENT":
        return COMM(encoding=3, lang="XXX", desc=description, text=values)
    if name in ("LYRICS", "UNSYNCEDLYRICS"):
        return USLT(encoding=3, lang="XXX", desc="", text="\n".join(values))
    if name == "MUSICBRAINZ_TRACKID":
        return UFID(owner=_MUSICBRAINZ, data=values[0].encode())
    if label == "WXXX":
        return Frames["WXXX"](encoding=3, desc=description, url=values[0])
    if name in Frames and issubclass(Frames[name], TextFrame):
        return Frames[name](encoding=3, text=values)
    if name in Frames and issubclass(Frames[name], UrlFrame):
        return Frames[name](url=values[0])
    return TXXX(encoding=3, desc=_PICARD_OF.get(name, spelling), text=values)


def _grouped(pairs: Pairs) -> dict[str, list[str]]:
    """Return the values of each field, under its first spelling; upper and lower case are the same."""
    spellings: dict[str, str] = {}
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        spelling = spellings.setdefault(name.upper(), name)
        grouped.setdefault(spelling, []).append(value)
    return grouped
