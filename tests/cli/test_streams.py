"""Standard streams that are closed, or whose reader went away."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
import soundfile

KNOWN = "--profile five/C --level keep"
UNSQUASH = f"{shlex.quote(sys.executable)} -m unsquash"


@pytest.fixture
def shell(song, tmp_path):
    """Run a line of bash where `in.wav` is; streams are buffered, as users have them."""
    soundfile.write(tmp_path / "in.wav", song[:, :22050].T * 0.1, 44100, "PCM_16")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    def call(line):
        return subprocess.run(
            ["bash", "-c", line.replace("unsquash", UNSQUASH, 1)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return call


@pytest.mark.parametrize("closed", ["2>&-", "<&-", ">&-", "<&- >&- 2>&-"])
def test_a_file_is_restored_whatever_is_closed(shell, tmp_path, closed):
    expected = shell(f"unsquash restore in.wav expected.wav {KNOWN}")
    assert expected.returncode == 0, expected.stderr
    done = shell(f"unsquash restore in.wav out.wav {KNOWN} {closed}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "expected.wav").read_bytes()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (f"unsquash restore - out.wav {KNOWN} <&-", 4, b"standard input is closed"),
        ("unsquash analyze - <&-", 4, b"standard input is closed"),
        (f"unsquash restore --files-from - -o out {KNOWN} <&-", 4, b"standard input is closed"),
        (f"unsquash restore in.wav - {KNOWN} >&-", 1, b"standard output is closed"),
    ],
)
def test_a_closed_stream_cannot_carry_audio(shell, tmp_path, line, code, words):
    done = shell(line)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert b"hint:" in done.stderr
    assert b"Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_errors_have_their_code_where_nobody_hears_them(shell):
    assert shell("unsquash restore missing.wav out.wav 2>&-").returncode == 4


@pytest.mark.parametrize(
    "command",
    [
        "analyze in.wav --profile-set none",
        "analyze in.wav --profile-set none --json",
        "analyze . --profile-set none --jobs 1",
        "compare in.wav in.wav",
        "models list",
        "presets list",
        "doctor",
        "doctor --json",
        "--help",
        "--version",
    ],
)
def test_a_reader_that_left_ends_it_quietly(shell, command):
    done = shell(f"(unsquash {command}; echo $? >code) | true; cat code")
    assert done.stdout.strip() == b"141", done.stderr
    assert b"Broken" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["\u00e9.wav", "\u65e5\u672c.wav", "\u00e9" * 120 + ".wav"])
def test_names_that_the_file_systems_encoding_lacks_are_written_all_the_same(shell, tmp_path, name):
    plain = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    done = shell(f"export {plain}; exec unsquash restore in.wav {name} {KNOWN}")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.wav", name])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("unsquash --version >/dev/full", b"standard output"),
        ("unsquash presets list --json >/dev/full", b"standard output"),
        (f"unsquash restore in.wav out.wav --json {KNOWN} >/dev/full", b"standard output"),
        (f"unsquash restore in.wav - {KNOWN} >/dev/full", b"standard output"),
        (f"unsquash restore in.wav out.wav --log-file /dev/full {KNOWN}", b"the log '/dev/full'"),
    ],
)
def test_a_full_disk(shell, line, what):
    done = shell(line)
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith(
        b"unsquash: " + what + b" cannot be written: no space left on device\n"
        b"hint: free some space, or write to another disk\n"
    )
