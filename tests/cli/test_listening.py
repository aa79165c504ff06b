"""Previews, pairs and gain files on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import typer

from unsquash.cli import app

KNOWN = ("--profile", "five/C", "--level", "keep")


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "in.wav"
    wave = 0.11 * np.sin(np.arange(44100) / 20)
    soundfile.write(path, np.stack((wave, wave), 1), 44100, "PCM_16")
    return path


def parsed(*words):
    command = typer.main.get_command(app).commands["restore"]
    return command.make_context("restore", list(words)).params


@pytest.mark.parametrize(
    ("words", "length", "inputs"),
    [
        (("--preview", "a", "b"), "30", ["a", "b"]),
        (("a", "b", "--preview"), "30", ["a", "b"]),
        (("a", "b", "--preview", "--json"), "30", ["a", "b"]),
        (("a", "b", "--preview", "12.5"), "12.5", ["a", "b"]),
        (("--preview", "10", "a", "b"), "10", ["a", "b"]),
        (("--preview=7", "a", "b"), "7", ["a", "b"]),
        (("--preview", ".5", "a", "b"), ".5", ["a", "b"]),
        (("a", "b", "--preview", "1:00"), "1:00", ["a", "b"]),
        (("--preview", "44100s", "a", "b"), "44100s", ["a", "b"]),
        (("a", "b"), None, ["a", "b"]),
    ],
)
def test_preview_may_stand_without_its_length(words, length, inputs):
    found = parsed(*words)
    assert found["preview"] == length
    assert list(found["inputs"]) == inputs


@pytest.mark.slow
def test_gain_files_and_pairs(run, tone, tmp_path):
    gain, out, again, back = (tmp_path / name for name in ("a.gain", "out.wav", "again.wav", "back.wav"))
    done = run("restore", tone, out, *KNOWN, "--save-gain", gain, "--ab", tmp_path / "ab", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    names = [str(gain), *(str(tmp_path / "ab" / f"in.{name}.wav") for name in ("before", "after"))]
    assert report["beside"] == names
    assert run("restore", tone, again, "--apply-gain", gain).returncode == 0
    assert np.array_equal(soundfile.read(again)[0], soundfile.read(out)[0])
    assert run("restore", out, back, "--apply-gain", gain, "--undo").returncode == 0
    assert np.array_equal(soundfile.read(back)[0], soundfile.read(tone)[0])
    refused = run("restore", out, tmp_path / "x.wav", "--apply-gain", gain)
    assert refused.returncode == 2
    assert b"another recording" in refused.stderr
    (tmp_path / "broken.gain").write_bytes(gain.read_bytes()[:1000])
    refused = run("restore", tone, tmp_path / "x.wav", "--apply-gain", tmp_path / "broken.gain")
    assert refused.returncode == 4
    assert b"gain file" in refused.stderr
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.slow
def test_they_are_for_one_file_at_a_time(run, tone, tmp_path):
    (tmp_path / "out").mkdir()
    for flag in ("--save-gain", "--apply-gain", "--ab"):
        done = run("restore", tone, tone, "-o", tmp_path / "out", flag, tmp_path / "x")
        assert done.returncode == 2
        assert b"one file at a time" in done.stderr


@pytest.mark.slow
def test_compare_writes_a_pair_of_any_two_files(run, tone, tmp_path):
    after = tmp_path / "after.flac"
    samples = soundfile.read(tone)[0]
    soundfile.write(after, samples * 0.5, 44100, "PCM_24")
    done = run("compare", tone, after, "--ab", tmp_path / "ab", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"] == 1
    first, second = (soundfile.read(tmp_path / "ab" / f"in.{name}.wav")[0] for name in ("before", "after"))
    assert np.allclose(first, second, atol=1e-6)
    assert np.allclose(second, samples * 0.5, atol=1e-6)
    assert run("compare", tone, after, "--ab", tmp_path / "ab").returncode == 6
    assert run("compare", tone, after, "--blind").returncode == 2
