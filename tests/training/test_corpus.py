from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.errors import AudioReadError
from unsquash.training.corpus import PEAK, SAMPLE_RATE, load_corpus


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
