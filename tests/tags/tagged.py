"""Small tagged files of every kind, and what can be seen in them afterwards."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import mutagen
import numpy as np
import soundfile
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, PRIV, RVA2, TALB, TDRC, TIT2, TPE1, TRCK, TXXX
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

COVER = b"\x89PNG\r\n" + bytes(range(256)) * 20
FIELDS = {
    "TITLE": "Tïtle – 題",
    "ARTIST": "The Artist",
    "ALBUM": "An Album",
    "DATE": "1999",
    "TRACKNUMBER": "3",
    "TRACKTOTAL": "12",
    "COMMENT": "a comment",
    "MUSICBRAINZ_ALBUMID": "0a1b-2c",
    "MY FIELD": "vælue",
}
STALE = {
    "REPLAYGAIN_TRACK_GAIN": "-7.00 dB",
    "REPLAYGAIN_ALBUM_PEAK": "0.99",
    "R128_TRACK_GAIN": "-512",
    "MP3GAIN_MINMAX": "1,2",
    "UNSQUASH_STRENGTH": "0.3",
}


def make_tone(path: Path, *, rate: int = 44100, subtype: str | None = None, **keywords: str) -> Path:
    """Write half a second of a tone that the compressor's inverse makes louder but not too loud."""
    time = np.arange(rate // 2) / rate
    tone = 0.08 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack((tone, tone * 0.5), axis=1), rate, subtype, **keywords)
    return path


def vorbis_pairs() -> list[tuple[str, str]]:
    """The fields and the stale ones, as Vorbis comments."""
    return [*FIELDS.items(), ("ARTIST", "Another"), *STALE.items()]


def picture() -> Picture:
    """A front cover."""
    block = Picture()
    block.type, block.mime, block.desc, block.data = 3, "image/png", "the cover", COVER
    return block


def id3_tag() -> ID3:
    """The fields and the stale ones, as frames."""
    tag = ID3()
    tag.add(TIT2(encoding=3, text=[FIELDS["TITLE"]]))
    tag.add(TPE1(encoding=3, text=[FIELDS["ARTIST"], "Another"]))
    tag.add(TALB(encoding=3, text=[FIELDS["ALBUM"]]))
    tag.add(TDRC(encoding=3, text=["1999"]))
    tag.add(TRCK(encoding=3, text=["3/12"]))
    tag.add(COMM(encoding=3, lang="eng", desc="", text=["a comment"]))
    tag.add(COMM(encoding=3, lang="eng", desc="iTunNORM", text=["00000 0000"]))
    tag.add(TXXX(encoding=3, desc="MusicBrainz Album Id", text=["0a1b-2c"]))
    tag.add(TXXX(encoding=3, desc="MY FIELD", text=["vælue"]))
    tag.add(RVA2(desc="track", channel=1, gain=-6, peak=0.9))
    tag.add(PRIV(owner="someone", data=b"secret"))
    for name, value in STALE.items():
        tag.add(TXXX(encoding=3, desc=name.lower(), text=[value]))
    tag.add(APIC(encoding=3, mime="image/png", type=3, desc="the cover", data=COVER))
    return tag


def make_tagged(kind: str, folder: Path) -> Path:
    """Write a small file of a kind, with everything on it that the kind can hold."""
    path = folder / f"in.{kind}"
    if kind in ("flac", "ogg", "opus"):
        if kind == "opus":
            make_tone(path, rate=48000, subtype="OPUS", format="OGG")
        else:
            make_tone(path)
        audio = {"flac": FLAC, "ogg": OggVorbis, "opus": OggOpus}[kind](path)
        for name, value in vorbis_pairs():
            audio.tags.append((name, value))
        if kind == "flac":
            audio.add_picture(picture())
        else:
            audio.tags.append(("METADATA_BLOCK_PICTURE", base64.b64encode(picture().write()).decode()))
        audio.save()
        return path
    make_tone(path, subtype="PCM_24" if kind in ("wav", "aiff") else None)
    if kind == "mp3":
        id3_tag().save(path)
    else:
        audio = mutagen.File(path)
        audio.add_tags()
        for frame in id3_tag().values():
            audio.tags.add(frame)
        audio.save()
    return path


def seen(path: Path) -> dict[str, str]:
    """What another program's eyes see: mutagen's view of a file, by Vorbis names."""
    audio = mutagen.File(path)
    if audio is None or audio.tags is None:
        return {}
    if not isinstance(audio.tags, ID3):
        return {name.upper(): " / ".join(audio.tags[name]) for name in audio.tags.keys()}  # noqa: SIM118
    names = {"TIT2": "TITLE", "TPE1": "ARTIST", "TALB": "ALBUM", "TDRC": "DATE", "COMM": "COMMENT"}
    found = {}
    for key, frame in audio.tags.items():
        if key == "TRCK":
            found["TRACKNUMBER"], _, found["TRACKTOTAL"] = frame.text[0].partition("/")
        elif frame.FrameID == "TXXX":
            found[frame.desc.upper().replace("MUSICBRAINZ ALBUM ID", "MUSICBRAINZ_ALBUMID")] = frame.text[0]
        elif frame.FrameID == "COMM" and frame.desc:
            found[f"COMMENT:{frame.desc}"] = frame.text[0]
        elif frame.FrameID in names:
            found[names[frame.FrameID]] = " / ".join(map(str, frame.text))
        else:
            found[frame.FrameID] = ""
    return found


def covers(path: Path) -> list[bytes]:
    """The pictures in a file."""
    audio = mutagen.File(path)
    if isinstance(audio, FLAC):
        return [block.data for block in audio.pictures]
    if isinstance(audio.tags, ID3):
        return [frame.data for frame in audio.tags.getall("APIC")]
    return [Picture(base64.b64decode(text)).data for text in audio.tags.get("METADATA_BLOCK_PICTURE", [])]


def riff(path: Path) -> list[tuple[bytes, bytes]]:
    """Every chunk of a WAV or RF64 file; fails unless its sizes agree with its length."""
    data = path.read_bytes()
    magic, size = struct.unpack_from("<4sI", data)
    if magic == b"RF64":
        size, data_size = struct.unpack_from("<QQ", data, 20)
    assert size == len(data) - 8
    chunks = []
    place = 12
    while place < len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        size = data_size if size == 0xFFFFFFFF else size
        chunks.append((name, data[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    assert place == len(data)
    return chunks


def add_chunks(path: Path, chunks: list[tuple[bytes, bytes]], *, first: bool = False) -> None:
    """Put chunks into a WAV file, behind its samples or before them."""
    data = path.read_bytes()
    packed = b"".join(
        struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2) for name, body in chunks
    )
    data = data[:12] + packed + data[12:] if first else data + b"\0" * (len(data) % 2) + packed
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
