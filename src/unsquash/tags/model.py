"""What a recording says about itself, whatever the container."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unsquash.tags.chunks import Chunk

Pairs = list[tuple[str, str]]
"""Names and values as in Vorbis comments: a name may occur several times, its case means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A cover or another picture; `kind` as ID3 and FLAC number them, 3 for the front cover."""

    kind: int
    mime: str
    description: str
    data: bytes


@dataclass(slots=True, kw_only=True)
class Tags:
    """Everything that was found in a file beside its samples.

    Attributes:
        family: `RIFF`, `FORM`, `caff`, `ID3`, `vorbis` or `strings`: a raw copy is possible within one.
        pairs: the fields, as far as they are text.
        pictures: covers and the like.
        chunks: of WAV, AIFF and CAF, without the one that holds the ID3 tag.
        id3: a complete ID3 tag as it stands in the file.
        blocks: FLAC's application blocks and cue sheet, as mutagen holds them.
        unmapped: what only a copy within the family keeps.
        problems: remarks for the user.
    """

    family: str
    pairs: Pairs = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    id3: bytes | None = None
    blocks: list[Any] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


_LOUDNESS = ("REPLAYGAIN_", "R128_", "MP3GAIN_", "ITUNNORM", "LOUDNESS_")
_TREATMENT = ("UNSQUASH_",)
_ENCODING = ("ITUNSMPB", "ITUNPGAP", "ENCODER_DELAY", "METADATA_BLOCK_PICTURE")


def stale_names(*, changed: bool, replaygain: bool) -> tuple[str, ...]:
    """Return how the names of fields begin that are not true of the output any more.

    Args:
        changed: the output sounds unlike the input, or is a part of it: its loudness is another.
        replaygain: fresh loudness fields replace the old ones.
    """
    loudness = _LOUDNESS if changed or replaygain else ()
    return _ENCODING + loudness + (_TREATMENT if changed else ())


def is_among(name: str, beginnings: tuple[str, ...]) -> bool:
    """Return whether a field's name begins with one of these, in upper or lower case.

    Example:
        >>> is_among("replaygain_track_gain", stale_names(changed=True, replaygain=False))
        True
        >>> is_among("COMMENT:iTunNORM", stale_names(changed=True, replaygain=False))
        True
    """
    return name.upper().removeprefix("COMMENT:").startswith(beginnings)
