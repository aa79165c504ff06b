"""RIFX: WAV whose numbers are big-endian."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from tagged import id3_tag, riff, seen

from unsquash.audio import walk_chunks
from unsquash.tags import textchunks
from unsquash.tags.chunks import Chunk

NOTHING = {"profile": None, "method": "none"}
TITLE = b"INFO" + struct.pack(">4sI", b"INAM", 5) + b"Name\0\0" + struct.pack(">4sI", b"IART", 3) + b"Me\0\0"


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "in.wav"
    tone = 0.05 * np.sin(np.arange(22050) / 9)
    soundfile.write(path, np.stack((tone, tone), 1), 44100, "PCM_24", endian="BIG")
    id3_tag().save(tmp_path / "id3")
    chunks = [(b"LIST", TITLE), (b"cue ", bytes(28)), (b"id3 ", (tmp_path / "id3").read_bytes())]
    data = path.read_bytes()
    for name, body in chunks:
        data += struct.pack(">4sI", name, len(body)) + body + bytes(len(body) % 2)
    path.write_bytes(data[:4] + struct.pack(">I", len(data) - 8) + data[8:])
    return path


def chunks_of(path):
    with path.open("rb") as file:
        assert struct.unpack(">4sI", file.read(8)) == (b"RIFX", path.stat().st_size - 8)
        return [(name, size) for name, _, size in walk_chunks(file)]


def test_its_texts_arrive_and_its_numbers_do_not(given, restored, tmp_path):
    report = restored(given, tmp_path / "out.wav")
    (info,) = [body for name, body in riff(tmp_path / "out.wav") if name == b"LIST"]
    assert textchunks.text_of([Chunk(b"LIST", info)]) == [("TITLE", "Name"), ("ARTIST", "Me")]
    assert seen(tmp_path / "out.wav")["ALBUM"] == "An Album"
    assert b"cue " not in dict(riff(tmp_path / "out.wav"))
    assert any("cue" in warning for warning in report.warnings)


def test_a_copy_keeps_its_byte_order(given, restored, tmp_path):
    out = tmp_path / "out.wav"
    report = restored(given, out, replaygain=True, **NOTHING)
    assert report.status == "unchanged"
    assert [name for name, _ in chunks_of(out)][-2:] == [b"LIST", b"id3 "]
    assert TITLE in out.read_bytes()
    assert b"REPLAYGAIN_TRACK_GAIN" in out.read_bytes()
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(given)[0])
    restored(out, tmp_path / "again.wav")
    assert seen(tmp_path / "again.wav")["TITLE"] == "Tïtle – 題"


def test_a_copy_can_lose_its_tags(given, restored, tmp_path):
    out = tmp_path / "out.wav"
    restored(given, out, tags=False, **NOTHING)
    assert {name for name, _ in chunks_of(out)} == {b"fmt ", b"JUNK", b"data"}
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(given)[0])


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_streamed_one_becomes_a_correct_one(size, given, restored, tmp_path):
    data = bytearray(given.read_bytes()[: given.read_bytes().index(b"LIST")])
    struct.pack_into(">I", data, data.index(b"data") + 4, size)
    given.write_bytes(data)
    restored(given, tmp_path / "out.wav", replaygain=True, **NOTHING)
    assert chunks_of(tmp_path / "out.wav")[-2] == (b"data", 22050 * 6)
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], soundfile.read(given)[0])
