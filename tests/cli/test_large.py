"""Outputs of more than 4 GiB: the container is chosen before any work, and said."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from rich.console import Console

from unsquash import RestoreOptions, console, restore_file
from unsquash.audio import AudioInfo, choice, choose_format, open_audio
from unsquash.errors import OptionError

HOUR = 3600 * 44100
KNOWN = RestoreOptions(profile="five/C", level="keep")


def info(hours, subtype="PCM_16"):
    return AudioInfo(sample_rate=44100, channels=2, frames=hours * HOUR, container="WAV", subtype=subtype)


@pytest.mark.parametrize(
    ("hours", "subtype", "name", "container"),
    [
        (4, "PCM_16", "out.wav", "WAV"),
        (5, "PCM_16", "out.wav", "RF64"),
        (3, "FLOAT", "out.wav", "WAV"),
        (4, "FLOAT", "out.wav", "RF64"),
        (2, "DOUBLE", "out.wav", "RF64"),
        (100, "PCM_16", "out.w64", "W64"),
        (100, "PCM_16", "out.flac", "FLAC"),
        (100, "PCM_16", "out.caf", "CAF"),
    ],
)
def test_the_container_holds_the_size(tmp_path, hours, subtype, name, container):
    assert choose_format(info(hours, subtype), tmp_path / name).container == container


@pytest.mark.parametrize("name", ["out.aiff", "out.au"])
def test_containers_that_end_too_early_are_refused_before_any_work(tmp_path, name):
    with pytest.raises(OptionError, match="GiB") as caught:
        choose_format(info(10), tmp_path / name)
    assert ".flac" in caught.value.hint


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setitem(choice._SIZE_LIMITS, "WAV", 20_000)
    monkeypatch.setitem(choice._SIZE_LIMITS, "AIFF", 20_000)


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "in.wav"
    samples = 0.05 * np.sin(np.arange(20_000) / 20)
    soundfile.write(path, np.stack((samples, samples), 1), 44100, "PCM_16")
    return path


def test_a_run_past_the_limit_writes_rf64_under_the_same_name_and_says_so(
    small_limits, tone, tmp_path, monkeypatch
):
    report = restore_file(tone, tmp_path / "out.wav", KNOWN)
    assert (tmp_path / "out.wav").read_bytes()[:4] == b"RF64"
    with open_audio(tmp_path / "out.wav") as audio:
        large = audio.read()
    restore_file(tone, tmp_path / "out.flac", KNOWN)
    with open_audio(tmp_path / "out.flac") as audio:
        assert np.array_equal(large, audio.read())
    said = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=said, width=200))
    console.print_restoration(report, verbose=0)
    assert "more than 4 GiB: written as RF64" in said.getvalue()
    planned = restore_file(tone, tmp_path / "plan.wav", KNOWN, dry_run=True)
    assert planned.output_format.container == "RF64"


def test_nothing_is_analyzed_for_an_output_that_cannot_be(small_limits, tone, tmp_path):
    phases = []
    with pytest.raises(OptionError, match="GiB"):
        restore_file(tone, tmp_path / "out.aiff", KNOWN, progress=lambda phase, *_: phases.append(phase))
    assert phases == []


@pytest.mark.parametrize("kind", ["rf64", "streamed wav", "w64"])
def test_inputs_past_4_gib_are_read_to_their_end(kind, tmp_path):
    """A sparse file: 5 GiB of silence, then one sample."""
    path = tmp_path / "large"
    frames = 5 * 2**30 // 4
    data = frames * 4 + 4
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 44100, 44100 * 4, 4, 16)
    if kind == "rf64":
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, data + 72, data, frames + 1, 0)
        head = b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff"
    elif kind == "streamed wav":
        head = b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff"
    else:
        tail = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
        head = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + struct.pack("<Q", 104 + data)
        head += b"wave" + tail + b"fmt " + tail + struct.pack("<Q", 40) + form[8:]
        head += b"data" + tail + struct.pack("<Q", 24 + data)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data - 4)
        file.seek(0, 2)
        file.write(struct.pack("<hh", 16384, -16384))
    with open_audio(path) as audio:
        assert audio.info.frames == frames + 1
        assert audio.read(frames - 1).tolist() == [[0.0, 0.5], [0.0, -0.5]]
