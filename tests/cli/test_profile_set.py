"""A compressor that is known by name: found, said, inverted."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.metrics import si_sdr_db

HEADER = (
    "name,threshold_dbfs,ratio,detector_attack_ms,detector_release_ms,gain_attack_ms,gain_release_ms,"
    "detector_order\n"
)
ROWS = "hard,-38,4.9,5,5,3.1,257,2\nslow,-48.6,8.9,107,104.5,25,1798.5,2\ngentle,-19.9,1.8,5,5,11,49,2\n"


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("presets") / "own.csv"
    path.write_text(HEADER + ROWS)
    return path


@pytest.fixture(scope="module")
def squashed(song_18_s: np.ndarray, presets: Path) -> Path:
    """The song through `hard`."""
    params = replace(load_profile_set(str(presets))["hard"], link="max")
    path = presets.parent / "squashed.wav"
    soundfile.write(path, compress(song_18_s, 44100, params).samples.T, 44100, "DOUBLE")
    return path


def test_it_is_named_with_a_probability(run, squashed, presets):
    done = run("analyze", squashed, "--profile-set", presets, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = report["diagnosis"]["identification"]
    assert found["profile"] == "hard"
    assert found["known"] >= 0.85
    assert 0.5 < found["probability"] <= found["known"]
    assert found["squashed"] > 0.9
    assert report["verdict"] == ["compressed"]
    assert report["plan"]["method"] == "model"
    (row,) = csv.DictReader(
        io.StringIO(run("analyze", squashed, "--profile-set", presets, "--csv").stdout.decode())
    )
    assert row["profile"] == "hard"
    assert float(row["profile_probability"]) == pytest.approx(found["probability"], rel=1e-4)
    assert b"hard" in run("analyze", squashed, "--profile-set", presets).stdout


def test_restore_inverts_it(run, song_18_s, squashed, presets, tmp_path):
    done = run("restore", squashed, tmp_path / "out.wav", "--profile-set", presets, "--bit-depth", "32f")
    assert done.returncode == 0, done.stderr
    restored, _ = soundfile.read(tmp_path / "out.wav")
    before, _ = soundfile.read(squashed)
    gained = si_sdr_db(song_18_s, restored.T) - si_sdr_db(song_18_s, before.T)
    assert gained > 60.0


def test_without_a_set_no_known_compressor_is_looked_for(run, squashed):
    report = json.loads(run("analyze", squashed, "--profile-set", "none", "--json").stdout)
    found = report["diagnosis"]["identification"]
    assert found["profile"] is None
    assert found["profiles"] == {}
    assert found["other"]["ratio"] > 1.5


@pytest.mark.parametrize("name", ["forty", "absent.csv"])
def test_a_set_that_does_not_exist_is_refused(run, squashed, tmp_path, name):
    restore = ("restore", squashed, tmp_path / "out.wav")
    for command in (("analyze", squashed), restore, (*restore, "--method", "neural")):
        done = run(*command, "--profile-set", name)
        assert done.returncode == 2
        assert name.encode() in done.stderr
    assert not (tmp_path / "out.wav").exists()
