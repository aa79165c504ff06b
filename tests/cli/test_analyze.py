"""`analyze`: verdicts, `--check`, `--csv`, `--plot`."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from unsquash.spreadsheet import COLUMNS

HERE = ("--jobs", "1", "--device", "cpu")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(song, tmp_path_factory):
    """A clean, a clipped and a silent recording, and a file that is none."""
    root = tmp_path_factory.mktemp("analyze")
    soundfile.write(root / "clean.wav", song.T, 44100, "PCM_16")
    soundfile.write(root / "clipped.wav", np.clip(3.0 * song.T, -0.8, 0.8), 44100, "PCM_16")
    soundfile.write(root / "silent.wav", np.zeros((4410, 1)), 44100, "PCM_16")
    (root / "text.wav").write_text("no audio\n" * 100)
    return root


def rows(done):
    return list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))


class TestVerdict:
    def test_json_names_it(self, run, folder):
        report = json.loads(run("analyze", folder / "clipped.wav", "--json").stdout)
        assert report["schema"] == 1
        assert report["squashed"] is True
        assert report["verdict"][-1] == "clipped"
        assert report["diagnosis"]["dynamics"]["verdict"] in ("none", "limited", "compressed")
        assert "trace" not in report

    def test_the_table_of_a_file_names_it(self, run, folder):
        table = run("analyze", folder / "clipped.wav").stdout.decode()
        (verdict,) = [line for line in table.splitlines() if line.startswith("verdict")]
        assert verdict.rstrip().endswith("clipped")

    def test_the_table_of_a_folder_names_them(self, run, folder):
        done = run("analyze", folder, *HERE)
        assert done.returncode == 3
        title, *found = done.stdout.decode().splitlines()
        assert title.split()[:3] == ["file", "verdict", "confidence"]
        assert title.split()[-1] == "restore"
        assert [line.split()[0].rpartition(os.sep)[2] for line in found] == [
            "clean.wav",
            "clipped.wav",
            "silent.wav",
        ]
        assert "untouched" in found[0]
        assert "clipped  " in found[1]
        assert "unknown" in found[2]


class TestCheck:
    @pytest.mark.parametrize(
        ("name", "code"), [("clean.wav", 0), ("clipped.wav", 10), ("silent.wav", 0), ("text.wav", 4)]
    )
    def test_one_file(self, run, folder, name, code):
        done = run("analyze", "--check", folder / name)
        assert done.returncode == code, done.stderr
        assert bool(done.stdout) == (code != 4)

    def test_several_files(self, run, folder):
        done = run("analyze", "--check", folder / "clean.wav", folder / "clipped.wav", *HERE)
        assert done.returncode == 10, done.stderr
        done = run("analyze", "--check", folder / "clean.wav", folder / "silent.wav", *HERE)
        assert done.returncode == 0, done.stderr

    def test_failures_take_precedence(self, run, folder):
        assert run("analyze", "--check", folder, *HERE).returncode == 3

    def test_without_it_a_finding_is_no_failure(self, run, folder):
        assert run("analyze", folder / "clipped.wav").returncode == 0


class TestCsv:
    def test_a_row_for_every_file(self, run, folder):
        done = run("analyze", folder, "--csv", *HERE)
        assert done.returncode == 3
        assert done.stdout.startswith(",".join(COLUMNS).encode() + b"\r\n")
        found = {row["file"].rpartition(os.sep)[2]: row for row in rows(done)}
        assert list(found) == ["text.wav", "clean.wav", "clipped.wav", "silent.wav"]
        assert found["clean.wav"]["verdict"] == "untouched"
        assert found["clean.wav"]["method"] == "none"
        assert found["clean.wav"]["reasons"]
        assert 0.0 <= float(found["clean.wav"]["confidence"]) <= 1.0
        assert found["clipped.wav"]["squashed"] == "true"
        assert float(found["clipped.wav"]["clipping_ceiling_dbfs"]) == pytest.approx(-1.94, abs=0.01)
        assert float(found["clipped.wav"]["duration_s"]) == 6.0
        assert found["silent.wav"]["integrated_lufs"] == ""
        assert found["text.wav"]["error"]
        assert found["text.wav"]["verdict"] == ""

    def test_of_one_file_with_a_strange_name(self, run, folder, tmp_path):
        path = shutil.copy(folder / "silent.wav", tmp_path / 'a, "b"\nc.wav')
        done = run("analyze", path, "--csv")
        assert done.returncode == 0, done.stderr
        (row,) = rows(done)
        assert row["file"] == str(path)
        assert row["container"] == "WAV"

    @pytest.mark.parametrize("flag", ["--json", "--json-lines"])
    def test_there_is_no_json_beside_it(self, run, folder, flag):
        done = run("analyze", folder / "silent.wav", "--csv", flag)
        assert done.returncode == 2
        assert b"hint:" in done.stderr
        assert done.stdout == b""


class TestPlot:
    @pytest.fixture(autouse=True)
    def _settings(self, monkeypatch, tmp_path_factory):
        pytest.importorskip("matplotlib")
        settings = tmp_path_factory.mktemp("settings") / "matplotlibrc"
        settings.write_text("axes.facecolor: red\n")
        monkeypatch.setenv("MATPLOTLIBRC", str(settings))

    def test_it_is_the_same_each_time_whatever_the_user_prefers(self, run, folder, tmp_path, monkeypatch):
        first, second = tmp_path / "first.png", tmp_path / "second.PNG"
        done = run("analyze", folder / "clipped.wav", "--plot", first, "--json", "--check")
        assert done.returncode == 10, done.stderr
        assert json.loads(done.stdout)["input"].endswith("clipped.wav")
        assert b"first.png" in done.stderr
        monkeypatch.delenv("MATPLOTLIBRC")
        assert run("analyze", folder / "clipped.wav", "--plot", second).returncode == 0
        assert first.read_bytes().startswith(PNG)
        assert first.read_bytes() == second.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.PNG"]

    def test_there_is_none_to_overwrite(self, run, folder):
        done = run("analyze", folder / "silent.wav", "-f")
        assert done.returncode == 2
        assert b"--plot" in done.stderr

    def test_an_existing_file_is_replaced_only_if_told_so(self, run, folder, tmp_path):
        plot = tmp_path / "plot.png"
        plot.write_bytes(b"mine")
        done = run("analyze", folder / "silent.wav", "--plot", plot)
        assert done.returncode == 6
        assert done.stdout == b""
        assert plot.read_bytes() == b"mine"
        assert run("analyze", folder / "silent.wav", "--plot", plot, "-f").returncode == 0
        assert plot.read_bytes().startswith(PNG)

    def test_the_input_is_never_replaced(self, run, folder, tmp_path):
        path = shutil.copy(folder / "silent.wav", tmp_path / "song.png")
        assert run("analyze", path, "--plot", path, "-f").returncode == 6
        assert path.read_bytes() == (folder / "silent.wav").read_bytes()

    def test_a_missing_input_is_named_though_the_plot_exists(self, run, tmp_path):
        (tmp_path / "plot.png").write_bytes(b"mine")
        done = run("analyze", tmp_path / "no.wav", "--plot", tmp_path / "plot.png", "-f")
        assert done.returncode == 4
        assert b"no.wav" in done.stderr

    def test_of_stdin(self, run, folder, tmp_path):
        plot = tmp_path / "plot.png"
        done = run("analyze", "-", "--plot", plot, input=(folder / "silent.wav").read_bytes())
        assert done.returncode == 0, done.stderr
        assert plot.read_bytes().startswith(PNG)

    @pytest.mark.parametrize(
        ("inputs", "name"),
        [(("clean.wav", "silent.wav"), "plot.png"), ((".",), "plot.png"), (("clean.wav",), "plot.jpg")],
    )
    def test_usage(self, run, folder, tmp_path, inputs, name):
        done = run("analyze", *(folder / item for item in inputs), "--plot", tmp_path / name)
        assert done.returncode == 2
        assert b"hint:" in done.stderr
        assert not list(tmp_path.iterdir())

    def test_a_missing_folder_is_found_before_any_work(self, run, folder, tmp_path):
        done = run("analyze", folder / "clean.wav", "--plot", tmp_path / "no" / "plot.png")
        assert done.returncode == 1
        assert b"does not exist" in done.stderr

    def test_without_matplotlib_it_says_what_to_install(self, run, folder, tmp_path):
        (tmp_path / "matplotlib").mkdir()
        (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError('not here')\n")
        plot = tmp_path / "plot.png"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = run("analyze", folder / "clean.wav", "--plot", plot, env=environment)
        assert done.returncode == 2
        assert b"unsquash[plot]" in done.stderr
        assert not plot.exists()
