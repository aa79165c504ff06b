"""Plots: drawn of anything, whatever its name."""

from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import unsquash

pytest.importorskip("matplotlib")

from unsquash.errors import OutputError
from unsquash.plotting import _clock, write_plot

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("samples", [np.zeros((1000, 2)), np.full((1, 1), 0.5), np.full((500, 1), 0.25)])
def test_silence_and_the_very_short(tmp_path, samples):
    soundfile.write(tmp_path / "in.wav", samples, 44100, "PCM_24")
    report = unsquash.analyze_file(tmp_path / "in.wav", trace=True)
    write_plot(tmp_path / "out.png", report, overwrite=False)
    assert (tmp_path / "out.png").read_bytes().startswith(PNG)


def test_names_are_taken_as_they_are(tmp_path):
    soundfile.write(tmp_path / "in.wav", np.full((500, 1), 0.25), 44100, "PCM_24")
    report = unsquash.analyze_file(tmp_path / "in.wav", trace=True)
    for number, name in enumerate(("$\\frac{$.wav", "曲\n.wav", "caf\udce9.wav")):
        write_plot(tmp_path / f"{number}.png", replace(report, input=name), overwrite=False)


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_arguments, **_keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    soundfile.write(tmp_path / "in.wav", np.full((500, 1), 0.25), 44100, "PCM_24")
    report = unsquash.analyze_file(tmp_path / "in.wav", trace=True)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(OutputError, match=r"out\.png' cannot be written: no space"):
        write_plot(tmp_path / "out.png", report, overwrite=False)
    assert not (tmp_path / "out.png").exists()


def test_a_report_without_a_trace_is_refused(tmp_path, song_wav):
    with pytest.raises(ValueError, match="no trace"):
        write_plot(tmp_path / "out.png", unsquash.analyze_file(song_wav), overwrite=False)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "0:00"), (0.5, "0:00.5"), (75.0, "1:15"), (3661.25, "1:01:01.25")]
)
def test_clock(seconds, expected):
    assert _clock(seconds, 0) == expected
