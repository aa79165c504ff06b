"""Headerless samples."""

from __future__ import annotations

import numpy as np
import pytest

from unsquash.audio import header_remarks, open_audio, parse_raw_format
from unsquash.errors import AudioReadError, OptionError, UnsupportedAudioError

ENCODINGS = {
    "s16le": ("<i2", 2**15),
    "s16be": (">i2", 2**15),
    "s32le": ("<i4", 2**31),
    "s32be": (">i4", 2**31),
    "s8": ("i1", 2**7),
    "f32le": ("<f4", 1),
    "f32be": (">f4", 1),
    "f64le": ("<f8", 1),
    "f64be": (">f8", 1),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding(encoding, tmp_path):
    dtype, scale = ENCODINGS[encoding]
    rng = np.random.default_rng(0)
    samples = np.round(rng.uniform(-0.9, 0.9, (100, 2)) * 64) / 64
    (tmp_path / "in").write_bytes((samples * scale).astype(dtype).tobytes())
    with open_audio(tmp_path / "in", parse_raw_format(f"{encoding}:22050:2")) as audio:
        assert (audio.info.sample_rate, audio.info.channels, audio.info.frames) == (22050, 2, 100)
        assert np.array_equal(audio.read().T, samples)
        assert np.array_equal(audio.read(40, 60).T, samples[40:60])
        assert audio.info.is_float == encoding.startswith("f")


def test_three_byte_and_unsigned_samples(tmp_path):
    (tmp_path / "in").write_bytes(b"\0\0\x40\0\0\xc0")
    with open_audio(tmp_path / "in", parse_raw_format("s24le:48000:1")) as audio:
        assert audio.read().tolist() == [[0.5, -0.5]]
    with open_audio(tmp_path / "in", parse_raw_format("s24be:48000:1")) as audio:
        assert audio.read()[0, 0] == 64 / 2**23
    (tmp_path / "in").write_bytes(b"\x80\xc0\x40")
    with open_audio(tmp_path / "in", parse_raw_format("u8:48000:1")) as audio:
        assert audio.read().tolist() == [[0.0, 0.5, -0.5]]


@pytest.mark.parametrize(
    "text",
    ["", "s16le", "s16:44100:2", "s12le:44100:2", "f16le:44100:2", "s16le:44100:0", "u8le:8000:1", "x"],
)
def test_descriptions_that_mean_nothing(text):
    with pytest.raises(OptionError, match="describe"):
        parse_raw_format(text)


def test_half_a_sample_at_the_end_means_truncated(tmp_path):
    (tmp_path / "in").write_bytes(bytes(4 * 100 + 3))
    with (
        pytest.raises(AudioReadError, match="truncated"),
        open_audio(tmp_path / "in", parse_raw_format("s16le:44100:2")),
    ):
        pass


def test_samples_that_nobody_described(tmp_path):
    (tmp_path / "in.raw").write_bytes(bytes(400))
    with pytest.raises(UnsupportedAudioError) as caught, open_audio(tmp_path / "in.raw"):
        pass
    assert "--input-format" in caught.value.hint


@pytest.mark.parametrize("text", ["s16le:1:2", "s16le:0:2", "s16le:44100:9", "f32le:44100:1"])
def test_impossible_descriptions_and_contents(text, tmp_path):
    (tmp_path / "in").write_bytes(b"\xff" * 9 * 8)
    with (
        pytest.raises((AudioReadError, UnsupportedAudioError)),
        open_audio(tmp_path / "in", parse_raw_format(text)) as audio,
    ):
        audio.read()


@pytest.mark.parametrize(
    ("content", "is_told"),
    [(b"RIFF\0\0", True), (b"fLaC", True), (b"OggS", True), (b"\0\0\0\0", False), (b"", False)],
)
def test_a_header_among_headerless_samples_is_told(content, is_told, tmp_path):
    (tmp_path / "in").write_bytes(content)
    assert bool(header_remarks(tmp_path / "in")) == is_told
