"""From every container to every other: what arrives, what does not, and that samples do not care."""

from __future__ import annotations

import hashlib
import struct

import mutagen.mp3
import numpy as np
import pytest
import soundfile
from tagged import COVER, FIELDS, STALE, add_chunks, covers, make_tagged, make_tone, riff, seen

from unsquash.tags import id3

TAGGED = ("flac", "ogg", "mp3", "wav", "aiff", "opus")


def samples_of(path):
    return soundfile.read(path, always_2d=True)[0]


PAIRS = [(a, b) for a in TAGGED for b in TAGGED if b != "opus" or a == "opus"]  # Opus holds no 44.1 kHz


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_everything_arrives(source, target, restored, tmp_path):
    given = make_tagged(source, tmp_path)
    out = tmp_path / f"out.{target}"
    report = restored(given, out)
    assert report.status == "restored"
    found = seen(out)
    for name, value in FIELDS.items():
        assert value in found[name].split(" / "), name
    assert found["ARTIST"] == "The Artist / Another"
    assert covers(out) == [COVER]
    assert not set(found) & {*STALE, "RVA2"} - {"UNSQUASH_STRENGTH"}
    assert not any("ITUNNORM" in name.upper() for name in found)
    assert found["UNSQUASH_METHOD"] == "model"
    assert found["UNSQUASH_STRENGTH"] == "1"
    assert "ratio=3.2" in found["UNSQUASH_PARAMETERS"]
    assert found["UNSQUASH_LEVEL_GAIN"] == "0.0000 dB"
    has_private_frame = source in ("mp3", "wav", "aiff")
    arrives = target in ("mp3", "wav", "aiff")
    if has_private_frame:
        assert ("PRIV" in found) == arrives
        assert any("PRIV" in warning for warning in report.warnings) != arrives
    else:
        assert report.warnings == ()


@pytest.mark.parametrize("target", [*TAGGED, "caf", "rf64", "w64", "au"])
def test_tags_do_not_touch_samples(target, restored, tmp_path):
    given = make_tagged("opus" if target == "opus" else "flac", tmp_path)
    with_tags, without = tmp_path / f"with.{target}", tmp_path / f"without.{target}"
    restored(given, with_tags, replaygain=True)
    restored(given, without, tags=False)
    assert np.array_equal(samples_of(with_tags), samples_of(without))
    assert soundfile.info(with_tags).frames == soundfile.info(given).frames


def test_no_mp3_frame_changes(restored, tmp_path):
    given = make_tagged("mp3", tmp_path)
    with_tags, without = tmp_path / "with.mp3", tmp_path / "without.mp3"
    restored(given, with_tags)
    restored(given, without, tags=False)
    assert with_tags.read_bytes().endswith(without.read_bytes())
    assert mutagen.mp3.MP3(with_tags).info.length == mutagen.mp3.MP3(without).info.length


@pytest.mark.parametrize("kind", TAGGED)
def test_the_same_input_gives_the_same_bytes(kind, restored, tmp_path):
    given = make_tagged(kind, tmp_path)
    digests = set()
    for name in ("a", "b"):
        restored(given, tmp_path / f"{name}.{kind}")
        digests.add(hashlib.sha256((tmp_path / f"{name}.{kind}").read_bytes()).hexdigest())
    assert len(digests) == 1 or kind in ("ogg", "opus")  # Ogg streams have a random serial number


@pytest.mark.parametrize("kind", TAGGED)
def test_no_tags_and_no_art(kind, restored, tmp_path):
    given = make_tagged(kind, tmp_path)
    out = tmp_path / f"out.{kind}"
    restored(given, out, tags=False)
    assert seen(out) == {}
    restored(given, out, art=False)
    assert seen(out)["TITLE"] == FIELDS["TITLE"]
    assert covers(out) == []


@pytest.mark.parametrize("kind", TAGGED)
def test_an_unchanged_file_is_not_touched(kind, restored, tmp_path):
    given = make_tagged(kind, tmp_path)
    out = tmp_path / f"out.{kind}"
    assert restored(given, out, profile=None, method="none").status == "unchanged"
    assert out.read_bytes() == given.read_bytes()


@pytest.mark.parametrize("kind", TAGGED)
def test_an_unchanged_file_gets_only_the_tags_that_were_asked_for(kind, restored, tmp_path):
    given = make_tagged(kind, tmp_path)
    out = tmp_path / f"out.{kind}"
    nothing = {"profile": None, "method": "none"}
    assert restored(given, out, tags=False, **nothing).status == "unchanged"
    assert seen(out) == {}
    assert np.array_equal(samples_of(out), samples_of(given))
    restored(given, out, replaygain=True, **nothing)
    found = seen(out)
    gain = "R128_TRACK_GAIN" if kind == "opus" else "REPLAYGAIN_TRACK_GAIN"
    assert found[gain] not in STALE.values()
    assert "REPLAYGAIN_ALBUM_PEAK" not in found
    assert found["TITLE"] == FIELDS["TITLE"]
    assert found["UNSQUASH_STRENGTH"] == "0.3"
    assert covers(out) == [COVER]
    assert np.array_equal(samples_of(out), samples_of(given))


def test_converted_but_unchanged_keeps_its_loudness_fields(restored, tmp_path):
    given = make_tagged("flac", tmp_path)
    restored(given, tmp_path / "out.wav", profile=None, method="none")
    found = seen(tmp_path / "out.wav")
    assert found["REPLAYGAIN_TRACK_GAIN"] == STALE["REPLAYGAIN_TRACK_GAIN"]
    assert "UNSQUASH_METHOD" not in found


def test_fresh_loudness_is_that_of_the_output(restored, tmp_path):
    given = make_tagged("flac", tmp_path)
    report = restored(given, tmp_path / "out.flac", replaygain=True)
    found = seen(tmp_path / "out.flac")
    gain_db = float(found["REPLAYGAIN_TRACK_GAIN"].removesuffix(" dB"))
    assert gain_db == pytest.approx(-18 - report.levels.integrated_lufs, abs=0.006)
    peak = float(found["REPLAYGAIN_TRACK_PEAK"])
    assert 20 * np.log10(peak) == pytest.approx(report.levels.true_peak_dbtp, abs=0.001)
    given = make_tagged("opus", tmp_path)
    report = restored(given, tmp_path / "out.opus", replaygain=True)
    found = seen(tmp_path / "out.opus")
    assert int(found["R128_TRACK_GAIN"]) / 256 == pytest.approx(-23 - report.levels.integrated_lufs, abs=0.01)
    assert "REPLAYGAIN_TRACK_GAIN" not in found


def test_silence_has_no_loudness_fields(restored, tmp_path):
    soundfile.write(tmp_path / "in.flac", np.zeros(4410), 44100)
    restored(tmp_path / "in.flac", tmp_path / "out.flac", replaygain=True)
    assert "REPLAYGAIN_TRACK_GAIN" not in seen(tmp_path / "out.flac")


def test_caf_keeps_every_field_as_text(restored, tmp_path):
    given = make_tagged("flac", tmp_path)
    report = restored(given, tmp_path / "out.caf")
    assert any("pictures" in warning for warning in report.warnings)
    restored(tmp_path / "out.caf", tmp_path / "back.flac")
    found = seen(tmp_path / "back.flac")
    for name, value in FIELDS.items():
        assert value in found[name], name


def test_containers_without_tags_say_so(restored, tmp_path):
    given = make_tagged("flac", tmp_path)
    for name in ("out.w64", "out.au"):
        assert any("holds no tags" in warning for warning in restored(given, tmp_path / name).warnings)
    bare = make_tone(tmp_path / "bare.flac")
    assert restored(bare, tmp_path / "bare.w64").warnings == ()


def test_id3_keeps_its_version(restored, tmp_path):
    given = make_tagged("mp3", tmp_path)
    tag = mutagen.id3.ID3(given)
    tag.update_to_v23()
    tag.save(given, v2_version=3)
    restored(given, tmp_path / "out.mp3")
    assert mutagen.id3.ID3(tmp_path / "out.mp3", translate=False).version == (2, 3, 0)
    assert seen(tmp_path / "out.mp3")["DATE"] == "1999"


def test_frames_that_mutagen_does_not_know_are_kept_unless_they_tell_the_loudness(restored, tmp_path):
    given = make_tone(tmp_path / "in.wav")
    frames = b"".join(
        name + struct.pack(">IH", len(body), 0) + body
        for name, body in ((b"XRVA", b"abcd"), (b"XSOP", b"\0sort"), (b"QQQQ", b"own"), (b"TIT2", b"\0hi"))
    )
    add_chunks(given, [(b"id3 ", b"ID3\x03\0\0" + struct.pack(">I", len(frames)) + frames)])
    restored(given, tmp_path / "out.wav")
    (tag,) = [body for name, body in riff(tmp_path / "out.wav") if name == b"id3 "]
    assert b"QQQQ" in tag
    assert b"XRVA" not in tag


def test_id3_version_1_and_ape_are_read(restored, tmp_path):
    import mutagen.apev2

    given = make_tone(tmp_path / "in.mp3")
    ape = mutagen.apev2.APEv2()
    ape["Mood"] = "blue"
    ape["replaygain_track_gain"] = "-3 dB"
    ape.save(given)
    with given.open("ab") as file:
        file.write(b"TAG" + b"Old title".ljust(30, b"\0") + b"\0" * 94 + b"\xff")
    restored(given, tmp_path / "out.flac")
    found = seen(tmp_path / "out.flac")
    assert found["TITLE"] == "Old title"
    assert found["MOOD"] == "blue"
    assert "REPLAYGAIN_TRACK_GAIN" not in found


def test_a_damaged_tag_is_left_behind_with_a_remark(restored, tmp_path):
    given = make_tone(tmp_path / "in.wav")
    add_chunks(given, [(b"id3 ", b"ID3\x04\x00\x00\x00\x00\x7f\x7fTIT2\xff\xff")])
    report = restored(given, tmp_path / "out.wav")
    assert any("damaged" in warning for warning in report.warnings)
    assert seen(tmp_path / "out.wav")["UNSQUASH_METHOD"] == "model"


def test_flac_blocks_of_applications_are_kept_and_cue_sheets_only_of_the_whole(restored, tmp_path):
    from mutagen.flac import FLAC, CueSheet, CueSheetTrack, CueSheetTrackIndex, MetadataBlock

    from unsquash import Position

    given = make_tagged("flac", tmp_path)
    audio = FLAC(given)
    block = MetadataBlock(b"riffsomething")
    block.code = 2
    sheet = CueSheet(None)
    sheet.tracks = [CueSheetTrack(1, 0), CueSheetTrack(170, 22050)]
    sheet.tracks[0].indexes = [CueSheetTrackIndex(1, 0)]
    audio.metadata_blocks += [block, sheet]
    audio.cuesheet = sheet
    audio.save()
    restored(given, tmp_path / "out.flac")
    assert {2, 5} <= {block.code for block in FLAC(tmp_path / "out.flac").metadata_blocks}
    restored(given, tmp_path / "part.flac", start=Position(value=0.1))
    assert 5 not in {block.code for block in FLAC(tmp_path / "part.flac").metadata_blocks}


def test_wav_gets_its_info_chunk_too(restored, tmp_path):
    given = make_tagged("flac", tmp_path)
    restored(given, tmp_path / "out.wav")
    (info,) = [body for name, body in riff(tmp_path / "out.wav") if name == b"LIST"]
    assert b"INAM" in info
    assert FIELDS["TITLE"].encode() in info


def test_the_mapping_of_fields_is_its_own_inverse():
    pairs = [(name, f"value of {name}") for name in id3._FRAME_OF if name not in ("DATE", "ORIGINALDATE")]
    pairs += [("DATE", "2001-02-03"), ("LYRICS", "la la"), ("COMMENT:x", "y"), ("WXXX:home", "http://a.b")]
    pairs += [("MUSICBRAINZ_TRACKID", "abc"), ("TRACKTOTAL", "9"), ("WOAR", "http://c.d")]
    back, pictures, unmapped = id3.parse(id3.dump(id3.build(pairs, [])))
    expected = dict(pairs)
    expected["ORIGINALDATE"] = ""
    assert {name: value for name, value in back if name != "COMPILATION"} == {
        name: value for name, value in expected.items() if value and name != "COMPILATION"
    }
    assert pictures == []
    assert unmapped == []
