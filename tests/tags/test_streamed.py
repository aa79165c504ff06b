"""Recordings that came through a pipe: their headers do not know where the samples end."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from tagged import add_chunks, riff, seen

from unsquash.audio import TAG_BYTES, complete_sizes, open_audio, walk_chunks
from unsquash.errors import AudioReadError, OutputError
from unsquash.tags.chunks import Chunk, append_chunks, read_chunks

SIZES = (0, 0x7F000024, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF)
NOTHING = {"profile": None, "method": "none"}
WISHES = ({"replaygain": True}, {"tags": False}, {"art": False}, {"tags": False, "replaygain": True})


def samples_of(path):
    with open_audio(path) as audio:
        return audio.read()


def make_streamed(path, size, *, subtype="PCM_16", frames=22051, container="WAV"):
    """Write music that begins and ends in silence, with sizes as a pipe leaves them; no size is even."""
    tone = 0.1 * np.sin(np.arange(frames) / 9)
    tone[:9000] = tone[-3000:] = 0.0
    soundfile.write(path, tone, 44100, subtype, format=container)
    data = bytearray(path.read_bytes())
    order, name = ("<", b"data") if container == "WAV" else (">", b"SSND")
    struct.pack_into(f"{order}I", data, 4, size)
    struct.pack_into(f"{order}I", data, data.index(name) + 4, size)
    if container == "AIFF":
        struct.pack_into(">I", data, data.index(b"COMM") + 10, 0)
    if b"fact" in data:
        struct.pack_into("<I", data, data.index(b"fact") + 8, size)
    if frames % 2 and subtype in ("PCM_24", "PCM_U8", "PCM_S8"):
        data = data[:-1]  # the pad byte
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("size", SIZES)
def test_tags_of_a_copied_stream_change_and_no_sample_does(size, subtype, wishes, restored, tmp_path):
    given = make_streamed(tmp_path / "in.wav", size, subtype=subtype)
    out = tmp_path / "out.wav"
    assert restored(given, out, **wishes, **NOTHING).status == "unchanged"
    assert np.array_equal(samples_of(out), samples_of(given))
    chunks = dict(riff(out))
    assert chunks.get(b"fact", struct.pack("<I", 22051))[:4] == struct.pack("<I", 22051)
    assert len(chunks[b"data"]) == 22051 * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    assert ("REPLAYGAIN_TRACK_GAIN" in seen(out)) == ("replaygain" in wishes)


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_S8"])
@pytest.mark.parametrize("size", [0, 0x7F000008])
def test_a_streamed_aiff_becomes_a_correct_one(size, subtype, wishes, restored, tmp_path):
    given = make_streamed(tmp_path / "in.aiff", size, subtype=subtype, container="AIFF")
    out = tmp_path / "out.aiff"
    restored(given, out, **wishes, **NOTHING)
    assert np.array_equal(samples_of(out), samples_of(given))
    data = out.read_bytes()
    assert struct.unpack_from(">I", data, 4)[0] == len(data) - 8
    assert struct.unpack_from(">I", data, data.index(b"COMM") + 10)[0] == 22051
    assert ("REPLAYGAIN_TRACK_GAIN" in seen(out)) == ("replaygain" in wishes)


@pytest.mark.parametrize("size", SIZES)
def test_samples_are_not_taken_for_chunks(size, restored, tmp_path):
    given = make_streamed(tmp_path / "in.wav", size)
    restored(given, tmp_path / "out.wav")
    assert {name for name, _ in riff(tmp_path / "out.wav")} <= {b"fmt ", b"data", b"id3 "}


def test_chunks_before_streamed_samples_are_kept_and_there_are_none_after(restored, tmp_path):
    given = make_streamed(tmp_path / "in.wav", 0xFFFFFFFF)
    add_chunks(given, [(b"odd ", b"before!")], first=True)
    add_chunks(given, [(b"LIST", b"INFO")])
    with given.open("rb") as file:
        assert read_chunks(file, walk_chunks, TAG_BYTES) == ([Chunk(b"odd ", b"before!")], [])
    restored(given, tmp_path / "out.wav", replaygain=True, **NOTHING)
    assert [name for name, _ in riff(tmp_path / "out.wav")] == [b"JUNK", b"fmt ", b"data", b"odd ", b"id3 "]


def test_a_copy_without_other_tags_stays_as_it_is(restored, tmp_path):
    given = make_streamed(tmp_path / "in.wav", 0)
    restored(given, tmp_path / "out.wav", **NOTHING)
    assert (tmp_path / "out.wav").read_bytes() == given.read_bytes()


def test_an_empty_recording_is_refused(restored, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.zeros(0), 44100)
    with pytest.raises(AudioReadError, match="no samples"):
        restored(tmp_path / "in.wav", tmp_path / "out.wav", tags=False, **NOTHING)


def test_sizes_that_are_true_stay(tmp_path):
    for name in ("a.wav", "a.aiff", "a.rf64", "a.w64", "a.caf", "a.flac"):
        soundfile.write(tmp_path / name, np.zeros(1001), 44100, "PCM_24")
        before = (tmp_path / name).read_bytes()
        with (tmp_path / name).open("r+b") as file:
            complete_sizes(file, 1001)
        assert (tmp_path / name).read_bytes() == before


def test_a_stream_past_4_gib_takes_no_tags(tmp_path):
    """A sparse file."""
    path = make_streamed(tmp_path / "in.wav", 0xFFFFFFFF)
    with path.open("r+b") as file:
        file.truncate(2**32 + 100)
        complete_sizes(file, 2**31)
        file.seek(0)
        assert struct.unpack("<4sI", file.read(8)) == (b"RIFF", 0xFFFFFFFF)
        with pytest.raises(OutputError, match="4 GiB"):
            append_chunks(file, [Chunk(b"id3 ", b"ID3")])


def test_damaged_counts_are_not_written_past(tmp_path):
    head = struct.pack("<4sI4s4sI4sI", b"RIFF", 0, b"WAVE", b"fact", 0, b"data", 0)
    file = io.BytesIO(head + bytes(range(1, 10)))
    complete_sizes(file, 9)
    assert file.getvalue() == struct.pack(
        "<4sI4s4sI4sI", b"RIFF", 30, b"WAVE", b"fact", 0, b"data", 9
    ) + bytes([*range(1, 10), 0])


def test_samples_that_look_like_chunks_without_end_are_samples():
    samples = b"AAAA\0\0\0\0" * 100_000
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16)
    file = io.BytesIO(b"RIFF\0\0\0\0WAVE" + form + b"data\0\0\0\0" + samples)
    assert [(name, size) for name, _, size in walk_chunks(file)] == [(b"fmt ", 16), (b"data", len(samples))]
