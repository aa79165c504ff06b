"""`analyze`, `squash`, `compare`, `presets`, `models`, `doctor`, and the program as a whole."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.console import print_analysis, print_models
from unsquash.options import RestoreOptions
from unsquash.pipeline import analyze_file

REPOSITORY = Path(__file__).parent.parent.parent


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_version(run):
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert run("--version").stdout.decode().strip() == f"unsquash {version}"


@pytest.mark.parametrize("flags", [("--help",), ("-h",), ("restore", "-h"), ("models", "list", "--help")])
def test_help(run, flags):
    done = run(*flags)
    assert done.returncode == 0
    assert b"unsquash" in done.stdout


def test_an_unknown_command_is_a_usage_error(run):
    assert run("resurrect").returncode == 2


def test_analyze_reports_levels_clipping_and_bandwidth(run, song, tmp_path):
    path = tmp_path / "clipped.wav"
    soundfile.write(path, np.clip(song.T * 3, -0.8, 0.8), 44100, "PCM_16")
    report = strict(run("analyze", path, "--json").stdout)
    found = report["diagnosis"]
    assert found["levels"]["sample_peak_dbfs"] == pytest.approx(20 * np.log10(0.8), abs=0.01)
    assert found["clipping"]["ceiling_dbfs"] == pytest.approx(20 * np.log10(0.8), abs=0.01)
    assert found["clipping"]["fraction"] > 0.001
    assert found["clipping"]["longest_run_samples"] > 3
    assert found["bandwidth_hz"] > 8000
    for name in ("integrated_lufs", "true_peak_dbtp", "plr_db", "crest_db", "dr_db"):
        assert isinstance(found["levels"][name], float)
    assert report["plan"]["reasons"]


def test_analyze_prints_a_table_on_stdout(run, song_wav):
    done = run("analyze", song_wav)
    assert b"LUFS" in done.stdout
    assert b"method:" in done.stdout


def test_the_table_says_in_words_that_nobody_played_it_and_else_nothing(capsys, song_wav):
    report = analyze_file(song_wav)
    for is_artificial in (False, True):
        dynamics = dataclasses.replace(report.diagnosis.dynamics, is_artificial=is_artificial)
        diagnosis = dataclasses.replace(report.diagnosis, dynamics=dynamics)
        print_analysis(dataclasses.replace(report, diagnosis=diagnosis))
        table = capsys.readouterr().out
        assert ("tones, clicks or noise as they were made" in table) is is_artificial
        assert ("artificial" in table) is is_artificial
        assert "True" not in table
        assert "False" not in table


def test_no_cell_of_a_table_is_cut(capfdbinary, monkeypatch, cli, song_wav):
    monkeypatch.setenv("COLUMNS", "20")
    print_analysis(analyze_file(song_wav, RestoreOptions(profile="five/C")))
    row = {"name": "x" * 100, "task": "gain", "network": "profile", "licence": "MIT", "place": "packaged"}
    print_models([row | {"bytes": 10}])
    shown = capfdbinary.readouterr().out.decode() + cli("compare", song_wav, song_wav).out
    assert "…" not in shown
    assert all(words in shown for words in ("loudness range ", "log mel distance ", *row.values()))


@pytest.mark.parametrize("samples", [np.zeros((1000, 2)), np.zeros((1, 1)), np.full((500, 1), 0.25)])
def test_silence_and_the_very_short_are_valid(run, tmp_path, samples):
    path, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(path, samples, 44100, "PCM_24")
    assert run("analyze", path, "--json").returncode == 0
    strict(run("analyze", path, "--json").stdout)
    done = run("restore", path, out, "--json")
    assert done.returncode == 0, done.stderr
    strict(done.stdout)
    assert soundfile.info(out).frames == len(samples)
    assert run("restore", path, out, "--profile", "five/A", "-f").returncode == 0
    assert soundfile.info(out).frames == len(samples)


def test_compare_identical_and_different_files(run, song_wav, tmp_path):
    same = strict(run("compare", song_wav, song_wav, "--json").stdout)
    assert same["identical"] is True
    other = tmp_path / "squashed.wav"
    assert run("squash", song_wav, other, "--drive", "10", "--limit", "-1").returncode == 0
    far = strict(run("compare", song_wav, other, "--json").stdout)
    assert 0 < far["si_sdr_db"] < 30
    assert far["mse"] > 0
    assert far["log_mel_distance"] > 0
    table = run("compare", song_wav, other).stdout.decode()
    assert "si sdr" in table


def test_compare_refuses_files_of_different_shape(run, song_wav, tmp_path):
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, np.zeros(1000), 44100)
    done = run("compare", song_wav, mono)
    assert done.returncode in (2, 4)
    assert b"hint:" in done.stderr


def test_squash_limits_to_its_ceiling(run, song_wav, tmp_path):
    out = tmp_path / "out.wav"
    done = run("squash", song_wav, out, "--drive", "12", "--limit", "-3", "--level", "keep", "--json")
    assert strict(done.stdout)["level_gain_db"] == 0.0
    samples, _ = soundfile.read(out)
    assert len(samples) == soundfile.info(song_wav).frames
    peak_db = 20 * np.log10(np.abs(samples).max())
    assert -3.2 < peak_db <= -2.999


def test_squash_needs_something_to_do(run, song_wav, tmp_path):
    assert run("squash", song_wav, tmp_path / "out.wav").returncode == 2


def test_presets_models_and_doctor(run):
    presets = strict(run("presets", "list", "--json").stdout)
    assert presets["five/A"]["threshold_db"] == -32.0
    assert len([name for name in presets if name.startswith("thirty/")]) == 30
    assert b"five/A" in run("presets", "list").stdout
    models = strict(run("models", "list", "--json").stdout)
    assert "gain-small" in [entry["name"] for entry in models["items"]]
    assert b"intact" in run("models", "verify").stdout
    health = strict(run("doctor", "--json").stdout)
    assert health["models"]["gain-small"] == "intact"
    assert "cpu" in health["devices"]
    assert b"libsndfile" in run("doctor").stdout


def test_a_level_that_is_none_is_refused_before_any_work(run, song_wav, tmp_path):
    done = run("squash", song_wav, tmp_path / "out.wav", "--drive", "6", "--limit", "-1", "--level", "99")
    assert done.returncode == 2
    assert b"out of range" in done.stderr
    assert not (tmp_path / "out.wav").exists()
