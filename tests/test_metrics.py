"""Metrics against their definitions, and the streamed comparison against the metrics."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unsquash.audio import ArraySource
from unsquash.dsp.loudness import LoudnessMeter
from unsquash.dsp.true_peak import TruePeakMeter
from unsquash.errors import OptionError
from unsquash.metrics import (
    Comparison,
    compare_sources,
    gain_error_db,
    log_mel_distance,
    mse,
    sdr_db,
    si_sdr_db,
)
from unsquash.units import Float64Array

RATE = 44_100


def noise(seed: int = 0, frames: int = 2 * RATE) -> Float64Array:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, frames))


def tremolo(depth_db: float, frames: int = 2 * RATE) -> Float64Array:
    """A gain in dB that swings by ±depth once a second."""
    return depth_db * np.sin(2.0 * np.pi * np.arange(frames) / RATE)


def applied(samples: Float64Array, gain_db: Float64Array) -> Float64Array:
    return samples * 10.0 ** (gain_db / 20.0)


def orthogonal(reference: Float64Array) -> Float64Array:
    """Noise of the same energy without any of the reference in it."""
    other = noise(1, reference.shape[1])
    other -= reference * (np.vdot(reference, other) / np.vdot(reference, reference))
    return other * np.sqrt(np.vdot(reference, reference) / np.vdot(other, other))


@pytest.mark.parametrize("ratio_db", [-10.0, 0.0, 30.0, 120.0, 240.0])
def test_si_sdr_is_the_ratio_of_signal_to_unrelated_noise(ratio_db: float) -> None:
    reference = noise()
    estimate = reference + orthogonal(reference) * 10.0 ** (-ratio_db / 20.0)
    assert si_sdr_db(reference, estimate) == pytest.approx(ratio_db, abs=0.01)
    assert sdr_db(reference, estimate) == pytest.approx(ratio_db, abs=0.01)


@given(gain=st.floats(-100.0, 100.0).filter(lambda gain: abs(gain) > 1e-3))
@settings(max_examples=8)
def test_scale_invariance(gain: float) -> None:
    reference = noise(frames=20_000)
    estimate = applied(reference, tremolo(3.0, 20_000))
    assert si_sdr_db(reference, gain * estimate) == pytest.approx(si_sdr_db(reference, estimate), abs=1e-6)
    scaled = abs(gain) * estimate
    assert mse(reference, scaled) == pytest.approx(mse(reference, estimate), rel=1e-6)
    assert log_mel_distance(reference, scaled, RATE) == pytest.approx(
        log_mel_distance(reference, estimate, RATE), rel=1e-6
    )
    assert gain_error_db(reference, scaled) == pytest.approx(gain_error_db(reference, estimate), rel=1e-6)


def test_sdr_counts_the_level() -> None:
    reference = noise()
    assert sdr_db(reference, 0.9 * reference) == pytest.approx(20.0)
    assert si_sdr_db(reference, 0.5 * reference) is None


def test_mse_is_two_for_unrelated_and_zero_for_equal_signals() -> None:
    reference = noise()
    assert mse(reference, 7.0 * orthogonal(reference)) == pytest.approx(2.0)
    assert mse(reference, 8.0 * reference) == pytest.approx(0.0, abs=1e-20)
    assert mse(reference, -reference) == pytest.approx(4.0)


def test_log_mel_distance_is_the_rms_of_log_magnitude_ratios() -> None:
    # Two stretches of noise, the second one raised: every band of a frame moves by the same amount.
    frames, gain = 10 * RATE, 2.0
    curve = np.where(np.arange(frames) < frames // 2, 1.0, gain)
    reference = noise(frames=frames)
    common = 0.5 * math.log((1.0 + gain**2) / 2.0)  # what normalising by the RMS takes off
    expected = math.sqrt((common**2 + (math.log(gain) - common) ** 2) / 2.0)
    assert log_mel_distance(reference, curve * reference, RATE) == pytest.approx(expected, rel=0.01)


def test_log_mel_distance_sees_a_lost_band() -> None:
    spectrum = np.fft.rfft(noise())
    spectrum[:, spectrum.shape[1] // 2 :] = 0.0
    distance = log_mel_distance(noise(), np.fft.irfft(spectrum), RATE)
    assert distance is not None
    assert distance > 1.0


@pytest.mark.parametrize("depth_db", [0.1, 1.0, 6.0])
def test_gain_error_is_the_deviation_of_the_gain(depth_db: float) -> None:
    reference = noise()
    estimate = 0.3 * applied(reference, tremolo(depth_db))
    assert gain_error_db(reference, estimate) == pytest.approx(depth_db / math.sqrt(2.0), rel=0.02)


def test_gain_error_weighs_by_energy() -> None:
    reference = np.concatenate((noise(0), 1e-3 * noise(1)), axis=1)
    estimate = reference.copy()
    estimate[:, 2 * RATE :] *= 4.0  # 12 dB wrong, where there is a millionth of the energy
    error = gain_error_db(reference, estimate)
    assert error is not None
    assert 0.0 < error < 0.05


def test_gain_error_stays_finite_where_one_side_is_silent() -> None:
    estimate = noise()
    estimate[:, 1_000:40_000] = 0.0
    error = gain_error_db(noise(), estimate)
    assert error is not None
    assert math.isfinite(error)
    assert error > 20.0


@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_silence_has_no_distance(silent: str) -> None:
    nothing = np.zeros((2, RATE))
    reference = nothing if silent in ("reference", "both") else noise(frames=RATE)
    estimate = nothing if silent in ("estimate", "both") else noise(frames=RATE)
    assert si_sdr_db(reference, estimate) is None
    assert mse(reference, estimate) is None
    assert log_mel_distance(reference, estimate, RATE) is None
    assert gain_error_db(reference, estimate) is None
    found = compare_sources(ArraySource(reference, RATE), ArraySource(estimate, RATE))
    assert found.si_sdr_db is found.mse is found.log_mel_distance is found.gain_error_db is None
    assert found.identical == (silent == "both")


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(OptionError):
        si_sdr_db(noise(frames=100), noise(frames=101))


@pytest.mark.parametrize("block_frames", [65_536, 1_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_streaming_equals_the_functions(block_frames: int, channels: int) -> None:
    reference = noise(frames=4 * RATE)[:channels]
    estimate = 0.4 * applied(reference, tremolo(2.0, 4 * RATE)) + 1e-3 * noise(2, 4 * RATE)[:channels]
    found = compare_sources(
        ArraySource(reference, RATE), ArraySource(estimate, RATE), block_frames=block_frames
    )
    assert not found.identical
    assert found.si_sdr_db == pytest.approx(si_sdr_db(reference, estimate), abs=1e-9)
    assert found.sdr_db == pytest.approx(sdr_db(reference, estimate), abs=1e-9)
    assert found.mse == pytest.approx(mse(reference, estimate), rel=1e-9)
    assert found.log_mel_distance == pytest.approx(log_mel_distance(reference, estimate, RATE), rel=1e-9)
    assert found.gain_error_db == pytest.approx(gain_error_db(reference, estimate), rel=1e-9)
    change = 10.0 * math.log10(np.vdot(estimate, estimate) / np.vdot(reference, reference))
    assert found.level_change_db == pytest.approx(change, abs=1e-9)


def test_loudness_of_both_sides() -> None:
    reference = noise(frames=4 * RATE)
    estimate = 0.5 * reference
    found = compare_sources(ArraySource(reference, RATE), ArraySource(estimate, RATE))
    loudness, peak = LoudnessMeter(RATE, 2), TruePeakMeter(RATE, 2)
    loudness.push(reference)
    peak.push(reference)
    lufs, dbtp = loudness.integrated_lufs(), peak.true_peak_dbtp()
    assert lufs is not None
    assert dbtp is not None
    half = 20.0 * math.log10(0.5)
    assert found.before_integrated_lufs == pytest.approx(lufs, abs=1e-9)
    assert found.after_integrated_lufs == pytest.approx(lufs + half, abs=1e-9)
    assert found.before_true_peak_dbtp == pytest.approx(dbtp, abs=1e-9)
    assert found.after_true_peak_dbtp == pytest.approx(dbtp + half, abs=1e-6)
    assert found.before_loudness_range_lu == pytest.approx(loudness.loudness_range_lu(), abs=1e-9)
    assert found.after_loudness_range_lu == pytest.approx(found.before_loudness_range_lu, abs=1e-9)
    assert found.before_plr_db == pytest.approx(dbtp - lufs, abs=1e-9)
    assert found.after_plr_db == pytest.approx(found.before_plr_db, abs=1e-6)


def test_identical_recordings() -> None:
    found = compare_sources(ArraySource(noise(), RATE), ArraySource(noise(), RATE))
    assert found.identical
    assert found.si_sdr_db is None
    assert found.sdr_db is None
    assert found.mse == found.log_mel_distance == found.gain_error_db == found.level_change_db == 0.0


@pytest.mark.parametrize("frames", [1, 100, 300, RATE])
def test_every_figure_is_finite_or_none(frames: int) -> None:
    found = compare_sources(ArraySource(noise(0, frames), RATE), ArraySource(noise(1, frames), RATE))
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert {field.name for field in dataclasses.fields(Comparison)} == set(dataclasses.asdict(found))


@pytest.mark.parametrize(
    ("other", "rate", "words"),
    [
        (noise(frames=999), RATE, "999 samples"),
        (noise(frames=1_000)[:1], RATE, "1 channels"),
        (noise(frames=1_000), 48_000, "48000 Hz"),
    ],
)
def test_recordings_that_do_not_match_are_refused(other: Float64Array, rate: int, words: str) -> None:
    with pytest.raises(OptionError, match=words) as refused:
        compare_sources(ArraySource(noise(frames=1_000), RATE), ArraySource(other, rate))
    assert refused.value.hint
