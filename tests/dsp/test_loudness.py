"""Loudness and true peak against the EBU's test signals, pyloudnorm and ffmpeg."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from unsquash.dsp.loudness import LoudnessMeter, channel_weights
from unsquash.dsp.true_peak import TAPS, TruePeakMeter, _phases, _reach
from unsquash.errors import OptionError, UnsupportedAudioError
from unsquash.units import Float64Array

RATE = 48_000
ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def measured(samples: Float64Array, sample_rate: int = RATE, block: int = 65_536) -> LoudnessMeter:
    meter = LoudnessMeter(sample_rate, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.push(samples[:, start : start + block])
    return meter


def true_peak(samples: Float64Array, sample_rate: int = RATE, block: int = 65_536) -> float | None:
    meter = TruePeakMeter(sample_rate, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.push(samples[:, start : start + block])
    return meter.true_peak_dbtp()


def tone(*parts: tuple[float, float]) -> Float64Array:
    """A stereo 1 kHz sine with a level in dBFS for each duration in seconds."""
    gain = np.concatenate([np.full(round(s * RATE), 10.0 ** (level / 20.0)) for level, s in parts])
    sine = np.sin(2.0 * np.pi * 1000.0 * np.arange(gain.size) / RATE)
    return np.stack([gain * sine] * 2)


def phrases(
    rng: np.random.Generator, channels: int, sample_rate: int, seconds: float, phrase_s: float = 0.25
) -> Float64Array:
    """Pink noise whose level changes with every phrase, down to pauses that the gates drop."""
    frames = round(seconds * sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal((channels, frames)))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(frames // 2 + 1) + 1.0), frames)
    levels = rng.uniform(-50.0, -6.0, 2 + int(seconds / phrase_s))
    gain = np.repeat(10.0 ** (levels / 20.0), round(phrase_s * sample_rate))[:frames]
    return pink * gain * (0.3 / np.std(pink))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [100, 5_000])
def test_no_place_that_could_be_the_peak_is_passed_over(seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    samples = phrases(rng, 2, RATE, 1.0, phrase_s=0.01).astype(np.float32)
    between = [
        np.abs(np.convolve(np.pad(channel, TAPS), phase[::-1])).max()
        for channel in samples
        for phase in _phases(4)
    ]
    expected = max(float(np.abs(samples).max()), *map(float, between))
    assert expected > np.abs(samples).max()
    found = true_peak(samples.astype(np.float64), RATE, block)
    assert found == pytest.approx(20.0 * np.log10(expected), abs=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 4, 5, 8, 24])
@pytest.mark.parametrize("slope", [0, 1, 2])
def test_nothing_between_the_samples_exceeds_what_bounds_it(factor: int, slope: int) -> None:
    phases = _phases(factor)
    reach, bend_reach = _reach(phases)
    noise = np.sign(np.random.default_rng(slope).standard_normal((2_000, TAPS)))
    worst = np.sign(phases.astype(np.float64))
    steady = np.stack([np.ones(TAPS), np.arange(TAPS) - TAPS / 2, np.cos(np.arange(TAPS) * 0.2)])
    samples = np.concatenate([noise, worst, steady])
    for _ in range(slope):
        samples = np.cumsum(samples - samples.mean(axis=1, keepdims=True) * 0.5, axis=1)
    largest = np.abs(samples).max(axis=1)
    bends = np.abs(np.diff(samples, 2, axis=1)).max(axis=1)
    between = np.abs(samples @ phases.T).max(axis=1, initial=0.0)
    assert (between <= reach * largest).all()
    assert (between <= 1.001 * largest + bend_reach * bends).all()


@pytest.mark.parametrize("frequency_hz", [60.0, 1_000.0, 11_990.0, 19_000.0])
def test_the_peak_of_a_steady_tone_is_its_amplitude(frequency_hz: float) -> None:
    steps = 2.0 * np.pi * frequency_hz * np.arange(RATE) / RATE
    tones = 0.5 * np.sin(steps)[None] * np.sin(np.pi * np.arange(RATE) / RATE)
    assert true_peak(tones) == pytest.approx(20.0 * np.log10(0.5), abs=0.06)


# EBU Tech 3341, table 1, cases 1 to 5.
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
def test_integrated_loudness_conforms_to_ebu_3341(parts: list[tuple[float, float]], expected: float) -> None:
    assert measured(tone(*parts)).integrated_lufs() == pytest.approx(expected, abs=0.1)


def test_surround_conforms_to_ebu_3341_case_6() -> None:
    sine = np.sin(2.0 * np.pi * 1000.0 * np.arange(20 * RATE) / RATE)
    five = np.array([10.0 ** (level / 20.0) * sine for level in (-28, -28, -24, -30, -30)])
    assert measured(five).integrated_lufs() == pytest.approx(-23.0, abs=0.1)
    with_lfe = np.insert(five, 3, sine, axis=0)
    assert measured(with_lfe).integrated_lufs() == measured(five).integrated_lufs()


# EBU Tech 3342, table 1, cases 1 to 4.
@pytest.mark.parametrize(
    ("levels", "expected"),
    [((-20, -30), 10.0), ((-20, -15), 5.0), ((-40, -20), 20.0), ((-50, -35, -20, -35, -50), 15.0)],
)
def test_loudness_range_conforms_to_ebu_3342(levels: tuple[float, ...], expected: float) -> None:
    meter = measured(tone(*((level, 20.0) for level in levels)))
    assert meter.loudness_range_lu() == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize(("channels", "seconds"), [(1, 0.43), (2, 0.47), (2, 9.3), (5, 3.21)])
def test_equals_pyloudnorm(sample_rate: int, channels: int, seconds: float) -> None:
    rng = np.random.default_rng(sample_rate + channels)
    samples = phrases(rng, channels, sample_rate, seconds)
    expected = pyloudnorm.Meter(sample_rate).integrated_loudness(samples.T)
    assert measured(samples, sample_rate, block=7_001).integrated_lufs() == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("sample_rate", [11_025, 44_100])
def test_blocks_do_not_matter(sample_rate: int) -> None:
    samples = phrases(np.random.default_rng(1), 2, sample_rate, 6.0)
    whole, cut = measured(samples, sample_rate, block=10**9), measured(samples, sample_rate, block=397)
    assert cut.integrated_lufs() == pytest.approx(whole.integrated_lufs(), abs=1e-9)
    assert cut.loudness_range_lu() == pytest.approx(whole.loudness_range_lu(), abs=1e-9)
    scrap = samples[:, :9_000]
    assert true_peak(scrap, sample_rate, block=1) == true_peak(scrap, sample_rate, block=10**9)


def test_reading_does_not_disturb() -> None:
    samples = phrases(np.random.default_rng(2), 2, RATE, 4.0)
    meter, peaks = LoudnessMeter(RATE, 2), TruePeakMeter(RATE, 2)
    for start in range(0, samples.shape[1], 5_000):
        block = samples[:, start : start + 5_000]
        meter.push(block)
        peaks.push(block)
        meter.integrated_lufs(), meter.loudness_range_lu(), peaks.true_peak_dbtp()
    assert meter.integrated_lufs() == pytest.approx(measured(samples).integrated_lufs(), abs=1e-9)
    assert peaks.true_peak_dbtp() == true_peak(samples)


@pytest.mark.parametrize("channels", range(1, 9))
def test_silence_and_scraps_have_no_loudness(channels: int) -> None:
    silence = np.zeros((channels, 5 * RATE))
    assert measured(silence).integrated_lufs() is None
    assert measured(silence).loudness_range_lu() is None
    assert true_peak(silence) is None
    scrap = np.full((channels, RATE * 4 // 10 - 1), 0.5)
    assert measured(scrap).integrated_lufs() is None
    assert LoudnessMeter(RATE, channels).integrated_lufs() is None
    assert TruePeakMeter(RATE, channels).true_peak_dbtp() is None


def test_the_shortest_measurable_signals() -> None:
    assert measured(tone((-23, 0.4))).integrated_lufs() == pytest.approx(-23.0, abs=0.1)
    assert measured(tone((-23, 2.99))).loudness_range_lu() is None
    assert measured(tone((-23, 3.0))).loudness_range_lu() == 0.0


def test_a_gain_shifts_the_loudness_by_as_much() -> None:
    samples = phrases(np.random.default_rng(3), 2, RATE, 5.0)
    louder, quieter = measured(2.0 * samples).integrated_lufs(), measured(samples).integrated_lufs()
    assert louder is not None
    assert quieter is not None
    assert louder - quieter == pytest.approx(20.0 * np.log10(2.0), abs=1e-9)


def test_tails_stay_fast_and_clean() -> None:
    meter = LoudnessMeter(RATE, 1)
    meter.push(np.ones((1, RATE)))
    meter.push(np.zeros((1, 20 * RATE)))
    assert not any(pair.state.any() for pair in meter._pairs)


# EBU Tech 3341, cases 15 to 19: +0.2 / -0.4 dB.
@pytest.mark.parametrize(
    ("divisor", "phase", "amplitude", "expected"),
    [(4, 0, 0.5, -6.0), (4, 45, 0.5, -6.0), (6, 60, 0.5, -6.0), (8, 67.5, 0.5, -6.0), (4, 45, 1.41, 3.0)],
)
def test_true_peak_conforms_to_ebu_3341(
    divisor: int, phase: float, amplitude: float, expected: float
) -> None:
    steps = 2.0 * np.pi * np.arange(RATE) / divisor + np.deg2rad(phase)
    fade = np.clip(np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 1000.0, 0.0, 1.0)
    peak = true_peak(amplitude * (np.sin(steps) * fade)[None])
    assert peak is not None
    assert expected - 0.4 <= peak <= expected + 0.2


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 88_200, 96_000, 176_400, 192_000, 384_000])
def test_true_peak_is_never_below_the_sample_peak(sample_rate: int) -> None:
    samples = np.random.default_rng(4).uniform(-1.0, 1.0, (2, 10_000))
    peak = true_peak(samples, sample_rate)
    assert peak is not None
    assert peak >= 20.0 * np.log10(np.abs(samples).max())


@pytest.mark.parametrize("at", [0, 1, 31, 32, 33, 4_095, 4_998])
def test_true_peak_is_found_wherever_it_is(at: int) -> None:
    samples = np.zeros((2, 5_000))
    samples[1, at : at + 2] = 0.5  # the top lies between the two, at 0.5 · 4/π
    assert true_peak(samples) == pytest.approx(20.0 * np.log10(2.0 / np.pi), abs=0.05)


def ebur128(samples: Float64Array, sample_rate: int, path: Path) -> dict[str, float]:
    soundfile.write(path, samples.T, sample_rate, subtype="DOUBLE")
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-i", str(path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = text[text.rindex("Summary:") :]
    found = {name: re.search(rf"{name}:\s+(-?[\d.]+) ", summary) for name in ("I", "LRA", "Peak")}
    return {name: float(match[1]) for name, match in found.items() if match is not None}


# Three channels are left out: ffmpeg takes them for 2.1. Below 22 kHz its K-weighting differs by design.
@ffmpeg
@pytest.mark.parametrize(
    ("sample_rate", "channels"),
    [(44_100, n) for n in (1, 2, 4, 5, 6, 7, 8)]
    + [(rate, 2) for rate in (22_050, 32_000, 48_000, 88_200, 96_000, 192_000)],
)
def test_agrees_with_ffmpeg(sample_rate: int, channels: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(sample_rate + channels)
    samples = np.clip(8.0 * phrases(rng, channels, sample_rate, 24.0, 1.5), -0.7, 0.7)
    theirs = ebur128(samples, sample_rate, tmp_path / "signal.wav")
    ours = measured(samples, sample_rate)
    assert ours.integrated_lufs() == pytest.approx(theirs["I"], abs=0.1)
    assert ours.loudness_range_lu() == pytest.approx(
        theirs["LRA"], abs=0.5
    )  # its percentiles: one rank apart
    assert true_peak(samples, sample_rate) == pytest.approx(theirs["Peak"], abs=0.2)


@ffmpeg
@pytest.mark.slow
def test_real_music_agrees_with_pyloudnorm_and_ffmpeg(shared_audio: Path, tmp_path: Path) -> None:
    pieces = sorted((shared_audio / "mix").iterdir())[::50]
    assert pieces
    for piece in pieces:
        frames, sample_rate = soundfile.read(piece, always_2d=True, frames=30 * RATE)
        ours = measured(frames.T, sample_rate)
        theirs = ebur128(frames.T, sample_rate, tmp_path / "music.wav")
        expected = pyloudnorm.Meter(sample_rate).integrated_loudness(frames)
        assert ours.integrated_lufs() == pytest.approx(expected, abs=0.001)
        assert ours.integrated_lufs() == pytest.approx(theirs["I"], abs=0.1)
        assert ours.loudness_range_lu() == pytest.approx(theirs["LRA"], abs=0.5)
        assert true_peak(frames.T, sample_rate) == pytest.approx(theirs["Peak"], abs=0.2)


def test_impossible_streams_are_refused() -> None:
    with pytest.raises(UnsupportedAudioError) as refused:
        LoudnessMeter(RATE, 9)
    assert "1 to 8" in refused.value.hint
    with pytest.raises(OptionError):
        LoudnessMeter(3_999, 2)
    with pytest.raises(OptionError):
        TruePeakMeter(0, 2)


def test_weights_are_defined_for_eight_channels() -> None:
    assert [len(channel_weights(channels)) for channels in range(1, 9)] == list(range(1, 9))
