"""The end of the spectrum is found within a few bins."""

from __future__ import annotations

import numpy as np
import pytest

from unsquash.analysis.bandwidth import BandwidthMeter
from unsquash.units import Float64Array


def bandwidth(samples: Float64Array, sample_rate: int, block: int = 65_536) -> float | None:
    meter = BandwidthMeter(sample_rate, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.push(samples[:, start : start + block])
    return meter.result()


def noise(sample_rate: int, *, up_to_hz: float | None = None, seconds: float = 3.0) -> Float64Array:
    """Stereo noise that falls by 6 dB per octave and ends at `up_to_hz`."""
    frames = round(seconds * sample_rate)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal((2, frames)))
    frequencies = np.fft.rfftfreq(frames, 1.0 / sample_rate)
    spectrum /= np.maximum(frequencies, 50.0)
    if up_to_hz is not None:
        spectrum[:, frequencies > up_to_hz] = 0.0
    samples = np.fft.irfft(spectrum, frames)
    return 0.5 * samples / np.abs(samples).max()


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 96_000, 192_000])
def test_full_band(sample_rate: int) -> None:
    found = bandwidth(noise(sample_rate), sample_rate)
    assert found == pytest.approx(sample_rate / 2, rel=0.002)


@pytest.mark.parametrize("edge_hz", [5_000.0, 11_025.0, 16_000.0, 20_000.0])
@pytest.mark.parametrize("gain", [1.0, 0.1])
@pytest.mark.parametrize("storage", ["float", "16 bit", "16 bit dithered"])
def test_shelf(edge_hz: float, gain: float, storage: str) -> None:
    samples = gain * noise(44_100, up_to_hz=edge_hz)
    if storage != "float":
        rng = np.random.default_rng(1)
        dither = rng.uniform(-0.5, 0.5, (2, *samples.shape)).sum(axis=0) if "dithered" in storage else 0.0
        samples = np.round(samples * 32768.0 + dither) / 32768.0
    assert bandwidth(samples, 44_100) == pytest.approx(edge_hz, abs=80.0)


def test_upsampled_material_keeps_its_bandwidth() -> None:
    assert bandwidth(noise(96_000, up_to_hz=22_050.0), 96_000) == pytest.approx(22_050.0, abs=150.0)


def test_silence_has_no_bandwidth() -> None:
    assert bandwidth(np.zeros((2, 44_100)), 44_100) is None
    assert BandwidthMeter(44_100, 2).result() is None


def test_scraps() -> None:
    found = bandwidth(noise(44_100)[:, :1_000], 44_100)
    assert found == pytest.approx(22_050.0, rel=0.01)


def test_blocks_do_not_matter() -> None:
    samples = noise(44_100, up_to_hz=16_000.0)
    assert bandwidth(samples, 44_100, block=10**9) == bandwidth(samples, 44_100, block=313)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
def test_dither_is_silence(sample_rate: int) -> None:
    rng = np.random.default_rng(2)
    dither = np.round(rng.uniform(-0.5, 0.5, (2, 2, sample_rate)).sum(axis=0)) / 32768.0
    assert bandwidth(dither, sample_rate) is None


def test_one_channel_is_enough() -> None:
    samples = noise(44_100)
    samples[0] = 0.0
    assert bandwidth(samples, 44_100) == pytest.approx(22_050.0, rel=0.002)
