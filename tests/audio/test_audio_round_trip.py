"""Samples survive: every container, sample type, channel count and rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.audio import OutputFormat, open_audio, open_writer

LOSSLESS = ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"]
SUBTYPES = ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
DEPTHS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FRAMES = 2001  # odd: a mono 24-bit chunk needs a padding byte


def on_the_grid(subtype: str, channels: int, frames: int = FRAMES) -> np.ndarray:
    """Return samples that the type holds exactly, with both extremes."""
    generator = np.random.default_rng(channels)
    if subtype in DEPTHS:
        top = 2 ** (DEPTHS[subtype] - 1)
        steps = generator.integers(-top, top, (channels, frames))
        steps[:, :2] = -top, top - 1
        return steps / float(top)
    samples = generator.standard_normal((channels, frames)) * 2.0  # floats may exceed full scale
    return samples.astype(np.float32).astype(np.float64) if subtype == "FLOAT" else samples


def write(path: Path, samples: np.ndarray, output: OutputFormat, block: int = 700) -> None:
    with open_writer(path, output) as writer:
        for start in range(0, samples.shape[1], block):
            writer.write(samples[:, start : start + block])
        assert writer.frames == samples.shape[1]


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [(c, s) for c in LOSSLESS for s in SUBTYPES] + [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
)
def test_lossless_formats_keep_every_bit(tmp_path: Path, container: str, subtype: str, channels: int) -> None:
    samples = on_the_grid(subtype, channels)
    for sample_rate in (8000, 44100, 384000):
        path = tmp_path / f"{sample_rate}.audio"
        output = OutputFormat(
            container=container, subtype=subtype, sample_rate=sample_rate, channels=channels
        )
        write(path, samples, output)
        with open_audio(path) as audio:
            info = audio.info
            assert (info.container, info.subtype) == (container, subtype)
            assert (info.sample_rate, info.channels, info.frames) == (sample_rate, channels, FRAMES)
            assert info.path == path
            blocks = list(audio.blocks(block_frames=333))
            assert all(b.flags.c_contiguous and b.dtype == np.float64 for b in blocks)
            assert [b.shape for b in blocks] == [(channels, 333)] * 6 + [(channels, FRAMES % 333)]
            np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples)
            np.testing.assert_array_equal(audio.read(1000, 1500), samples[:, 1000:1500])
        theirs, rate = soundfile.read(path, always_2d=True)  # libsndfile alone sees the same
        assert rate == sample_rate
        np.testing.assert_array_equal(theirs.T, samples)


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_a_file_of_libsndfile_is_rewritten_bit_for_bit(tmp_path: Path, subtype: str) -> None:
    """The samples as integers, without any scaling between."""
    source, copy = tmp_path / "a.wav", tmp_path / "b.wav"
    dtype = {"PCM_16": "int16", "FLOAT": "float32", "DOUBLE": "float64"}.get(subtype, "int32")
    generator = np.random.default_rng(7)
    if dtype.startswith("int"):
        limits = np.iinfo(dtype)
        data = generator.integers(limits.min, limits.max, (FRAMES, 2), dtype=dtype, endpoint=True)
    else:
        data = generator.standard_normal((FRAMES, 2)).astype(dtype)
    soundfile.write(source, data, 44100, subtype)
    with (
        open_audio(source) as audio,
        open_writer(
            copy, OutputFormat(container="WAV", subtype=subtype, sample_rate=44100, channels=2)
        ) as writer,
    ):
        for block in audio.blocks(block_frames=500):
            writer.write(block)
    expected = soundfile.read(source, dtype=dtype)[0]
    np.testing.assert_array_equal(soundfile.read(copy, dtype=dtype)[0], expected)


@pytest.mark.parametrize(
    ("container", "subtype", "rates", "channel_counts"),
    [
        ("OGG", "VORBIS", (8000, 44100, 96000), (1, 2, 6)),
        ("OGG", "OPUS", (8000, 48000), (1, 2, 6)),
        ("MP3", "MPEG_LAYER_III", (8000, 44100, 48000), (1, 2)),
    ],
)
def test_lossy_formats_keep_length_position_and_most_of_the_sound(
    tmp_path: Path, container: str, subtype: str, rates: tuple[int, ...], channel_counts: tuple[int, ...]
) -> None:
    for sample_rate in rates:
        for channels in channel_counts:
            time_s = np.arange(2 * sample_rate + 123) / sample_rate
            tones_hz = [400, 440, 480, 40, 520, 560][:channels]  # the fourth of 5.1 is for low frequencies
            samples = np.stack([0.3 * np.sin(2 * np.pi * f * time_s) for f in tones_hz])
            path = tmp_path / f"{sample_rate}-{channels}"
            write(
                path,
                samples,
                OutputFormat(
                    container=container, subtype=subtype, sample_rate=sample_rate, channels=channels
                ),
                block=50_000,
            )
            with open_audio(path) as audio:
                assert (audio.info.container, audio.info.subtype) == (container, subtype)
                decoded = audio.read()
            assert decoded.shape == samples.shape
            middle = slice(sample_rate // 2, -sample_rate // 2)
            error = decoded[:, middle] - samples[:, middle]
            assert (
                np.sqrt(np.mean(error**2)) < 0.02
            )  # one sample late at 8 kHz is 0.07, a swapped channel 0.3


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_S8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "ALAC_24"])
def test_other_sample_types_are_read(tmp_path: Path, subtype: str) -> None:
    container = {"PCM_S8": "AIFF", "ALAC_24": "CAF"}.get(subtype, "WAV")
    samples = np.sin(np.arange(20_000) / 9.0)[:, np.newaxis] * 0.5
    path = tmp_path / "a"
    soundfile.write(path, samples, 22050, subtype, format=container)
    with open_audio(path) as audio:
        assert (audio.info.container, audio.info.subtype) == (container, subtype)
        decoded = audio.read()
        assert np.sqrt(np.mean((decoded[0, :20_000] - samples[:, 0]) ** 2)) < 0.03
        np.testing.assert_array_equal(audio.read(5000, 5100), decoded[:, 5000:5100])


def test_eight_bit_silence_is_zero(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000, "PCM_U8")
    with open_audio(tmp_path / "a.wav") as audio:
        assert not audio.read().any()


def test_one_sample(tmp_path: Path) -> None:
    for container, subtype in (("WAV", "PCM_24"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("CAF", "FLOAT")):
        path = tmp_path / container
        write(
            path,
            np.full((1, 1), 0.5),
            OutputFormat(container=container, subtype=subtype, sample_rate=48000, channels=1),
        )
        with open_audio(path) as audio:
            assert audio.read().shape == (1, 1)


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    """No time stamps: libsndfile puts one into float WAV and AIFF."""
    samples = on_the_grid("FLOAT", 2)
    for container in ("WAV", "RF64", "AIFF", "CAF", "W64", "AU"):
        output = OutputFormat(container=container, subtype="FLOAT", sample_rate=48000, channels=2)
        write(tmp_path / "a", samples, output)
        data = (tmp_path / "a").read_bytes()
        (tmp_path / "a").unlink()
        stamp = data.find(b"PEAK")
        assert stamp < 0 or data[stamp + 12 : stamp + 16] == bytes(4)
