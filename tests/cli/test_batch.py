"""Many files on the command line: exit codes, names, streams."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

NONE = ("--method", "none", "--jobs", "1")


def noise(path, seed=0, seconds=0.05):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (int(44100 * seconds), 2))
    soundfile.write(path, samples, 44100, "PCM_16")
    return path


@pytest.fixture
def music(tmp_path):
    """Four recordings in three folders."""
    folder = tmp_path / "music"
    for number, name in enumerate(("a/1.wav", "a/2.flac", "b/1.wav", "3.aiff")):
        noise(folder / name, number)
    return folder


def outputs(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.name[0] != ".")


def test_a_folder_is_mirrored(cli, music, tmp_path):
    done = cli("restore", music, "-o", tmp_path / "out", *NONE)
    assert done.code == 0, done.err
    assert done.out == ""
    assert outputs(tmp_path / "out") == ["3.aiff", "a/1.wav", "a/2.flac", "b/1.wav"]
    assert "4 unchanged" in done.err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--format", "flac", "--suffix", "_r"), ["3_r.flac", "a/1_r.flac", "a/2_r.flac", "b/1_r.flac"]),
        (("--include", "*.WAV"), ["a/1.wav", "b/1.wav"]),
        (("--exclude", "a", "--exclude", "*.aiff"), ["b/1.wav"]),
        (("--no-recursive",), ["3.aiff"]),
        (("--template", "{stem} ({dir}).{ext}", "--exclude", "3*"), ["1 (a).wav", "1 (b).wav", "2 (a).flac"]),
    ],
)
def test_flags_that_shape_the_tree(cli, music, tmp_path, flags, expected):
    done = cli("restore", music, "-o", tmp_path / "out", *NONE, *flags)
    assert done.code == 0, done.err
    assert outputs(tmp_path / "out") == expected


def test_files_and_folders_together(cli, music, tmp_path):
    extra = noise(tmp_path / "x.wav")
    done = cli("restore", music, extra, "-o", tmp_path / "out", *NONE)
    assert done.code == 0, done.err
    assert "x.wav" in outputs(tmp_path / "out")
    assert "music/a/1.wav" in outputs(tmp_path / "out")


@pytest.mark.parametrize("null", [False, True])
def test_lists_of_names(cli, music, tmp_path, monkeypatch, null):
    monkeypatch.chdir(tmp_path)
    if null:
        (music / "a" / "1.wav").rename(music / "a" / "1\n.wav")
    names = ["music/a/1\n.wav" if null else "music/a/1.wav", "music/3.aiff"]
    listing = ("\0" if null else "\n").join([*names, ""]).encode()
    done = cli("restore", "--files-from", "-", *(["-0"] if null else []), "-o", "out", *NONE, stdin=listing)
    assert done.code == 0, done.err
    assert outputs(tmp_path / "out") == sorted(names)
    assert all(len(line) < 300 for line in done.err.splitlines())
    (tmp_path / "list").write_bytes(listing)
    flags = ["-0"] if null else []
    assert cli("restore", "--files-from", "list", *flags, "-o", "out", "--resume", *NONE).code == 0


class TestExitCodes:
    def test_some_failed(self, cli, music, tmp_path):
        (music / "bad.wav").write_text("no audio")
        done = cli("restore", music, "-o", tmp_path / "out", *NONE)
        assert done.code == 3
        assert "bad.wav" in done.err
        assert len(outputs(tmp_path / "out")) == 4

    def test_all_failed(self, cli, tmp_path):
        for name in ("a.wav", "b.wav"):
            (tmp_path / name).write_text("no audio")
        assert cli("restore", tmp_path, "-o", tmp_path / "out", *NONE).code == 1

    def test_nothing_found(self, cli, tmp_path):
        (tmp_path / "notes.txt").touch()
        assert cli("restore", tmp_path, "-o", tmp_path / "out").code == 4
        assert cli("analyze", tmp_path).code == 4

    def test_collisions(self, cli, music, tmp_path):
        done = cli("restore", music, "-o", tmp_path / "out", "--template", "{stem}.{ext}", *NONE)
        assert done.code == 6
        assert "both become '1.wav'" in done.err
        assert not (tmp_path / "out").exists()

    def test_the_inputs_folder_as_output(self, cli, music):
        assert cli("restore", music, "-o", music, *NONE).code == 6

    def test_outputs_that_exist(self, cli, music, tmp_path):
        out = tmp_path / "out"
        noise(out / "b" / "1.wav")
        assert cli("restore", music, "-o", out, *NONE).code == 3
        assert cli("restore", music, "-o", out, *NONE, "--skip-existing").code == 0
        assert cli("restore", music, "-o", out, *NONE).code == 1
        assert cli("restore", music, "-o", out, *NONE, "--overwrite").code == 0
        assert cli("restore", music / "3.aiff", "-o", out, *NONE).code == 6

    @pytest.mark.parametrize(
        "arguments",
        [
            ("a/1.wav", "a/2.flac", "b/1.wav"),
            ("a/1.wav", "--resume"),
            ("a/1.wav", "b", "--album"),
            (),
            ("a", "-o", "3.aiff"),
            ("a", "-o", "-"),
            ("a", "-", "-o", "out"),
            ("a", "-o", "out", "--jobs", "0"),
            ("a", "-o", "out", "--jobs", "many"),
            ("a", "-o", "out", "--progress", "fast"),
            ("a", "-o", "out", "--template", "{artist}"),
            ("a", "-o", "out", "--overwrite", "--skip-existing"),
            ("a", "-o", "out", "--album", "--start", "1"),
            ("a", "-o", "out", "-0"),
            ("a", "-o", "out", "--profile", "nonsense"),
        ],
    )
    def test_usage(self, cli, music, tmp_path, monkeypatch, arguments):
        monkeypatch.chdir(music)
        before = outputs(tmp_path)
        done = cli("restore", *arguments)
        assert done.code == 2, done.err
        assert outputs(tmp_path) == before

    def test_an_unknown_model(self, cli, music, tmp_path):
        assert cli("restore", music, "-o", tmp_path / "out", "--model", "nonsense").code == 5

    def test_an_input_that_is_missing_is_not_skipped_where_its_output_exists(self, cli, music, tmp_path):
        out = tmp_path / "out"
        noise(out / "absent.wav")
        noise(out / "1.wav")
        done = cli("restore", tmp_path / "absent.wav", music / "a/1.wav", "-o", out, *NONE, "--skip-existing")
        assert done.code == 3
        assert "1 failed, 1 skipped" in done.err

    def test_a_list_that_is_missing(self, cli, tmp_path):
        assert cli("restore", "--files-from", tmp_path / "absent", "-o", tmp_path / "out").code == 4


class TestTwoArguments:
    def test_two_existing_files_destroy_nothing(self, cli, music):
        before = (music / "b" / "1.wav").read_bytes()
        done = cli("restore", music / "a" / "1.wav", music / "b" / "1.wav", "--method", "none")
        assert done.code == 6
        assert "for several files use -o DIR" in done.err
        assert (music / "b" / "1.wav").read_bytes() == before

    @pytest.mark.parametrize("words", [["music", "out"], ["music", "out.wav"], ["music", "--suffix", "_r"]])
    def test_a_folder_without_one_for_outputs(self, cli, music, words, monkeypatch):
        monkeypatch.chdir(music.parent)
        done = cli("restore", *words, "--method", "none")
        assert done.code == 4
        assert "'music' is a folder" in done.err
        assert "-o DIR" in done.err

    def test_one_file_beside_itself(self, cli, music):
        assert cli("restore", music / "a" / "1.wav", "--suffix", "_r", "--method", "none").code == 0
        assert (music / "a" / "1_r.wav").exists()

    def test_a_second_file_is_no_output_where_outputs_are_to_be_named(self, cli, music):
        before = (music / "b" / "1.wav").read_bytes()
        files = music / "a" / "1.wav", music / "b" / "1.wav"
        done = cli("restore", *files, "--suffix", "_r", "--method", "none", "--overwrite")
        assert done.code == 2
        assert "-o DIR" in done.err
        assert (music / "b" / "1.wav").read_bytes() == before

    def test_one_file_into_a_folder(self, cli, music, tmp_path):
        (tmp_path / "out").mkdir()
        assert cli("restore", music / "3.aiff", "-o", tmp_path / "out", *NONE).code == 0
        assert outputs(tmp_path / "out") == ["3.aiff"]
        assert cli("restore", music / "3.aiff", "-o", f"{tmp_path / 'new'}/", *NONE).code == 0
        assert outputs(tmp_path / "new") == ["3.aiff"]
        assert cli("restore", music / "3.aiff", "-o", tmp_path / "other", *NONE).code == 0
        assert outputs(tmp_path / "other") == ["3.aiff"]

    def test_an_existing_output_can_be_skipped(self, cli, music, tmp_path):
        out = tmp_path / "x.wav"
        out.write_bytes(b"precious")
        done = cli("restore", music / "a" / "1.wav", out, "--method", "none", "--skip-existing")
        assert done.code == 0
        assert "skipped" in done.err
        assert out.read_bytes() == b"precious"


class TestStreams:
    def test_a_line_for_every_file_where_there_is_no_terminal(self, cli, music, tmp_path):
        done = cli("restore", music, "-o", tmp_path / "out", *NONE)
        assert len(re.findall(r"^.*3\.aiff -> .*: unchanged.*$", done.err, flags=re.MULTILINE)) == 1
        assert "\x1b" not in done.err

    def test_quiet_tells_failures_only(self, cli, music, tmp_path):
        (music / "bad.wav").write_text("no audio")
        done = cli("restore", music, "-o", tmp_path / "out", *NONE, "--quiet")
        assert done.err.count("\n") == 1
        assert "bad.wav" in done.err

    def test_json(self, cli, music, tmp_path):
        (music / "bad.wav").write_text("no audio")
        done = cli("restore", music, "-o", tmp_path / "out", *NONE, "--json")
        document = json.loads(done.out)
        assert document["counts"] == {"failed": 1, "unchanged": 4}
        files = {Path(item["input"]).name: item for item in document["files"]}
        assert files["bad.wav"]["error"]["kind"] == "AudioReadError"
        assert files["3.aiff"]["report"]["plan"]["reasons"]

    def test_json_lines(self, cli, music, tmp_path):
        done = cli("restore", music, "-o", tmp_path / "out", *NONE, "--json-lines")
        items = [json.loads(line) for line in done.out.splitlines()]
        assert {item["status"] for item in items} == {"unchanged"}
        assert len(items) == 4

    def test_progress_as_json(self, cli, music, tmp_path):
        done = cli("restore", music, "-o", tmp_path / "out", *NONE, "--progress", "json")
        events = [json.loads(line) for line in done.err.splitlines()]
        kinds = [event["event"] for event in events]
        assert kinds[0] == "checked"
        assert kinds[-1] == "closed"
        assert kinds.count("started") == kinds.count("finished") == 4
        assert events[-1]["counts"] == {"unchanged": 4}
        assert next(event for event in events if event["event"] == "planned")["audio_s"] == pytest.approx(0.2)

    def test_progress_of_a_single_file_as_json(self, cli, music, tmp_path):
        done = cli("restore", music / "3.aiff", tmp_path / "x.wav", "--progress", "json", "--method", "none")
        events = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert events[-1]["phase"] in ("restore", "write")

    def test_a_log_gets_every_file_with_the_time(self, cli, music, tmp_path):
        log = tmp_path / "log.txt"
        for _ in range(2):
            cli("restore", music, "-o", tmp_path / "out", *NONE, "--log-file", log, "--resume", "--quiet")
        lines = log.read_text().splitlines()
        assert sum("3.aiff" in line for line in lines) == 2
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", line) for line in lines)

    def test_names_cannot_write_to_the_terminal(self, cli, tmp_path):
        noise(tmp_path / "in" / "a\x1b[2Jb\n.wav")
        done = cli("restore", tmp_path / "in", "-o", tmp_path / "out", *NONE)
        assert done.code == 0
        assert "\x1b" not in done.err

    def test_verbose_gives_reasons(self, cli, music, tmp_path):
        assert "because" in cli("restore", music, "-o", tmp_path / "out", *NONE, "-v").err

    def test_what_cannot_be_read_is_counted(self, cli, music, tmp_path):
        (music / "x.m4a").touch()
        assert "1 .m4a" in cli("restore", music, "-o", tmp_path / "out", *NONE).err


def test_a_dry_run(cli, music, tmp_path):
    flags = ("--dry-run", "--json", "--format", "flac")
    done = cli("restore", music, "-o", tmp_path / "out", *NONE, *flags)
    assert done.code == 0
    files = json.loads(done.out)["files"]
    assert {item["status"] for item in files} == {"planned"}
    assert {Path(item["output"]).name for item in files} == {"1.flac", "2.flac", "3.flac"}
    assert not (tmp_path / "out").exists()
    assert cli("restore", music, "-o", tmp_path / "out", *NONE, "--dry-run").err.count("MB") == 4


class TestAnalyze:
    MODEL = ("--jobs", "1", "--device", "cpu")

    def test_a_row_for_every_file(self, cli, music):
        done = cli("analyze", music, *self.MODEL)
        assert done.code == 0, done.err
        rows = [line for line in done.out.splitlines() if "music" in line]
        assert len(rows) == 4
        assert "LUFS" in done.out.splitlines()[0]

    def test_json(self, cli, music):
        (music / "bad.wav").write_text("no audio")
        done = cli("analyze", music, "--json", *self.MODEL)
        assert done.code == 3
        document = json.loads(done.out)
        assert document["counts"] == {"analyzed": 4, "failed": 1}
        assert all("levels" in item["report"]["diagnosis"] for item in document["files"] if item["report"])

    def test_json_lines_of_several_files(self, cli, music):
        done = cli("analyze", music / "3.aiff", music / "a" / "1.wav", "--json-lines", *self.MODEL)
        assert len([json.loads(line) for line in done.out.splitlines()]) == 2


def test_workers(run, music, tmp_path):
    (music / "bad.wav").write_text("no audio")
    done = run("restore", music, "-o", tmp_path / "out", "--method", "none", "--jobs", "2")
    assert done.returncode == 3, done.stderr
    assert outputs(tmp_path / "out") == ["3.aiff", "a/1.wav", "a/2.flac", "b/1.wav"]
    assert run("restore", music, "-o", tmp_path / "out", "--method", "none", "--resume").returncode == 3


def test_a_full_disk_fails_files_and_leaves_no_half(run, music, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        noise(music / "0 long.wav", 9, seconds=3.0)
        done = run("restore", music, "-o", small, *NONE)
        assert done.returncode == 3, done.stderr
        assert b"space" in done.stderr
        assert outputs(small) == ["3.aiff", "a/1.wav", "a/2.flac", "b/1.wav"]
        (music / "0 long.wav").unlink()
        assert run("restore", music, "-o", small, *NONE, "--resume").returncode == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def on_terminal(*arguments, columns=100):
    """Run the command line where stdout and stderr are one terminal; return its exit code and what came."""
    if not hasattr(os, "openpty"):
        pytest.skip("needs a system with pseudo-terminals")
    try:
        outer, inner = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal can be made here: {error}")
    shown = bytearray()

    def watch():
        with contextlib.suppress(OSError):  # so Linux says that nobody writes any more
            while data := os.read(outer, 65_536):
                shown.extend(data)

    watching = threading.Thread(target=watch, daemon=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "unsquash", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    )
    os.close(inner)
    watching.start()
    try:
        code = process.wait(timeout=120)
    finally:
        process.kill()
    watching.join(timeout=60)
    os.close(outer)
    return code, shown.decode()


class TestTerminal:
    def test_bars(self, music, tmp_path):
        (music / "bad.wav").write_text("no audio")
        code, shown = on_terminal("restore", music, "-o", tmp_path / "out", *NONE)
        assert code == 3
        assert "\x1b[" in shown
        assert "of audio" in shown
        assert "bad.wav" in shown
        assert "1 failed, 4 unchanged" in shown

    def test_the_table_comes_after_the_bars_and_is_whole(self, music):
        code, shown = on_terminal("analyze", music, *TestAnalyze.MODEL, "--profile-set", "none", columns=50)
        assert code == 0
        before, title, table = shown.partition("mean GR dB")
        assert title
        head = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", before).rpartition("\n")[2].rpartition("\r")[2]
        assert head.split() == ["file", "verdict", "confidence"]
        assert "\x1b[1A" not in table  # no bar is taken away any more
        assert "…" not in table
        assert table.count("untouched") + table.count("limited") + table.count("compressed") == 4

    def test_json_comes_after_the_bars(self, music, tmp_path):
        _, shown = on_terminal("restore", music, "-o", tmp_path / "out", *NONE, "--json")
        document = shown[shown.rindex('{\r\n  "schema"') :]
        assert json.loads(document)["counts"] == {"unchanged": 4}

    def test_rows_have_a_line_each(self, music, tmp_path):
        _, shown = on_terminal("restore", music, "-o", tmp_path / "out", *NONE, "--json-lines")
        records = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
        assert len(records) == 4
        assert "\x1b[" not in shown
