"""Levels of signals whose levels are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from unsquash.analysis.levels import Levels, LevelsMeter, dynamic_range_db
from unsquash.dsp.loudness import LoudnessMeter
from unsquash.dsp.true_peak import TruePeakMeter
from unsquash.units import Float64Array

RATE = 44_100


def levels(samples: Float64Array, block: int = 65_536, sample_rate: int = RATE) -> Levels:
    meter = LevelsMeter(sample_rate, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.push(samples[:, start : start + block])
    return meter.result()


def sine(seconds: float, amplitude: float = 1.0, frequency: float = 997.0) -> Float64Array:
    return amplitude * np.sin(2.0 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)[None]


def test_a_sine_has_the_levels_of_a_sine() -> None:
    found = levels(sine(9.0, 0.5))
    half = 20.0 * math.log10(0.5)
    assert found.sample_peak_dbfs == pytest.approx(half, abs=1e-3)
    assert found.rms_dbfs == pytest.approx(half - 3.0103, abs=1e-3)
    assert found.crest_db == pytest.approx(3.0103, abs=1e-3)
    assert found.true_peak_dbtp == pytest.approx(half, abs=0.01)
    assert found.dr_db == pytest.approx(0.0, abs=1e-3)
    assert found.loudness_range_lu == pytest.approx(0.0, abs=1e-3)


def test_plr_is_true_peak_over_loudness_of_the_meters() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 5 * RATE)) * 0.1
    loudness, peak = LoudnessMeter(RATE, 2), TruePeakMeter(RATE, 2)
    loudness.push(samples)
    peak.push(samples)
    integrated, top = loudness.integrated_lufs(), peak.true_peak_dbtp()
    assert integrated is not None
    assert top is not None
    assert levels(samples).plr_db == pytest.approx(top - integrated, abs=1e-9)


def test_blocks_do_not_matter() -> None:
    samples = np.random.default_rng(1).standard_normal((2, 7 * RATE)) * np.linspace(0.01, 0.2, 7 * RATE)
    whole = dataclasses.asdict(levels(samples, block=10**9))
    assert dataclasses.asdict(levels(samples, block=1_009)) == pytest.approx(whole, abs=1e-6)


def test_a_gain_moves_levels_and_leaves_differences() -> None:
    samples = np.random.default_rng(2).standard_normal((2, 7 * RATE)) * 0.05
    quiet, loud = dataclasses.asdict(levels(samples)), dataclasses.asdict(levels(4.0 * samples))
    shift = 20.0 * math.log10(4.0)
    for name in quiet:
        moved = shift if name.endswith(("lufs", "dbtp", "dbfs")) else 0.0
        assert loud[name] - quiet[name] == pytest.approx(moved, abs=1e-4), name


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_silence_has_no_levels(channels: int) -> None:
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Levels))
    assert dataclasses.asdict(levels(np.zeros((channels, 8 * RATE)))) == nothing
    assert dataclasses.asdict(LevelsMeter(RATE, channels).result()) == nothing


def test_scraps_have_peaks_but_no_loudness() -> None:
    found = levels(np.full((2, 1), 0.5))
    assert found.sample_peak_dbfs == pytest.approx(-6.0206, abs=1e-4)
    assert found.rms_dbfs == pytest.approx(-6.0206, abs=1e-4)
    assert found.integrated_lufs is None
    assert found.plr_db is None
    assert found.dr_db is None


def test_dynamic_range_follows_its_definition() -> None:
    # Ten 3 s blocks at falling levels: the loudest fifth are two, the second highest peak is the second's.
    amplitudes = [1.0, 0.8, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    samples = np.concatenate([sine(3.0, amplitude) for amplitude in amplitudes], axis=1)
    expected = 20.0 * math.log10(0.8 / math.sqrt((1.0 + 0.64) / 2.0))
    assert levels(samples).dr_db == pytest.approx(expected, abs=1e-3)


def test_dynamic_range_is_averaged_over_audible_channels() -> None:
    powers = np.array([[0.5, 0.5], [0.005, 0.005], [0.0, 0.0]])
    peaks = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert dynamic_range_db(powers, peaks) == pytest.approx((0.0 + 20.0) / 2.0)


def test_samples_too_faint_to_be_squared_are_not_audible() -> None:
    samples = np.full((2, 7 * RATE), 1e-300)
    assert levels(samples).dr_db is None


def test_dynamic_range_counts_the_last_short_block() -> None:
    samples = np.concatenate((sine(3.0, 0.5), sine(1.0, 0.25)), axis=1)
    assert levels(samples).dr_db == pytest.approx(20.0 * math.log10(0.25 / 0.5), abs=1e-3)


def test_rms_weighs_a_short_last_block_by_its_length() -> None:
    samples = np.concatenate((np.zeros((1, 3 * RATE)), np.ones((1, RATE))), axis=1)
    assert levels(samples).rms_dbfs == pytest.approx(10.0 * math.log10(0.25), abs=1e-9)
