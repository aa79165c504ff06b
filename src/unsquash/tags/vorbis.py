"""Vorbis comments and pictures in FLAC, Ogg Vorbis and Opus files, by mutagen."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any, BinaryIO

import mutagen.flac
import mutagen.oggopus
import mutagen.oggvorbis

from unsquash.tags.model import Pairs, Picture, Tags

_TYPES = {
    ("FLAC", "FLAC"): mutagen.flac.FLAC,
    ("OGG", "VORBIS"): mutagen.oggvorbis.OggVorbis,
    ("OGG", "OPUS"): mutagen.oggopus.OggOpus,
}
_PICTURE_FIELD = "METADATA_BLOCK_PICTURE"
_APPLICATION, _CUE_SHEET = 2, 5
_LARGEST_BLOCK = 2**24 - 64


def holds(container: str, subtype: str) -> bool:
    """Return whether files of this kind carry Vorbis comments that are understood here."""
    return _kind(container, subtype) in _TYPES


def read(path: Path, container: str, subtype: str) -> Tags:
    """Read comments, pictures, application blocks and the cue sheet.

    Raises:
        mutagen.MutagenError: they are damaged.
    """
    file = _TYPES[_kind(container, subtype)](path)
    tags = Tags(family="vorbis")
    pictures = list(getattr(file, "pictures", ()))
    for name, value in file.tags or []:
        if name.upper() != _PICTURE_FIELD:
            tags.pairs.append((name, value))
            continue
        try:
            pictures.append(mutagen.flac.Picture(base64.b64decode(value)))
        except (mutagen.flac.error, binascii.Error, ValueError):
            tags.problems.append("a damaged picture was left behind")
    tags.pictures = [
        Picture(kind=int(picture.type), mime=picture.mime, description=picture.desc, data=picture.data)
        for picture in pictures
    ]
    tags.blocks = [
        block
        for block in getattr(file, "metadata_blocks", ())
        if getattr(block, "code", None) in (_APPLICATION, _CUE_SHEET)
    ]
    return tags


def is_cue_sheet(block: Any) -> bool:
    """Return whether a FLAC block holds track positions."""
    return bool(block.code == _CUE_SHEET)


def write(
    file: BinaryIO, container: str, subtype: str, pairs: Pairs, pictures: list[Picture], blocks: list[Any]
) -> list[str]:
    """Give a file these comments, pictures and blocks and no others; return what does not fit.

    Raises:
        mutagen.MutagenError: the file cannot be written.
    """
    file.seek(0)
    kind = _kind(container, subtype)
    audio = _TYPES[kind](file)
    if audio.tags is None:
        audio.add_tags()
    audio.tags.clear()
    for name, value in pairs:
        audio.tags.append((_field_name(name), value))
    problems = []
    fitting = [picture for picture in pictures if len(picture.data) < _LARGEST_BLOCK]
    if len(fitting) < len(pictures):
        problems.append("a picture of more than 16 MiB was left behind")
    if kind[0] == "FLAC":
        audio.clear_pictures()
        for picture in fitting:
            audio.add_picture(_block(picture))
        audio.metadata_blocks[:] = [
            b for b in audio.metadata_blocks if b.code not in (_APPLICATION, _CUE_SHEET)
        ]
        audio.metadata_blocks += blocks
    else:
        for picture in fitting:
            audio.tags.append((_PICTURE_FIELD, base64.b64encode(_block(picture).write()).decode("ascii")))
    file.seek(0)
    audio.save(file)
    return problems


def _kind(container: str, subtype: str) -> tuple[str, str]:
    return container, "FLAC" if container == "FLAC" else subtype


def _field_name(name: str) -> str:
    """Return a name without what Vorbis comments forbid."""
    return "".join(c if " " <= c <= "}" and c != "=" else "_" for c in name) or "_"


def _block(picture: Picture) -> mutagen.flac.Picture:
    block = mutagen.flac.Picture()
    block.type, block.mime, block.desc, block.data = (
        picture.kind,
        picture.mime,
        picture.description,
        picture.data,
    )
    return block
