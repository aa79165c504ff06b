"""Which files are meant."""

from __future__ import annotations

import io
import os

import pytest

from unsquash.batch.expand import Selection, expand, read_list
from unsquash.errors import AudioReadError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(expansion):
    return [item.relative.as_posix() for item in expansion.found]


def test_a_folder_is_searched_by_extension_without_regard_to_case(tmp_path):
    touch(tmp_path, "b.WAV", "a.flac", "cover.jpg", "deep/er/c.Mp3", "notes.txt")
    assert found(expand([str(tmp_path)])) == ["a.flac", "b.WAV", "deep/er/c.Mp3"]


def test_what_is_hidden_is_passed_over(tmp_path):
    touch(tmp_path, "a.wav", ".b.wav", "._a.wav", ".trash/c.wav")
    assert found(expand([str(tmp_path)])) == ["a.wav"]


def test_tracks_come_in_natural_order(tmp_path):
    touch(tmp_path, "10.wav", "9.wav", "Disc 2/1.wav", "Disc 10/1.wav", "1.wav")
    assert found(expand([str(tmp_path)])) == ["1.wav", "9.wav", "10.wav", "Disc 2/1.wav", "Disc 10/1.wav"]


def test_include_replaces_the_extensions_and_exclude_wins(tmp_path):
    touch(tmp_path, "a.wav", "b.flac", "c.bin", "live/d.wav", "live/e.flac")
    assert found(expand([str(tmp_path)], (), Selection(include=("*.BIN", "live/*")))) == [
        "c.bin",
        "live/d.wav",
        "live/e.flac",
    ]
    assert found(expand([str(tmp_path)], (), Selection(exclude=("*.flac",)))) == ["a.wav", "live/d.wav"]
    assert found(expand([str(tmp_path)], (), Selection(exclude=("live",)))) == ["a.wav", "b.flac"]
    named = [str(tmp_path / "a.wav"), str(tmp_path / "b.flac")]
    assert found(expand(named, (), Selection(exclude=("b*",)))) == ["a.wav"]


def test_not_recursive(tmp_path):
    touch(tmp_path, "a.wav", "sub/b.wav")
    assert found(expand([str(tmp_path)], (), Selection(recursive=False))) == ["a.wav"]


def test_several_folders_keep_their_names_and_files_stand_beside_them(tmp_path):
    touch(tmp_path, "one/1.wav", "two/1.wav", "x.wav")
    names = [str(tmp_path / name) for name in ("one", "two", "x.wav")]
    assert found(expand(names)) == ["one/1.wav", "two/1.wav", "x.wav"]


def test_the_output_folder_is_not_searched(tmp_path):
    touch(tmp_path, "a.wav", "out/a.wav", "output/b.wav")
    assert found(expand([str(tmp_path)], output_folder=tmp_path / "out")) == ["a.wav", "output/b.wav"]


def test_outputs_of_an_earlier_run_are_no_inputs(tmp_path):
    touch(tmp_path, "a.wav", "a_r.wav")
    expansion = expand(
        [str(tmp_path)], output_folder=tmp_path, is_output=lambda path: path.name.endswith("_r.wav")
    )
    assert found(expansion) == ["a.wav"]


def test_a_file_that_was_named_needs_no_extension(tmp_path):
    touch(tmp_path, "track.dat")
    assert found(expand([str(tmp_path / "track.dat")])) == ["track.dat"]


def test_each_file_is_taken_once(tmp_path):
    touch(tmp_path, "a.wav")
    assert len(expand([str(tmp_path / "a.wav"), str(tmp_path / "a.wav")]).found) == 1


def test_wildcards_that_the_shell_left_are_expanded(tmp_path):
    touch(tmp_path, "a1.wav", "a2.wav", "b.wav", "[x].wav")
    assert found(expand([str(tmp_path / "a*.wav")])) == ["a1.wav", "a2.wav"]
    assert found(expand([str(tmp_path / "[x].wav")])) == ["[x].wav"]


def test_a_list_keeps_its_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found(expand([], ["a/1.wav", "../b/2.wav", "/c/3.wav"])) == ["a/1.wav", "b/2.wav", "c/3.wav"]


def test_lists_end_names_with_newlines_or_nul():
    assert read_list(io.BytesIO(b"a.wav\r\n\nb c.wav\n"), null=False) == ["a.wav", "b c.wav"]
    assert read_list(io.BytesIO(b"two\nlines.wav\0b.wav\0"), null=True) == ["two\nlines.wav", "b.wav"]
    assert os.fsencode(read_list(io.BytesIO(b"\xff.wav\n"), null=False)[0]) == b"\xff.wav"


def test_nothing_found_is_an_error_that_tells_what_was_seen(tmp_path):
    touch(tmp_path, "a.m4a", "b.m4a")
    with pytest.raises(AudioReadError) as caught:
        expand([str(tmp_path)])
    assert "2 files of kinds that cannot be read" in caught.value.hint


def test_audio_that_cannot_be_read_is_counted(tmp_path):
    touch(tmp_path, "a.wav", "b.m4a", "c.WMA", "d.m4a", "e.txt")
    assert expand([str(tmp_path)]).unsupported == {".m4a": 2, ".wma": 1}


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_loop_of_links_ends(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert found(expand([str(tmp_path)])) == ["a.wav"]
