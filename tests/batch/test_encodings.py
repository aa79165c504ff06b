"""Names that the terminal's encoding lacks."""

from __future__ import annotations

import json
import os

import pytest
from conftest import write_noise

LATIN = {**os.environ, "PYTHONIOENCODING": "cp1252"}
NAME = "\u65e5\u672c.wav"


@pytest.fixture
def recordings(tmp_path):
    """Two in a folder, one of them of a name that Latin letters cannot write."""
    write_noise(tmp_path / "in" / NAME)
    write_noise(tmp_path / "in" / "plain.wav")
    return tmp_path / "in"


def test_json_is_utf_8_whatever_the_encoding(recordings, tmp_path, run):
    done = run(
        "restore",
        recordings / NAME,
        tmp_path / "out.wav",
        "--method",
        "none",
        "--json",
        cwd=tmp_path,
        env=LATIN,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["input"].endswith(NAME)


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_tables_escape_what_they_cannot_show(recordings, run, command):
    done = run(command, recordings / NAME, recordings / "plain.wav", env=LATIN)
    assert done.returncode == 0, done.stderr
    assert b"\\u65e5\\u672c.wav" in done.stdout
