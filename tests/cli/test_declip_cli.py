"""A clipped recording, from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from unsquash.metrics import si_sdr_db
from unsquash.units import Float64Array

RATE = 44_100
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_flat_tops_are_filled_in_and_nothing_else_moves(run: Run, song: Float64Array, tmp_path: Path) -> None:
    squashed = np.clip(2.0 * song / np.abs(song).max(), -0.8, 0.8)
    soundfile.write(tmp_path / "clipped.wav", squashed.T, RATE, "FLOAT")
    done = run("restore", tmp_path / "clipped.wav", tmp_path / "restored.wav", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["plan"]["method"] == "declip"
    assert "clipped flat" in report["plan"]["reasons"][0]
    assert report["level_gain_db"] == 0.0
    restored = soundfile.read(tmp_path / "restored.wav")[0]
    assert si_sdr_db(song.T, restored) > si_sdr_db(song.T, squashed.T) + 1.0
    below = np.abs(squashed.T) < 0.799
    np.testing.assert_allclose(restored[below], squashed.T[below], rtol=1e-6, atol=1e-12)
    assert np.abs(restored).max() > 0.85


def test_a_gain_of_declipping_can_be_taken_back(run: Run, song: Float64Array, tmp_path: Path) -> None:
    squashed = np.clip(2.0 * song / np.abs(song).max(), -0.8, 0.8)
    clipped, restored, again = (tmp_path / f"{name}.wav" for name in ("clipped", "restored", "again"))
    soundfile.write(clipped, squashed.T, RATE, "FLOAT")
    assert run("restore", clipped, restored, "--save-gain", tmp_path / "a.gain").returncode == 0
    assert run("restore", restored, again, "--apply-gain", tmp_path / "a.gain", "--undo").returncode == 0
    np.testing.assert_allclose(soundfile.read(again)[0], soundfile.read(clipped)[0], atol=1e-6)
