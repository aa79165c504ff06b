"""What a recording carries beside its samples, whatever its container and with what is installed."""

from __future__ import annotations

import struct
from pathlib import Path

import soundfile

from unsquash.tags import textchunks
from unsquash.tags.chunks import Walk, read_chunks
from unsquash.tags.model import Tags

CHUNKED = {"WAV": "RIFF", "RF64": "RIFF", "AIFF": "FORM", "CAF": "caff"}
_APE = {"TRACK": "TRACKNUMBER", "YEAR": "DATE"}
ID3_CHUNKS = (b"id3 ", b"ID3 ")
_DAMAGE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    struct.error,
)


def has_mutagen() -> bool:
    """Return whether mutagen, an optional dependency, is installed."""
    try:
        import mutagen
    except ImportError:
        return False
    return bool(mutagen.version)


def read_tags(path: Path, container: str, subtype: str, walk: Walk, room_bytes: int) -> Tags:
    """Read everything that can be understood; damage ends in a remark, not in an error.

    Args:
        path: the file.
        container: as libsndfile names it.
        subtype: as libsndfile names it.
        walk: finds chunks.
        room_bytes: how much of them is taken.
    """
    if container == "RAW":
        return Tags(family="none")
    if container in CHUNKED or container == "W64":
        return _from_chunks(path, CHUNKED.get(container, "RIFF"), walk, room_bytes)
    if not has_mutagen():
        return _from_libsndfile(path)
    import mutagen

    from unsquash.tags import vorbis

    try:
        if vorbis.holds(container, subtype):
            return vorbis.read(path, container, subtype)
        return _from_mp3(path) if container == "MP3" else _from_libsndfile(path)
    except (mutagen.MutagenError, *_DAMAGE) as error:
        return Tags(family="none", problems=[f"its tags are damaged and stay behind ({error})"])


def _from_chunks(path: Path, family: str, walk: Walk, room_bytes: int) -> Tags:
    with path.open("rb") as file:
        chunks, problems = read_chunks(file, walk, room_bytes)
    carried = [chunk for chunk in chunks if chunk.name not in ID3_CHUNKS]
    tags = Tags(family=family, chunks=carried, problems=problems)
    tags.pairs = textchunks.text_of(tags.chunks)
    for chunk in chunks:
        if chunk.name in ID3_CHUNKS:
            _add_id3(tags, chunk.body)
    return tags


def _add_id3(tags: Tags, data: bytes) -> None:
    """Take in an ID3 tag; its fields come before those of text chunks."""
    tags.id3 = data
    if not has_mutagen():
        return
    import mutagen

    from unsquash.tags import id3

    try:
        pairs, tags.pictures, tags.unmapped = id3.parse(data)
        id3.load(data)
    except (mutagen.MutagenError, *_DAMAGE) as error:
        tags.id3 = None
        tags.problems.append(f"its ID3 tag is damaged and stays behind ({error})")
        return
    names = {name.upper() for name, _ in pairs}
    tags.pairs = pairs + [(name, value) for name, value in tags.pairs if name.upper() not in names]


def _from_mp3(path: Path) -> Tags:
    """Read ID3 of version 2, else 1, and the APE tag's fields that it lacks."""
    import mutagen.apev2

    from unsquash.tags import id3

    tags = Tags(family="ID3")
    try:
        ape = mutagen.apev2.APEv2(path)
    except mutagen.apev2.APENoHeaderError:
        ape = {}
    texts = [(name, value) for name, value in ape.items() if isinstance(value, mutagen.apev2.APETextValue)]
    tags.pairs = [(_APE.get(name.upper(), name.upper()), text) for name, value in texts for text in value]
    data = id3.read_file(path)
    if data is None:
        return tags
    known = {name.upper() for name, _ in id3.parse(data)[0]}
    lacking = [(name, value) for name, value in tags.pairs if name not in known]
    if lacking:
        tag = id3.load(data)
        id3.add_custom(tag, lacking)
        data = id3.dump(tag)
    _add_id3(tags, data)
    return tags


def _from_libsndfile(path: Path) -> Tags:
    """Read the ten fields that libsndfile knows."""
    names = {"tracknumber": "TRACKNUMBER", "software": "ENCODER"}
    try:
        with soundfile.SoundFile(path) as file:
            found = file.copy_metadata()
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return Tags(family="strings")
    pairs = [(names.get(name, name.upper()), value) for name, value in found.items()]
    return Tags(family="strings", pairs=pairs)
