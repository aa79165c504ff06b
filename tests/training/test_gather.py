from __future__ import annotations

import csv
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.errors import AudioReadError
from unsquash.training.corpus import SAMPLE_RATE, load_corpus
from unsquash.training.gather import joined, licence_of, main, split_of
from unsquash.training.recognition import Known, level_movement
from unsquash.units import Float64Array

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb, which Debian has")


def packed(root: Path, out: Path) -> None:
    """Make a package of a folder."""
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {root.name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: a\n"
    )
    (out / "packages").mkdir(parents=True, exist_ok=True)
    file = out / "packages" / f"{root.name}_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(root), str(file)], check=True)


def music(seed: int, seconds: float, rate: int = 22_050) -> Float64Array:
    """Make notes of random loudness and length; shape `(T, 2)`."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 6)
    onsets = np.sort(rng.uniform(0.0, seconds, count))
    t = np.arange(int(seconds * rate)) / rate
    out = np.zeros(t.size)
    for onset, frequency, level in zip(
        onsets, rng.uniform(100, 2000, count), rng.uniform(0.02, 0.3, count), strict=True
    ):
        start = int(onset * rate)
        piece = t[: min(rate, t.size - start)]
        out[start : start + piece.size] += level * np.exp(-6 * piece) * np.sin(2 * np.pi * frequency * piece)
    return np.stack([out, 0.8 * out], axis=1) / np.abs(out).max()


def test_an_excerpt_of_a_recording_is_known_whatever_its_level_and_noise() -> None:
    whole, rate = music(1, 60.0), 22_050
    known = Known()
    excerpt = 0.3 * whole[17 * rate + 123 : 42 * rate]
    known.add(level_movement(excerpt + 1e-4 * np.random.default_rng(0).standard_normal(excerpt.shape), rate))
    assert known.holds(level_movement(whole, rate))
    assert not any(known.holds(level_movement(music(seed, 60.0), rate)) for seed in range(2, 8))


def test_what_is_too_short_or_never_moves_is_not_known() -> None:
    known = Known()
    known.add(level_movement(np.full((60 * 22_050, 1), 0.5), 22_050))
    known.add(level_movement(music(1, 5.0), 22_050))
    assert not known.holds(level_movement(music(1, 60.0), 22_050))
    assert not known.holds(level_movement(music(1, 5.0), 22_050))


def test_short_recordings_are_joined_folder_by_folder(tmp_path: Path) -> None:
    for name in ("a/1.wav", "a/2.wav", "b/1.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, music(3, 1.0), 22_050)
    made = list(joined(sorted(tmp_path.rglob("*.wav"))))
    assert [round(soundfile.info(path).duration, 1) for path in made] == [2.6, 1.3]
    assert [path.parent.name for path in made] == ["a", "b"]


def test_joining_follows_no_link_of_a_package(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.wav", tmp_path / "package"
    folder.mkdir()
    soundfile.write(outside, music(3, 1.0), 22_050)
    soundfile.write(folder / "1.wav", music(3, 1.0), 22_050)
    (folder / "joined.wav").symlink_to(outside)
    before = outside.read_bytes()
    assert [path.is_symlink() for path in joined(sorted(folder.glob("1.wav")))] == [False]
    assert outside.read_bytes() == before


def test_licences_are_read_from_the_copyright_file(tmp_path: Path) -> None:
    assert licence_of("game", tmp_path) == "see the package"
    path = tmp_path / "usr/share/doc/game/copyright"
    path.parent.mkdir(parents=True)
    path.write_text(
        "Files: *\nLicense: GPL-2+\n\nFiles: m/*\nLicense: CC-BY-SA-3.0\n\nLicense: GPL-2+\n text\n"
    )
    assert licence_of("game", tmp_path) == "CC-BY-SA-3.0, GPL-2+"


@pytest.mark.parametrize("names", [[], ["notes.wav"]])
def test_nothing_to_leave_out_where_something_should_be_is_an_error(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("no audio")
    with pytest.raises(AudioReadError, match="no audio in"):
        main(["game", "--unlike", str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "1"])


@needs_dpkg
def test_packages_become_a_catalogue_without_what_is_held_out(tmp_path: Path) -> None:
    held_out, out = tmp_path / "bench", tmp_path / "out"
    held_out.mkdir()
    soundfile.write(held_out / "x.flac", music(5, 60.0)[20 * 22_050 : 45 * 22_050], 22_050)
    root = tmp_path / "game"
    sounds = root / "usr/share/games/game"
    sounds.mkdir(parents=True)
    soundfile.write(sounds / "theme.flac", music(4, 100.0), 22_050)
    soundfile.write(sounds / "held-out.flac", music(5, 60.0), 22_050)
    soundfile.write(sounds / "twice.flac", music(4, 100.0), 22_050)
    soundfile.write(sounds / "jump.wav", music(6, 1.0), 22_050)
    soundfile.write(tmp_path / "inside.flac", music(7, 40.0), 22_050)
    with zipfile.ZipFile(sounds / "pak0.pk3", "w") as archive:
        archive.write(tmp_path / "inside.flac", "music/inside.flac")
    packed(root, out)
    main(["game", "--unlike", str(held_out), "--out", str(out), "--workers", "1"])
    with (out / "catalog.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {Path(row["title"]).name for row in rows} == {"theme.flac", "inside.flac"}
    assert {row["split"] for row in rows} == {split_of("game")}
    tracks = load_corpus([out], tmp_path / "cache", validation_artists=[])
    assert sorted(round(len(track.samples) / SAMPLE_RATE) for track in tracks) == [40, 90]
    assert not [path for path in out.iterdir() if path.is_dir() and path.name != "packages"]


@needs_dpkg
def test_one_bad_package_or_archive_does_not_cost_the_others(tmp_path: Path) -> None:
    out, root = tmp_path / "out", tmp_path / "good"
    (root / "music").mkdir(parents=True)
    quiet = music(4, 100.0)
    quiet[5 * 22_050 :] = 0.0  # and silence in the middle, of which there is no loudness
    soundfile.write(root / "music" / "theme.flac", quiet, 22_050)
    soundfile.write(tmp_path / "inside.flac", music(7, 40.0), 22_050)
    with zipfile.ZipFile(root / "music" / "pak0.pk3", "w") as archive:
        archive.write(tmp_path / "inside.flac", "inside.flac")
    damaged = bytearray((root / "music" / "pak0.pk3").read_bytes())
    damaged[2000:2100] = bytes(100)
    (root / "music" / "pak1.pk3").write_bytes(damaged)
    packed(root, out)
    (out / "packages" / "bad_1_all.deb").write_bytes(b"half a download")
    with pytest.raises(AudioReadError, match="1 of 2 packages could not be had: bad"):
        main(["bad", "good", "--out", str(out), "--workers", "1"])
    with (out / "catalog.csv").open() as stream:
        rows = {Path(row["title"]).name: row for row in csv.DictReader(stream)}
    assert set(rows) == {"theme.flac", "inside.flac"}


def test_where_there_is_no_apt_a_package_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioReadError, match="game"):
        main(["game", "--out", str(tmp_path / "out"), "--workers", "1"])
