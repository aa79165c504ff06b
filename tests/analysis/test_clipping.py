"""Clipping is found where it is, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.analysis.clipping import Clipping, ClippingMeter
from unsquash.units import Float64Array

RATE = 44_100
STEP = 1.0 / 32768.0
NONE = Clipping(ceiling_dbfs=None, fraction=0.0, longest_run_samples=0, events=0)


def found(samples: Float64Array, block: int = 65_536) -> Clipping:
    meter = ClippingMeter(RATE, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.push(samples[:, start : start + block])
    return meter.result()


def rounded(samples: Float64Array, dither: np.random.Generator | None = None) -> Float64Array:
    noise = 0.0 if dither is None else dither.uniform(-0.5, 0.5, (2, *samples.shape)).sum(axis=0)
    return np.clip(np.round(samples / STEP + noise), -32768, 32767) * STEP


def noise(slope: float) -> Float64Array:
    """Ten seconds of normalised stereo noise with a level that moves."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal((2, 10 * RATE)))
    coloured = np.fft.irfft(spectrum / np.maximum(20.0, np.arange(spectrum.shape[1])) ** slope, 10 * RATE)
    moving = coloured * (0.6 + 0.4 * np.sin(2.0 * np.pi * 0.3 * np.arange(10 * RATE) / RATE))
    return moving / np.abs(moving).max()


@pytest.fixture(scope="module")
def music() -> Float64Array:
    return noise(1.0)


def test_normalised_music_is_not_clipped(music: Float64Array) -> None:
    assert found(music) == NONE
    assert found(rounded(music)) == NONE
    assert found(rounded(0.1 * music)) == NONE


def test_touching_the_maximum_is_not_clipping(music: Float64Array) -> None:
    touched = 0.9 * music
    touched[:, 1_000::5_000] = 1.0
    touched[:, 1_001::5_000] = 1.0
    assert found(touched) == NONE


@pytest.mark.parametrize("frequency", [20.0, 50.0, 997.0, 11_025.0])
@pytest.mark.parametrize("amplitude", [1.0, 0.1])
def test_a_sine_is_not_clipped(frequency: float, amplitude: float) -> None:
    steps = 2.0 * np.pi * frequency * np.arange(3 * RATE) / RATE
    assert found(rounded(amplitude * np.sin(steps)[None])) == NONE


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("storage", ["float", "16 bit", "16 bit dithered"])
def test_clipping_is_found_at_any_later_level(music: Float64Array, gain: float, storage: str) -> None:
    clipped = gain * np.clip(2.0 * music, -1.0, 1.0)
    if storage != "float":
        clipped = rounded(clipped, np.random.default_rng(1) if "dithered" in storage else None)
    result = found(clipped)
    assert result.ceiling_dbfs == pytest.approx(20.0 * np.log10(gain), abs=0.03)
    truth = np.mean(np.abs(music) >= 0.5)
    assert result.fraction == pytest.approx(truth, rel=0.1)
    assert result.events > 10


def test_what_is_hardly_louder_than_the_tolerance_is_not_clipped() -> None:
    quiet = noise(0.5) * 10.0 ** (-56.0 / 20.0)
    assert found(quiet) == NONE


def test_counts_of_a_clipped_sine_are_exact() -> None:
    steps = 2.0 * np.pi * 100.0 * np.arange(RATE) / RATE + 0.1
    clipped = np.clip(np.sin(steps), -0.5, 0.5)[None]
    at_ceiling = np.abs(clipped[0]) == 0.5
    result = found(clipped)
    assert result.ceiling_dbfs == pytest.approx(20.0 * np.log10(0.5), abs=1e-6)
    assert result.events == 200
    assert result.longest_run_samples == 147  # a third of the period of 441 samples, each polarity
    assert result.fraction == np.mean(at_ceiling)


def test_full_scale_is_zero_decibels() -> None:
    loud = rounded(2.0 * np.sin(2.0 * np.pi * 440.0 * np.arange(RATE) / RATE)[None])
    assert found(loud).ceiling_dbfs == 0.0


def test_one_polarity_may_be_clipped_alone(music: Float64Array) -> None:
    result = found(rounded(0.9 * np.maximum(music, -0.5)))
    assert result.ceiling_dbfs == pytest.approx(20.0 * np.log10(0.45), abs=0.01)
    assert result.fraction == pytest.approx(np.mean(music <= -0.5), rel=0.1)


def test_channels_may_have_ceilings_of_their_own(music: Float64Array) -> None:
    clipped = np.clip(music, -0.5, 0.5) * np.array([[1.0], [0.7]])
    result = found(clipped)
    assert result.ceiling_dbfs == pytest.approx(20.0 * np.log10(0.5), abs=0.01)
    assert result.fraction == pytest.approx(np.mean(np.abs(music) >= 0.5), rel=0.1)


def test_a_later_spike_does_not_hide_the_ceiling(music: Float64Array) -> None:
    clipped = np.clip(music, -0.5, 0.5)
    clipped[0, -100] = 0.8
    assert found(clipped).ceiling_dbfs == pytest.approx(20.0 * np.log10(0.5), abs=0.01)


def test_blocks_do_not_matter(music: Float64Array) -> None:
    clipped = rounded(np.clip(music, -0.6, 0.6))[:, : 2 * RATE]
    assert found(clipped, block=10**9) == found(clipped, block=97) != NONE


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0])
def test_a_constant_is_not_clipped(level: float) -> None:
    assert found(np.full((2, RATE), level)) == NONE
    assert ClippingMeter(RATE, 2).result() == NONE


@pytest.mark.slow
def test_real_music(shared_audio: Path) -> None:
    pieces = sorted((shared_audio / "mix").iterdir())[::25]
    assert pieces
    for piece in pieces:
        frames, _ = soundfile.read(piece, always_2d=True, frames=20 * 48_000)
        samples = frames.T / np.abs(frames).max()
        assert found(rounded(samples)) == NONE, piece.name
        clipped = found(rounded(0.9 * np.clip(samples, -0.7, 0.7)))
        assert clipped.ceiling_dbfs == pytest.approx(20.0 * np.log10(0.63), abs=0.01), piece.name


@pytest.mark.parametrize("levels", [[1.0], [1.0, 0.5]])
def test_rectangles_are_not_clipped(levels: list[float]) -> None:
    """A games console's melody: flat by nature, met and left by jumps."""
    rng = np.random.default_rng(0)
    steps = np.arange(RATE // 4) / RATE
    notes = [
        0.5 * rng.choice(levels) * np.sign(np.sin(2.0 * np.pi * rng.uniform(200.0, 600.0) * steps))
        for _ in range(40)
    ]
    assert found(np.concatenate(notes)[None]) == NONE


@pytest.mark.parametrize("level", [1e5, 1e16, 1e29])
def test_tops_beyond_any_scale_are_counted_with_the_loudest(level: float) -> None:
    meter = ClippingMeter(RATE, 1)
    top = np.zeros((1, 64))
    top[0, 10:30] = level
    meter.push(top)
    assert meter._histograms[0, 0, :, -1].tolist()[0] == 20
    assert meter._histograms.sum() == meter._histograms[0, 0, :, -1].sum()
