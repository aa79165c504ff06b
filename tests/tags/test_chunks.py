"""Chunks of broadcast WAV and companions, with and without mutagen."""

from __future__ import annotations

import io
import re
import struct
import sys

import numpy as np
import pytest
import soundfile
from tagged import add_chunks, make_tagged, make_tone, riff, seen

from unsquash import Position, RestoreOptions, restore_file, tagging
from unsquash.audio import TAG_BYTES, open_audio, walk_chunks
from unsquash.tags import textchunks
from unsquash.tags.chunks import Chunk, append_chunks, read_chunks

IXML = (
    b"<BWFXML><SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
    b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>4294967290</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED></BWFXML>"
)
CUES = ((1, 100), (2, 5000), (3, 12000))


def bext(version=2, history=b"A=PCM,F=44100,W=24,M=stereo,T=recorder\r\n"):
    body = b"A scene".ljust(256, b"\0") + b"A recorder".ljust(32, b"\0") + b"REF1".ljust(32, b"\0")
    body += b"2020-02-0312:34:56" + struct.pack("<Q", 10**10) + struct.pack("<H", version) + bytes(64)
    body += struct.pack("<5h", -2300, 500, -100, -1800, -2000) + bytes(180)
    assert len(body) == 602
    return body + history


def cue():
    points = [struct.pack("<II4sIII", name, at, b"data", 0, 0, at) for name, at in CUES]
    return struct.pack("<I", len(points)) + b"".join(points)


def labels():
    body = b"adtl"
    for name, _ in CUES:
        text = b"mark %d\0" % name
        body += struct.pack("<4sII", b"labl", 4 + len(text), name) + text + b"\0" * (len(text) % 2)
    return body


def smpl():
    loops = struct.pack("<6I", 1, 0, 4410, 8820, 0, 0) + struct.pack("<6I", 2, 0, 0, 22000, 0, 0)
    return struct.pack("<9I", 0, 0, 0, 60, 0, 0, 0, 2, 0) + loops


CHUNKS = [
    (b"bext", bext()),
    (b"iXML", IXML),
    (b"cue ", cue()),
    (b"LIST", labels()),
    (b"smpl", smpl()),
    (b"LIST", b"INFO" + struct.pack("<4sI", b"INAM", 4) + b"Name" + struct.pack("<4sI", b"XYZW", 2) + b"ab"),
    (b"odd ", b"odd length!"),
    (b"LGWV", bytes(100)),
    (b"levl", b"old envelope"),
]


@pytest.fixture
def broadcast(tmp_path):
    path = make_tone(tmp_path / "in.wav", subtype="PCM_24")
    add_chunks(path, CHUNKS[:3], first=True)
    add_chunks(path, CHUNKS[3:])
    return path


@pytest.fixture
def without_mutagen(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "mutagen"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mutagen", None)


def chunk(path, name, start=b""):
    found = [body for key, body in riff(path) if key == name and body.startswith(start)]
    return found[0] if found else None


@pytest.mark.parametrize("target", ["out.wav", "out.rf64"])
def test_a_broadcast_file_keeps_every_chunk(broadcast, restored, target, tmp_path):
    out = tmp_path / target
    report = restored(broadcast, out)
    for name, body in CHUNKS:
        if name not in (b"bext", b"levl"):
            assert (name, body) in riff(out), name
    assert chunk(out, b"levl") is None
    assert any("levl" in warning for warning in report.warnings)
    assert b"UNSQUASH_METHOD" in chunk(out, b"id3 ")
    assert soundfile.info(out).frames == soundfile.info(broadcast).frames


def test_bext_tells_the_truth_about_the_output(broadcast, restored, tmp_path):
    report = restored(broadcast, tmp_path / "out.wav")
    new, old = chunk(tmp_path / "out.wav", b"bext"), bext()
    assert new[:412] == old[:412]
    loudness, loudness_range, peak, *others = struct.unpack_from("<5h", new, 412)
    assert loudness == round(100 * report.levels.integrated_lufs)
    assert peak == round(100 * report.levels.true_peak_dbtp)
    assert others == [0x7FFF, 0x7FFF]
    assert loudness_range in (0, 0x7FFF)
    lines = new[602:].decode().splitlines()
    assert lines[0] == "A=PCM,F=44100,W=24,M=stereo,T=recorder"
    assert re.fullmatch(r"A=PCM,F=44100,W=24,M=stereo,T=unsquash [\d.]+", lines[1])


def test_old_bext_and_short_ones_survive(restored, tmp_path):
    path = make_tone(tmp_path / "in.wav")
    add_chunks(path, [(b"bext", bext(version=1, history=b""))])
    restored(path, tmp_path / "out.wav")
    assert chunk(tmp_path / "out.wav", b"bext")[:602] == bext(version=1)[:602]
    short = make_tone(tmp_path / "short.wav")
    add_chunks(short, [(b"bext", b"too short")])
    restored(short, tmp_path / "out.wav")
    assert chunk(tmp_path / "out.wav", b"bext") == b"too short"


def test_an_excerpt_moves_its_positions(broadcast, restored, tmp_path):
    out = tmp_path / "part.wav"
    start, stop = 4000, 12000
    restored(
        broadcast,
        out,
        start=Position(value=start, unit="samples"),
        end=Position(value=stop, unit="samples"),
    )
    assert struct.unpack_from("<Q", chunk(out, b"bext"), 338)[0] == 10**10 + start
    count, name, position, _, _, _, offset = struct.unpack("<III4sIII", chunk(out, b"cue "))
    assert (count, name, position, offset) == (1, 2, 1000, 1000)
    adtl = chunk(out, b"LIST", b"adtl")
    assert b"mark 2" in adtl
    assert b"mark 1" not in adtl
    loops = chunk(out, b"smpl")
    assert struct.unpack_from("<I", loops, 28)[0] == 1
    assert struct.unpack_from("<6I", loops, 36)[2:4] == (410, 4820)
    moved = (1 << 32) + 4294967290 + start
    halves = [int(text) for text in re.findall(rb">(\d+)<", chunk(out, b"iXML"))]
    assert (halves[0] << 32) + halves[1] == moved


def test_chunks_become_fields_elsewhere(broadcast, restored, tmp_path):
    report = restored(broadcast, tmp_path / "out.flac")
    found = seen(tmp_path / "out.flac")
    assert found["TITLE"] == "Name"
    assert found["DESCRIPTION"] == "A scene"
    assert found["ORIGINATOR_REFERENCE"] == "REF1"
    assert found["TIME_REFERENCE"] == str(10**10)
    assert found["IXML"] == IXML.decode()
    (warning,) = report.warnings
    for name in ("cue", "LIST", "smpl", "odd", "LGWV"):
        assert name in warning


def test_an_unchanged_file_loses_its_chunks_only_on_request(broadcast, tmp_path):
    options = RestoreOptions(method="none", tags=False)
    restore_file(broadcast, tmp_path / "out.wav", options)
    assert {name for name, _ in riff(tmp_path / "out.wav")} == {b"fmt ", b"JUNK", b"data"}
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], soundfile.read(broadcast)[0])


def test_chunks_of_w64_are_read_and_are_no_samples(restored, tmp_path):
    path = make_tone(tmp_path / "in.w64", subtype="PCM_24")
    with soundfile.SoundFile(path) as file:
        plain = file.read()
    info = b"INFO" + struct.pack("<4sI", b"INAM", 4) + b"Name"
    data = path.read_bytes()
    data += bytes(-len(data) % 8)
    for name, tail, body in (
        (b"bext", "f3acd3118cd100c04f8edb8a", bext()),
        (b"list", "2f91cf11a5d628db04c10000", info),
    ):
        head = name + bytes.fromhex(tail) + struct.pack("<Q", 24 + len(body))
        data += head + body + bytes(-len(body) % 8)
    path.write_bytes(data[:16] + struct.pack("<Q", len(data)) + data[24:])
    with open_audio(path) as audio:
        assert np.array_equal(audio.read().T, plain)
    restored(path, tmp_path / "out.wav")
    assert chunk(tmp_path / "out.wav", b"bext")[:346] == bext()[:346]
    assert (b"LIST", info) in riff(tmp_path / "out.wav")
    report = restored(path, tmp_path / "out.w64")
    assert any("holds no tags" in warning for warning in report.warnings)


def test_aiff_keeps_its_chunks(restored, tmp_path):
    path = make_tone(tmp_path / "in.aiff", subtype="PCM_24")
    with path.open("r+b") as file:
        append_chunks(file, [Chunk(b"NAME", b"Name"), Chunk(b"MARK", b"\0\0"), Chunk(b"APPL", b"odd")])
    restored(path, tmp_path / "out.aiff")
    with (tmp_path / "out.aiff").open("rb") as file:
        chunks, _ = read_chunks(file, walk_chunks, TAG_BYTES)
    assert chunks[:3] == [Chunk(b"NAME", b"Name"), Chunk(b"MARK", b"\0\0"), Chunk(b"APPL", b"odd")]
    assert (
        struct.unpack(">I", (tmp_path / "out.aiff").read_bytes()[4:8])[0] + 8
        == (tmp_path / "out.aiff").stat().st_size
    )
    report = restored(path, tmp_path / "part.aiff", start=Position(value=0.1))
    assert any("MARK" in warning for warning in report.warnings)
    restored(path, tmp_path / "out.flac")
    assert seen(tmp_path / "out.flac")["TITLE"] == "Name"


@pytest.mark.parametrize("kind", ["wav", "rf64", "aiff", "caf"])
def test_wav_and_companions_need_no_mutagen(kind, restored, tmp_path, without_mutagen):
    path = make_tone(tmp_path / f"in.{kind}", subtype="PCM_24")
    with path.open("r+b") as file:
        append_chunks(file, [Chunk(b"bext", bext()), Chunk(b"uuid", b"something")])
    report = restored(path, tmp_path / f"out.{kind}")
    with (tmp_path / f"out.{kind}").open("rb") as file:
        chunks, _ = read_chunks(file, walk_chunks, TAG_BYTES)
    assert Chunk(b"uuid", b"something") in chunks
    assert any(b"model" in chunk.body for chunk in chunks if chunk.name in (b"LIST", b"ANNO", b"info"))
    assert report.warnings == ()
    assert soundfile.info(tmp_path / f"out.{kind}").frames == soundfile.info(path).frames


def test_an_id3_chunk_is_copied_without_mutagen_and_said_to_be_old(restored, tmp_path, request):
    path = make_tagged("wav", tmp_path)
    request.getfixturevalue("without_mutagen")
    report = restored(path, tmp_path / "out.wav")
    assert chunk(tmp_path / "out.wav", b"id3 ") == chunk(path, b"id3 ") or chunk(path, b"ID3 ")
    assert any("unsquash[tags]" in warning for warning in report.warnings)
    report = restored(path, tmp_path / "out.wav", art=False)
    assert chunk(tmp_path / "out.wav", b"id3 ") is None
    assert any("pictures" in warning for warning in report.warnings)


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3"])
def test_without_mutagen_the_basic_fields_arrive_and_the_rest_is_named(kind, restored, tmp_path, request):
    path = make_tagged(kind, tmp_path)
    request.getfixturevalue("without_mutagen")
    report = restored(path, tmp_path / f"out.{kind}")
    with soundfile.SoundFile(tmp_path / f"out.{kind}") as file:
        found = file.copy_metadata()
    assert found["title"] == ("" if kind == "mp3" else "Tïtle – 題")  # libsndfile writes ID3 in Latin-1
    assert found["artist"].startswith("The Artist")
    assert ("LAME" if kind == "mp3" else "method=model") in found["software"]
    assert len([warning for warning in report.warnings if "unsquash[tags]" in warning]) == 1
    restored(path, tmp_path / "out.wav")
    assert "Tïtle – 題".encode() in chunk(tmp_path / "out.wav", b"LIST", b"INFO")


def test_a_wav_in_a_pipe_carries_its_chunks_before_the_samples(broadcast, tmp_path):
    pipe = io.BytesIO()
    options = RestoreOptions(profile="five/C", level="keep")
    restore_file(broadcast, pipe, options)
    (tmp_path / "out.wav").write_bytes(pipe.getvalue())
    names = [name for name, _ in riff(tmp_path / "out.wav")]
    assert names[-1] == b"data"
    assert {b"bext", b"iXML", b"cue ", b"smpl", b"odd ", b"id3 "} <= set(names)
    restore_file(
        broadcast, tmp_path / "file.wav", RestoreOptions(profile="five/C", level="keep", bit_depth="32f")
    )
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], soundfile.read(tmp_path / "file.wav")[0])


def test_the_modification_time_is_kept_on_request(broadcast, restored, tmp_path):
    import os

    os.utime(broadcast, ns=(10**18, 10**18 + 123456789))
    for method in ({}, {"profile": None, "method": "none"}):
        restored(broadcast, tmp_path / "out.wav", keep_mtime=True, **method)
        assert (tmp_path / "out.wav").stat().st_mtime_ns == 10**18 + 123456789
        restored(broadcast, tmp_path / "out.wav", **method)
        assert (tmp_path / "out.wav").stat().st_mtime_ns > 10**18 + 123456789


def test_chunks_beyond_the_room_for_tags_stay_behind_with_a_remark(
    broadcast, restored, tmp_path, monkeypatch
):
    monkeypatch.setattr(tagging, "TAG_BYTES", len(bext()) + 99)
    report = restored(broadcast, tmp_path / "out.wav")
    assert {b"bext", b"odd "} <= {name for name, _ in riff(tmp_path / "out.wav")}
    assert chunk(tmp_path / "out.wav", b"LGWV") is None
    assert any("'LGWV' is too long" in warning for warning in report.warnings)


def test_caf_text_in_and_out():
    pairs = [("TITLE", "a"), ("ARTIST", "b"), ("ARTIST", "c"), ("OWN", "d")]
    assert textchunks.text_of([textchunks.caf_chunk(pairs)]) == [
        ("TITLE", "a"),
        ("ARTIST", "b; c"),
        ("OWN", "d"),
    ]
    assert textchunks.caf_chunk([]) is None


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_cut_off_files_give_the_chunks_before_the_cut(broadcast, cut):
    data = broadcast.read_bytes()
    chunks, _ = read_chunks(io.BytesIO(data[: len(data) - cut]), walk_chunks, TAG_BYTES)
    whole, _ = read_chunks(io.BytesIO(data), walk_chunks, TAG_BYTES)
    assert chunks == whole[: len(chunks)]
    assert len(chunks) < len(whole) or cut == 0
