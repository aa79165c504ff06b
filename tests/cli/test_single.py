"""One file on the command line: logs, what exists, what is for many files only."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest
import soundfile

KEPT = ("--method", "none")
QUICK = ("--profile-set", "none", "--device", "cpu", "--jobs", "1")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two recordings, in the working directory."""
    monkeypatch.chdir(tmp_path)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2205, 2))
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, samples, 44100, "PCM_16")
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestLog:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("analyze", "a.wav", "b.wav", *QUICK),
            ("analyze", "b.wav", *QUICK),
            ("analyze", "a.wav", "--plot", "b.wav"),
            ("analyze", "a.wav", "--files-from", "b.wav", *QUICK),
            ("restore", "a.wav", "b.wav", "-o", "out", *KEPT),
            ("restore", "b.wav", "out.wav", *KEPT),
            ("restore", "a.wav", "b.wav", "-f", *KEPT),
            ("restore", "a.wav", "out.wav", "--save-gain", "b.wav", "-f", *KEPT),
            ("restore", "a.wav", "out.wav", "--apply-gain", "b.wav"),
        ],
    )
    def test_it_never_goes_into_what_is_read_or_written(self, cli, files, arguments):
        before = (files / "b.wav").read_bytes()
        (files / "link").symlink_to("b.wav")
        os.link(files / "b.wav", files / "twin")
        for log in ("b.wav", "link", "twin", "./b.wav"):
            done = cli(*arguments, "--log-file", log)
            assert done.code == 6, done.err
            assert "hint:" in done.err
        assert (files / "b.wav").read_bytes() == before
        assert names(files) == ["a.wav", "b.wav", "link", "twin"]

    @pytest.mark.parametrize(
        ("log", "arguments"),
        [
            ("out.wav", ("a.wav", "out.wav")),
            ("OUT.wav", ("a.wav", "out.wav")),
            ("a.gain", ("a.wav", "out.wav", "--save-gain", "a.gain")),
            ("ab/a.after.wav", ("a.wav", "out.wav", "--ab", "ab")),
            ("out", ("a.wav", "-o", "out")),
            ("out/b.wav", ("a.wav", "b.wav", "-o", "out")),
            ("out/.unsquash.jsonl", ("a.wav", "b.wav", "-o", "out")),
        ],
    )
    def test_nor_into_what_is_going_to_be_written(self, cli, files, log, arguments):
        assert cli("restore", *arguments, *KEPT, "--log-file", log).code == 6
        assert names(files) == ["a.wav", "b.wav"]

    def test_a_single_file_gets_its_line_with_the_time(self, cli, files):
        log = ("--log-file", "log.txt")
        assert cli("restore", "a.wav", "out.wav", *KEPT, *log).code == 0
        assert cli("restore", "a.wav", "out.wav", *KEPT, *log).code == 6
        assert cli("restore", "a.wav", "out.wav", *KEPT, *log, "--skip-existing").code == 0
        assert cli("analyze", "a.wav", *QUICK, *log).code == 0
        assert cli("analyze", "missing.wav", *log).code == 4
        lines = (files / "log.txt").read_text().splitlines()
        found = [
            re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* (\S+)( -> \S+)?: (\w+).*", line)
            for line in lines
        ]
        assert [(match[1], match[2], match[3]) for match in found] == [
            ("a.wav", " -> out.wav", "unchanged"),
            ("a.wav", " -> out.wav", "failed"),
            ("a.wav", " -> out.wav", "skipped"),
            ("a.wav", None, "analyzed"),
            ("missing.wav", None, "failed"),
        ]

    @pytest.mark.parametrize(
        ("error", "code", "note"),
        [(MemoryError(), 1, "out of memory"), (KeyboardInterrupt(), 130, "interrupted")],
    )
    def test_it_says_what_ended_a_restoration(self, cli, files, monkeypatch, error, code, note):
        def end(*_arguments, **_keywords):
            raise error

        monkeypatch.setattr("unsquash.pipeline.restore_file", end)
        assert cli("restore", "a.wav", "out.wav", *KEPT, "--log-file", "log.txt").code == code
        (line,) = (files / "log.txt").read_text().splitlines()
        assert "failed" in line
        assert note in line

    def test_one_that_cannot_be_written_is_found_before_any_work(self, cli, files):
        assert cli("restore", "a.wav", "out.wav", *KEPT, "--log-file", "absent/log.txt").code == 1
        assert names(files) == ["a.wav", "b.wav"]


class TestSkipping:
    @pytest.mark.parametrize("flag", ["--json", "--json-lines"])
    def test_it_is_told_in_the_same_shape(self, cli, files, flag):
        made = json.loads(cli("restore", "a.wav", "out.wav", *KEPT, flag).out)
        skipped = json.loads(cli("restore", "a.wav", "out.wav", *KEPT, flag, "--skip-existing").out)
        assert skipped["status"] == "skipped"
        assert list(skipped) == list(made)
        for same in ("schema", "input", "output", "source", "warnings", "beside"):
            assert skipped[same] == made[same]

    @pytest.mark.parametrize(("name", "content"), [("missing.wav", None), ("text.wav", "no audio")])
    def test_an_input_that_cannot_be_read_is_not_skipped(self, cli, files, name, content):
        if content is not None:
            (files / name).write_text(content)
        done = cli("restore", name, "b.wav", *KEPT, "--skip-existing")
        assert done.code == 4
        assert name in done.err


class TestFolders:
    @pytest.mark.parametrize("flags", [(), ("--format", "flac")])
    def test_a_name_without_extension_is_a_folder(self, cli, files, flags):
        assert cli("restore", "a.wav", "-o", "out", *KEPT, *flags, "--jobs", "1").code == 0
        assert (files / "out").is_dir()

    def test_but_not_for_a_stream(self, cli, files):
        stdin = (files / "a.wav").read_bytes()
        assert cli("restore", "-", "-o", "out", *KEPT, "--format", "flac", stdin=stdin).code == 0
        assert (files / "out").read_bytes().startswith(b"fLaC")

    def test_nor_where_a_file_has_it(self, cli, files):
        (files / "out").write_bytes(b"precious")
        done = cli("restore", "a.wav", "-o", "out", *KEPT, "--format", "flac")
        assert done.code == 6
        assert (files / "out").read_bytes() == b"precious"

    @pytest.mark.parametrize(
        "flags",
        [("--resume",), ("--album",), ("--include", "*.wav"), ("--exclude", "x"), ("--no-recursive",)],
    )
    def test_flags_that_need_one_are_named(self, cli, files, flags):
        done = cli("restore", "a.wav", "c.wav", *KEPT, *flags)
        assert done.code == 2
        assert flags[0] in done.err
        assert "several" not in done.err


class TestAnalyze:
    def test_a_single_file_can_be_left_out(self, cli, files):
        for flags in (("--include", "*.flac"), ("--exclude", "a*")):
            done = cli("analyze", "a.wav", *flags, *QUICK)
            assert done.code == 4
            assert "no audio was found" in done.err

    def test_reports_of_a_stream_name_no_file_that_is_gone(self, cli, files):
        stdin = (files / "a.wav").read_bytes()
        for command in (("analyze", "-", *QUICK), ("restore", "-", "out.wav", *KEPT)):
            done = cli(*command, "--json", stdin=stdin)
            assert json.loads(done.out)["source"]["path"] is None
            assert "standard-input" not in done.out + done.err

    def test_jobs_are_checked_for_one_file_as_well(self, cli, files):
        assert cli("analyze", "a.wav", "--jobs", "x").code == 2


class TestHeaderless:
    RAW = ("--input-format", "s16le:44100:2")

    def test_a_header_that_becomes_samples_is_told(self, cli, files):
        done = cli("restore", "a.wav", "out.wav", *KEPT, *self.RAW)
        assert done.code == 0, done.err
        assert "warning: it begins with RIFF" in done.err
        assert "RIFF" in cli("analyze", "-", *QUICK, *self.RAW, stdin=(files / "a.wav").read_bytes()).out

    def test_nothing_is_told_where_there_is_none(self, cli, files):
        (files / "a.raw").write_bytes((files / "a.wav").read_bytes()[44:])
        assert "begins with" not in cli("restore", "a.raw", "out.wav", *KEPT, *self.RAW).err


class TestNames:
    @pytest.fixture
    def strange(self, files):
        (files / "a.wav").rename(files / "a\x1b[2J\nb.wav")
        return "a\x1b[2J\nb.wav"

    @pytest.mark.parametrize(
        "arguments",
        [
            ("restore", "{}", "{}.wav", *KEPT),
            ("restore", "b.wav", "{}", *KEPT, "--skip-existing"),
            ("restore", "{}", "c.wav", *KEPT, "--ab", "{}"),
            ("squash", "{}", "{}.wav", "--drive", "1", "--limit", "-1"),
            ("compare", "{}", "b.wav"),
            ("analyze", "{}", *QUICK),
            ("analyze", "{}.wav", *QUICK),
            ("analyze", "{}", *QUICK, "--log-file", "{}"),
        ],
    )
    def test_they_cannot_write_to_the_terminal(self, cli, strange, arguments):
        done = cli(*(argument.format(strange) for argument in arguments))
        assert "Traceback" not in done.err
        said = done.out + done.err
        assert "\x1b" not in said
        assert "a\\x1b[2J\\nb.wav" in said


@pytest.mark.parametrize(
    ("flag", "name", "code"), [("--model", "x" * 300, 5), ("--profile-set", "x" * 300 + ".csv", 2)]
)
def test_a_name_too_long_for_a_file_is_an_unknown_one(cli, files, flag, name, code):
    done = cli("restore", "a.wav", "out.wav", "--device", "cpu", flag, name)
    assert done.code == code, done.err
    assert "hint:" in done.err


def test_a_link_to_nothing_is_no_output_that_exists(cli, files):
    (files / "link.wav").symlink_to("nothing.wav")
    done = cli("restore", "a.wav", "link.wav", *KEPT, "--skip-existing")
    assert done.code == 1, done.err
    assert "not a regular file" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("restore", "a.wav", "{}.wav", *KEPT), 1, "file name too long"),
        (("restore", "a.wav", "{}.wav", *KEPT, "--skip-existing"), 1, "file name too long"),
        (("restore", "a.wav", "-o", "{}", *KEPT), 1, "file name too long"),
        (("restore", "a.wav", "c.wav", *KEPT, "--save-gain", "{}"), 1, "file name too long"),
        (("restore", "a.wav", "c.wav", *KEPT, "--log-file", "{}"), 1, "File name too long"),
        (("restore", "{}.wav", "c.wav", *KEPT), 4, "does not exist"),
        (("restore", "{}.wav", "-o", "out", *KEPT), 4, "does not exist"),
        (("restore", "{}.wav", "a.wav", "-o", "out", *KEPT), 3, "1 failed, 1 unchanged"),
        (("analyze", "{}.wav", *QUICK), 4, "does not exist"),
        (("squash", "a.wav", "{}.wav", "--limit", "-6"), 1, "file name too long"),
        (("compare", "a.wav", "b.wav", "--ab", "{}"), 1, "file name too long"),
    ],
)
def test_a_name_too_long_for_a_file_is_told_in_words(cli, files, arguments, code, words):
    done = cli(*(argument.format("x" * 260) for argument in arguments))
    assert done.code == code, done.err
    assert words in done.err
    assert "[Errno" not in done.err
    assert not (files / "c.wav").exists()
