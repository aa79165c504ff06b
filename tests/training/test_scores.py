"""Scores, arranged anew and rendered."""

from __future__ import annotations

import csv
import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from unsquash.errors import InputError, OptionError, OutputError
from unsquash.training import scores
from unsquash.training.corpus import SAMPLE_RATE, load_corpus
from unsquash.training.scores import DRUMS, LONGEST_S, SILENCE, TICKS_PER_S, render_all, varied

SOUNDFONTS = [path for folder in ("sf2", "sf3") for path in Path("/usr/share/sounds", folder).glob("*.sf?")]


def smf(body: bytes, division: int = 96) -> bytes:
    """Make a MIDI file of one track."""
    header = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1, 0, division])
    return header + b"MTrk" + len(body).to_bytes(4, "big") + body


END = b"\x00\xff\x2f\x00"
NO_SCORES = [
    b"no score",
    smf(b"\x00\xff\x59\x02\x09\x00" + END),  # nine sharps
    smf(b"\x00\xff\x51\x01\x09" + END),  # a third of a tempo
    smf(b"\x00\x90\x40\x40\x10\x80\x40\x40" + END, division=0),
    smf(END).replace(bytes([0, 0, 0, 1]), bytes([0, 2, 0, 1])),  # tracks that are not played together
]


@pytest.fixture
def score() -> mido.MidiFile:
    """Half a minute of a tune and a drum, then a note that nobody ends after three minutes."""
    tune, drum = mido.MidiTrack(), mido.MidiTrack()
    tune.append(mido.Message("program_change", channel=2, program=40))
    for step in range(60):
        for kind in ("note_on", "note_off"):
            tune.append(mido.Message(kind, channel=2, note=60 + step % 5, velocity=70, time=240))
            drum.append(mido.Message(kind, channel=DRUMS, note=38, velocity=100, time=240))
    tune.append(mido.Message("note_on", channel=2, note=72, velocity=70, time=480 * 2 * 180))
    return mido.MidiFile(tracks=[tune, drum])


def notes(score: mido.MidiFile, channel: int) -> list[int]:
    return [m.note for m in score.tracks[0] if m.type == "note_on" and m.channel == channel]


def test_an_arrangement_depends_on_its_seed_only(score):
    first, again, other = (varied(score, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert list(first.tracks[0]) == list(again.tracks[0])
    assert list(first.tracks[0]) != list(other.tracks[0])


def test_the_tune_moves_and_the_drums_do_not(score):
    keys = set()
    for seed in range(12):
        arranged = varied(score, np.random.default_rng(seed))
        assert set(notes(arranged, DRUMS)) == {38}
        intervals = np.diff(notes(arranged, 2)[:60])
        np.testing.assert_array_equal(intervals, np.diff([60 + step % 5 for step in range(60)]))
        keys.add(notes(arranged, 2)[0])
    assert len(keys) > 4


def test_it_ends_in_time_and_in_silence(score):
    for seed in range(6):
        (track,) = varied(score, np.random.default_rng(seed)).tracks
        assert sum(message.time for message in track) <= LONGEST_S * TICKS_PER_S
        assert [m.channel for m in track if m.is_cc(SILENCE)] == list(range(16))


def test_nothing_to_render_is_refused(tmp_path):
    with pytest.raises(OptionError, match="nothing to render"):
        render_all(tmp_path, tmp_path / "out", [Path("font.sf2")], variants=1, seed=1)


@pytest.mark.skipif(
    not (shutil.which("fluidsynth") and SOUNDFONTS),
    reason="needs fluidsynth and a sound font, which pip cannot install",
)
def test_what_is_rendered_is_training_audio(score, tmp_path):
    (tmp_path / "midi").mkdir()
    score.save(tmp_path / "midi" / "tune.mid")
    for index, track in enumerate(NO_SCORES):
        (tmp_path / "midi" / f"broken{index}.mid").write_bytes(track)
    count = render_all(tmp_path / "midi", tmp_path / "out", SOUNDFONTS[:1], variants=2, seed=3)
    with (tmp_path / "out" / "catalog.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert count == len(rows) == 2
    first, second = (soundfile.read(tmp_path / "out" / row["file"])[0] for row in rows)
    length = min(len(first), len(second))
    assert not np.allclose(first[:length], second[:length])
    for track in load_corpus([tmp_path / "out"], tmp_path / "cache", validation_artists=[]):
        assert track.kind == "score"
        assert 20 * SAMPLE_RATE <= len(track.samples) <= (LONGEST_S + 10) * SAMPLE_RATE


@pytest.fixture
def midi(score: mido.MidiFile, tmp_path: Path) -> Path:
    """Two scores."""
    folder = tmp_path / "midi"
    folder.mkdir()
    score.save(folder / "a.mid")
    score.save(folder / "b.MID")
    (tmp_path / "font.sf2").write_bytes(b"")
    return folder


def test_pieces_are_in_the_catalogue_as_they_come(
    midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def played(*_arguments: object) -> np.ndarray:
        made.append(1)
        if len(made) > 2:
            raise KeyboardInterrupt
        return 0.1 * np.ones((25 * SAMPLE_RATE, 2))

    monkeypatch.setattr(scores, "render", played)
    monkeypatch.setattr(scores, "ThreadPoolExecutor", lambda _threads: ThreadPoolExecutor(1))  # in turn
    monkeypatch.chdir(midi)
    with pytest.raises(KeyboardInterrupt):
        render_all(Path(), tmp_path / "out", [tmp_path / "font.sf2"], variants=3, seed=3)
    with (tmp_path / "out" / "catalog.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file"], row["artist_or_repo"]) for row in rows] == [
        ("a-0.flac", "midi"),
        ("b.MID-0.flac", "midi"),
    ]


def test_a_disk_that_is_full_is_told_of_the_piece_and_nothing_half_is_left(
    midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scores, "render", lambda *_arguments: 0.1 * np.ones((25 * SAMPLE_RATE, 2)))
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OutputError, match=r"a-0\.flac"):
        render_all(midi, tmp_path / "out", [tmp_path / "font.sf2"], variants=1, seed=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_without_a_sound_font_nothing_is_rendered_and_no_catalogue_written(
    midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match=r"no sound font .*nowhere\.sf2"):
        render_all(midi, tmp_path / "out", [tmp_path / "nowhere.sf2"], variants=1, seed=1)
    monkeypatch.setattr(scores, "render", lambda *_arguments: np.empty((0, 2)))
    with pytest.raises(InputError, match="none of 2 scores"):
        render_all(midi, tmp_path / "out", [tmp_path / "font.sf2"], variants=1, seed=1)
    assert not list((tmp_path / "out").iterdir())
