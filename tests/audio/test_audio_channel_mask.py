"""Which loudspeakers the channels are for survives from WAV to WAV."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unsquash import RestoreOptions, restore_file
from unsquash.audio import RawFormat, choose_format, open_audio, open_pipe_writer, open_writer

QUAD = 0x33
SIDES = 0x60F  # 5.1 with side instead of back loudspeakers


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (channels, 1000)).round(3)


def make_wavex(path: Path, mask: int, channels: int, container: str = "WAVEX") -> Path:
    soundfile.write(path, noise(channels).T, 48000, "PCM_24", format=container)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"fmt ") + 28, mask)
    path.write_bytes(data)
    return path


def form_of(data: bytes) -> tuple[int, ...]:
    """Code, size of the rest, valid bits, mask and code of the samples."""
    place = data.index(b"fmt ") + 4
    size, code, rest, bits, mask, inner = struct.unpack_from("<IH14xHHIH14x", data, place)
    assert size == 40
    assert data[place + 30 : place + 44] == bytes.fromhex("000000001000800000aa00389b71")
    return code, rest, bits, mask, inner


@pytest.mark.parametrize("container", ["WAVEX", "RF64"])
@pytest.mark.parametrize(("mask", "channels"), [(QUAD, 4), (SIDES, 6), (0, 3), (0x107, 4)])
@pytest.mark.parametrize("bit_depth", ["16", "same", "32f"])
@pytest.mark.parametrize("name", ["out.wav", "out.rf64", None])
def test_the_mask_arrives(
    tmp_path: Path, container: str, mask: int, channels: int, bit_depth: Any, name: str | None
) -> None:
    given = make_wavex(tmp_path / "in.wav", mask, channels, container)
    out = tmp_path / (name or "pipe.wav")
    with open_audio(given) as audio:
        assert audio.info.channel_mask == mask
        output = choose_format(audio.info, None if name is None else out, bit_depth=bit_depth)
        if name is None:
            pipe = io.BytesIO()
            with open_pipe_writer(pipe, output) as piped:
                piped.write(audio.read())
            out.write_bytes(pipe.getvalue())
        else:
            with open_writer(out, output) as writer:
                writer.write(audio.read())
    width = output.bit_depth or 32
    assert form_of(out.read_bytes()) == (0xFFFE, 22, width, mask, 3 if output.is_float else 1)
    with open_audio(out) as audio, open_audio(given) as expected:
        assert (audio.info.subtype, audio.info.channel_mask) == (output.subtype, mask)
        np.testing.assert_allclose(audio.read(), expected.read(), atol=2**-15)


def test_a_restoration_keeps_the_loudspeakers(tmp_path: Path) -> None:
    given = make_wavex(tmp_path / "in.wav", QUAD, 4)
    restore_file(given, tmp_path / "out.wav", RestoreOptions(profile="five/C", level="peak-safe"))
    assert form_of((tmp_path / "out.wav").read_bytes())[3] == QUAD


@pytest.mark.parametrize(("container", "channels"), [("WAVEX", 1), ("WAVEX", 2), ("WAV", 4), ("AIFF", 4)])
def test_what_needs_no_mask_gets_none(tmp_path: Path, container: str, channels: int) -> None:
    soundfile.write(tmp_path / "in", noise(channels).T, 48000, "PCM_24", format=container)
    out = tmp_path / "out.wav"
    with open_audio(tmp_path / "in") as audio, open_writer(out, choose_format(audio.info, out)) as writer:
        writer.write(audio.read())
    assert soundfile.info(out).format == "WAV"


def test_headerless_samples_have_no_mask(tmp_path: Path) -> None:
    data = make_wavex(tmp_path / "in.wav", QUAD, 4)
    raw = RawFormat(subtype="PCM_16", endian="LITTLE", bytes_per_sample=2, sample_rate=48000, channels=4)
    data.write_bytes(data.read_bytes() + bytes(-data.stat().st_size % 8))
    with open_audio(data, raw) as audio:
        assert audio.info.channel_mask is None
