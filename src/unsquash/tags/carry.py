"""From the input's tags to the output's: what holds is copied, what no longer holds is not.

Within a family of containers (WAV and RF64; AIFF; CAF; FLAC and Ogg; MP3) everything is copied as it is;
between them fields and pictures are mapped. mutagen, an optional dependency, reads and writes ID3 and Vorbis
comments; without it chunks, and the few fields that libsndfile knows, are carried.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from unsquash.errors import OutputError
from unsquash.tags import textchunks
from unsquash.tags.broadcast import Outcome, true_again
from unsquash.tags.chunks import Chunk, Walk, append_chunks, blank_chunks, pack_chunks
from unsquash.tags.model import Pairs, Tags, is_among, stale_names
from unsquash.tags.reading import CHUNKED, has_mutagen, read_tags
from unsquash.tags.replaygain import replaygain_fields

_STRINGS = {
    "TITLE": "title",
    "COPYRIGHT": "copyright",
    "ARTIST": "artist",
    "COMMENT": "comment",
    "DATE": "date",
    "ALBUM": "album",
    "LICENSE": "license",
    "TRACKNUMBER": "tracknumber",
    "GENRE": "genre",
}
_TEXT_CHUNKS = (b"bext", b"iXML", b"NAME", b"AUTH", b"(c) ", b"ANNO", b"info")

if TYPE_CHECKING:
    from mutagen.id3 import ID3

INSTALL = "install unsquash[tags] to carry them all"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagWishes:
    """What a user may ask of tags.

    Attributes:
        keep: carry them over, and say what was done to the sound.
        art: with the pictures.
        replaygain: with fresh loudness fields.
    """

    keep: bool = True
    art: bool = True
    replaygain: bool = False


class TagCarrier:
    """Carries the tags of one input to its output.

    Args:
        path: the input.
        container, subtype: of the input, as libsndfile names them.
        wishes: what the user wants.
        walk: finds the chunks of a file.
        room_bytes: how much of them is carried.

    Attributes:
        warnings: what could not be carried, in words; complete once the tags are written.
    """

    def __init__(
        self, path: Path, container: str, subtype: str, wishes: TagWishes, walk: Walk, room_bytes: int
    ) -> None:
        self._wishes = wishes
        self._walk = walk
        self._tags = Tags(family="none")
        if wishes.keep:
            self._tags = read_tags(path, container, subtype, walk, room_bytes)
        if not wishes.art:
            self._tags.pictures = []
        self._warnings: dict[str, None] = dict.fromkeys(self._tags.problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Remarks for the user, each once."""
        return tuple(self._warnings)

    def strings(self, container: str, subtype: str, provenance: Pairs) -> dict[str, str]:
        """Return what libsndfile is to write itself: without mutagen, into formats whose tags need it."""
        if container not in ("FLAC", "OGG", "MP3") or has_mutagen() or not self._wishes.keep:
            return {}
        strings: dict[str, str] = {}
        for name, value in self._pairs(changed=bool(provenance)):
            is_garbled = container == "MP3" and not value.isascii()  # libsndfile takes it for Latin-1
            if name.upper() in _STRINGS and not is_garbled:
                strings.setdefault(_STRINGS[name.upper()], value)
        if provenance:
            strings["software"] = _in_one_line(provenance)
        return strings

    def header_chunks(self, outcome: Outcome, provenance: Pairs) -> bytes:
        """Return the chunks for a WAV that is written into a pipe: they come before its samples."""
        if self._wishes.replaygain:
            self._warn("loudness fields need the whole output first: none are written into a pipe")
        return pack_chunks(self._chunks("RIFF", outcome, provenance, []))

    def write(
        self, file: BinaryIO, container: str, subtype: str, outcome: Outcome, provenance: Pairs
    ) -> None:
        """Give a complete audio file its tags, instead of any that it has; its samples stay as they are.

        Raises:
            OutputError: the file cannot be written.
        """
        gains: Pairs = []
        if self._wishes.replaygain:
            is_opus = subtype == "OPUS"
            gains = replaygain_fields(outcome.integrated_lufs, outcome.true_peak_dbtp, is_opus=is_opus)
            gains += replaygain_fields(
                outcome.album_lufs, outcome.album_peak_dbtp, scope="ALBUM", is_opus=is_opus
            )
        if container in CHUNKED:
            family = CHUNKED[container]
            blank_chunks(file, self._walk)
            append_chunks(file, self._chunks(family, outcome, provenance, gains))
        elif container in ("FLAC", "OGG", "MP3"):
            if has_mutagen():
                self._write_with_mutagen(file, container, subtype, outcome, provenance + gains)
            else:
                self._warn(f"without mutagen only title, artist and the like are written; {INSTALL}")
        elif self._tags.pairs or self._tags.pictures or self._tags.chunks:
            self._warn(f"{container} holds no tags: those of the input stay behind")

    def _write_with_mutagen(
        self, file: BinaryIO, container: str, subtype: str, outcome: Outcome, extra: Pairs
    ) -> None:
        import mutagen

        from unsquash.tags import id3, vorbis

        try:
            if container == "MP3":
                self._tell_what_stays(keeps_id3=True)
                id3.replace(file, self._id3(outcome, extra))
                return
            blocks = self._tags.blocks if container == "FLAC" else []
            if not outcome.is_whole:
                blocks = [block for block in blocks if not vorbis.is_cue_sheet(block)]
            self._tell_what_stays()
            pairs = self._pairs(changed=outcome.changed) + extra
            for problem in vorbis.write(file, container, subtype, pairs, self._tags.pictures, blocks):
                self._warn(problem)
        except mutagen.MutagenError as error:
            raise OutputError(
                f"the tags cannot be written: {error}", hint="free some space, or use --no-tags"
            ) from error

    def _chunks(self, family: str, outcome: Outcome, provenance: Pairs, gains: Pairs) -> list[Chunk]:
        """Return the chunks of the output."""
        tags = self._tags
        chunks: list[Chunk] = []
        pairs = self._pairs(changed=outcome.changed)
        if tags.family == family:
            chunks, dropped = true_again(tags.chunks, outcome)
            if dropped:
                self._warn(f"chunks that do not hold for the output stay behind: {', '.join(dropped)}")
        else:
            self._tell_what_stays(keeps_id3=family != "caff")
        if family == "caff":
            chunks = [chunk for chunk in chunks if chunk.name != b"info"]
            info = textchunks.caf_chunk(pairs + provenance + gains)
            if self._tags.pictures:
                self._warn("CAF holds no pictures: those of the input stay behind")
            return chunks + ([info] if info is not None else [])
        if tags.family != family:
            info = textchunks.info_chunk(pairs) if family == "RIFF" else None
            chunks += [info] if info is not None else []
            chunks += textchunks.aiff_chunks(pairs) if family == "FORM" else []
        if has_mutagen():
            from unsquash.tags import id3

            tag = self._id3(outcome, provenance + gains)
            if len(tag):
                chunks.append(Chunk(b"id3 " if family == "RIFF" else b"ID3 ", id3.dump(tag)))
            return chunks
        if tags.id3 is not None and not self._wishes.art:
            self._warn(f"without mutagen its ID3 tag stays behind, since it may hold pictures; {INSTALL}")
        elif tags.id3 is not None:
            chunks.append(Chunk(b"id3 " if family == "RIFF" else b"ID3 ", tags.id3))
            self._warn(f"without mutagen its ID3 tag is copied as it is, old loudness included; {INSTALL}")
        if provenance + gains:
            chunks = textchunks.with_software(chunks, family, _in_one_line(provenance + gains))
        return chunks

    def _id3(self, outcome: Outcome, extra: Pairs) -> ID3:
        from unsquash.tags import id3

        if self._tags.id3 is None:
            return id3.build(self._pairs(changed=outcome.changed) + extra, self._tags.pictures)
        tag = id3.load(self._tags.id3)
        stale = stale_names(changed=outcome.changed, replaygain=self._wishes.replaygain)
        loudness = outcome.changed or self._wishes.replaygain
        id3.clean(tag, art=self._wishes.art, stale=stale, loudness=loudness)
        id3.add_custom(tag, extra)
        return tag

    def _pairs(self, *, changed: bool) -> Pairs:
        stale = stale_names(changed=changed, replaygain=self._wishes.replaygain)
        return [(name, value) for name, value in self._tags.pairs if not is_among(name, stale)]

    def _tell_what_stays(self, *, keeps_id3: bool = False) -> None:
        """Warn of what only a copy within the family would keep."""
        names = [] if keeps_id3 and self._tags.id3 is not None else list(self._tags.unmapped)
        for chunk in self._tags.chunks:
            is_text = chunk.name in _TEXT_CHUNKS or (chunk.name == b"LIST" and chunk.body[:4] == b"INFO")
            if not is_text:
                names.append(chunk.name.decode("latin-1").strip())
        if names:
            self._warn(f"the output's container has no place for: {', '.join(dict.fromkeys(names))}")

    def _warn(self, text: str) -> None:
        self._warnings[text] = None


def _in_one_line(pairs: Pairs) -> str:
    return "unsquash " + " ".join(
        f"{name.removeprefix('UNSQUASH_').lower()}={value}" for name, value in pairs
    )
