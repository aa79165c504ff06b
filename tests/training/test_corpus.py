from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.errors import AudioReadError
from unsquash.training import corpus
from unsquash.training.corpus import PEAK, SAMPLE_RATE, choose, load_corpus


def test_decodes_splits_by_artist_and_never_opens_the_benchmark(corpus_folder: Path, tmp_path: Path) -> None:
    tracks = load_corpus([corpus_folder], tmp_path, validation_artists=["b"])
    assert [track.artist for track in tracks] == ["a", "b", "a", "a", "c"]
    assert [track.part for track in tracks].count("validation") == 1
    assert all(np.abs(track.samples).max() == PEAK for track in tracks)
    assert all(track.samples.shape == (4 * SAMPLE_RATE, 2) for track in tracks)
    assert not any("bench" in path.name for path in tmp_path.iterdir())


def test_music_kept_for_the_judge_is_a_part_of_its_own_unless_held_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(2 * SAMPLE_RATE) / 20), SAMPLE_RATE)
    rows = ["a.wav,mix,train,a,CC0,", "a.wav,mix,judging,b,CC0,", "a.wav,mix,judging,c,CC0,"]
    (tmp_path / "catalog.csv").write_text("file,kind,split,artist_or_repo,licence,plr_db\n" + "\n".join(rows))
    tracks = load_corpus([tmp_path], tmp_path / "cache", validation_artists=["c"])
    assert [track.part for track in tracks] == ["train", "judging", "validation"]


def test_the_second_time_nothing_is_decoded(corpus_folder: Path, tmp_path: Path) -> None:
    load_corpus([corpus_folder], tmp_path, validation_artists=[])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    load_corpus([corpus_folder], tmp_path, validation_artists=[])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def test_mono_of_another_rate_becomes_stereo_at_44100(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    soundfile.write(audio / "a.wav", 0.1 * np.sin(np.arange(48_000 * 2) / 20), 48_000)
    header = "file,kind,split,artist_or_repo,licence,plr_db\n"
    (audio / "catalog.csv").write_text(header + "a.wav,mix,train,a,CC0,\n")
    (track,) = load_corpus([audio], tmp_path / "cache", validation_artists=[])
    assert track.samples.shape == (2 * SAMPLE_RATE, 2)
    np.testing.assert_array_equal(track.samples[:, 0], track.samples[:, 1])


def test_folders_of_one_name_whose_files_have_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "one" / "scores", tmp_path / "two" / "scores"]
    for index, folder in enumerate(folders):
        folder.mkdir(parents=True)
        seconds = np.arange((index + 2) * SAMPLE_RATE) / SAMPLE_RATE
        soundfile.write(folder / "a.wav", 0.1 * np.sin(2000.0 * seconds), SAMPLE_RATE)
        header = "file,kind,split,artist_or_repo,licence,plr_db\n"
        (folder / "catalog.csv").write_text(header + "a.wav,score,train,a,CC0,\n")
    tracks = load_corpus(folders, tmp_path / "cache", validation_artists=[])
    assert [len(track.samples) for track in tracks] == [2 * SAMPLE_RATE, 3 * SAMPLE_RATE]


def test_a_folder_without_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioReadError, match=r"catalog\.csv"):
        load_corpus([tmp_path], tmp_path, validation_artists=[])


HEADER = "file,kind,split,artist_or_repo,licence,plr_db\n"


def catalogue(folder: Path, text: str) -> None:
    """Write a catalogue beside `a.wav`, two seconds of a tone."""
    tone = 0.1 * np.sin(np.arange(2 * SAMPLE_RATE) / 20)
    soundfile.write(folder / "a.wav", tone, SAMPLE_RATE)
    (folder / "catalog.csv").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "lacks the column file"),
        ("file,kind,artist_or_repo,licence,plr_db\na.wav,mix,a,CC0,\n", "lacks the column split"),
        (HEADER, "nothing in"),
        (HEADER + "a.wav,mix,train\n", "row 2: fields are missing"),
        (HEADER + "a.wav,mix,test,a,CC0,\n", "row 2: the split is 'test'"),
        (HEADER + "a.wav,mix,train,a,CC0,\na.wav,music,train,a,CC0,\n", "row 3: the kind is 'music'"),
        (HEADER + "a.wav,mix,train,a,CC0,loud\n", "row 2: plr_db is 'loud'"),
        (HEADER + "a.wav,mix,train,a,CC0,\nb.wav,mix,train,a,CC0,\n", "1 of the files .* missing.* b.wav"),
    ],
)
def test_a_catalogue_that_would_mislead_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    catalogue(tmp_path, text)
    with pytest.raises(AudioReadError, match=problem) as refusal:
        load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    assert refusal.value.hint


def test_rows_of_the_benchmark_may_be_of_any_kind(tmp_path: Path) -> None:
    catalogue(tmp_path, HEADER + "a.wav,mix,train,a,CC0,\nsecret.wav,puzzle,bench,b,CC0,?\n")
    assert len(load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])) == 1


def test_a_catalogue_of_another_encoding_is_refused(tmp_path: Path) -> None:
    catalogue(tmp_path, HEADER)
    (tmp_path / "catalog.csv").write_bytes(
        HEADER.encode() + "a.wav,mix,train,Bj\u00f6rk,CC0,\n".encode("latin-1")
    )
    with pytest.raises(AudioReadError, match=r"cannot read .*catalog\.csv"):
        load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])


@pytest.mark.parametrize("damage", ["no audio", "no numbers"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    catalogue(tmp_path, HEADER + "a.wav,mix,train,a,CC0,\n")
    if damage == "no audio":
        (tmp_path / "a.wav").write_bytes(b"no audio")
    else:
        soundfile.write(tmp_path / "a.wav", np.full(SAMPLE_RATE * 2, np.nan), SAMPLE_RATE, "FLOAT")
    with pytest.raises(AudioReadError, match=r"a\.wav"):
        load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("changed_s", [-3600.0, 3600.0])
def test_a_file_that_has_changed_is_decoded_again_and_one_that_is_gone_is_remembered(
    changed_s: float, tmp_path: Path
) -> None:
    catalogue(tmp_path, HEADER + "a.wav,mix,train,a,CC0,\n")
    (before,) = load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(3 * SAMPLE_RATE) / 20), SAMPLE_RATE)
    now_s = time.time()
    os.utime(tmp_path / "a.wav", (now_s, now_s + changed_s))  # an older version may take its place, too
    (after,) = load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    assert (len(before.samples), len(after.samples)) == (2 * SAMPLE_RATE, 3 * SAMPLE_RATE)
    (tmp_path / "a.wav").unlink()
    (again,) = load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    np.testing.assert_array_equal(again.samples, after.samples)


def test_a_file_of_the_future_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue(tmp_path, HEADER + "a.wav,mix,train,a,CC0,\n")
    tomorrow_s = time.time() + 86_400.0
    os.utime(tmp_path / "a.wav", (tomorrow_s, tomorrow_s))
    load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])
    monkeypatch.setattr(corpus, "ProcessPoolExecutor", None)  # as in a worker, which can have none
    assert len(load_corpus([tmp_path], tmp_path / "cache", validation_artists=[])) == 1


def test_names_may_be_absolute_and_of_any_script(tmp_path: Path) -> None:
    audio, elsewhere = tmp_path / "\u00e4udio", tmp_path / "\u97f3\u697d.wav"
    audio.mkdir()
    catalogue(audio, HEADER + f"{elsewhere},mix,train,\u30a2,CC0,\n")
    soundfile.write(elsewhere, 0.1 * np.sin(np.arange(16_000) / 20), 8_000)
    (track,) = load_corpus([audio], tmp_path / "cache", validation_artists=["\u30a2"])
    assert track.part == "validation"
    assert track.samples.shape == (2 * SAMPLE_RATE, 2)


def test_a_part_without_tracks_is_refused(corpus_folder: Path, cache_folder: Path) -> None:
    corpus = load_corpus([corpus_folder], cache_folder, validation_artists=["b"])
    assert [track.artist for track in choose(corpus, "validation", "mix")] == ["b"]
    with pytest.raises(AudioReadError, match="of kind speech in the part 'validation'"):
        choose(corpus, "validation", "speech")
    with pytest.raises(AudioReadError, match="at all in the part 'judging'"):
        choose(corpus, "judging")
