"""The vector kernel is the scalar recursion, and both are what the compressor did."""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
import pytest

from unsquash.analysis.candidates import (
    FRAME_SAMPLES,
    STEP_SAMPLES,
    candidate_curves_db,
    stepped,
)
from unsquash.analysis.space import NOTHING, compressor_at
from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.units import db_to_linear

RATE = 44_100
HOP = FRAME_SAMPLES // STEP_SAMPLES
LEAST_LOG_GAIN = -6.0


@numba.njit
def log_gain_curve(level, hop, threshold, slope, half_knee, detector, smoothing, curve) -> None:
    """The recursion in double precision, one candidate at a time; the mean ln g of every `hop` steps."""
    u, g = 0.0, 1.0
    inverse_gain = 1.0 / threshold
    corner = math.exp(-2.0 * half_knee)
    at = 0
    for k in range(curve.size):
        total = 0.0
        for _ in range(hop):
            a = level[at] * inverse_gain
            a *= a
            at += 1
            u += (detector[0] if a > u else detector[1]) * (a - u)
            f = 1.0
            if u > corner:
                over = 0.5 * math.log(u)
                if over >= half_knee:
                    f = math.exp(-slope * over)
                else:
                    f = math.exp(-slope * (over + half_knee) ** 2 / (4.0 * half_knee))
            g += (smoothing[0] if f < g else smoothing[1]) * (f - g)
            inverse_gain = 1.0 / (g * threshold)
            total += math.log(g)
        curve[k] = max(LEAST_LOG_GAIN, total / hop)


@pytest.fixture(scope="module")
def music(song: np.ndarray) -> np.ndarray:
    return song[:1, : 860 * 256] / np.abs(song).max()


def test_the_curve_of_the_true_compressor_is_its_gain(music: np.ndarray) -> None:
    errors = []
    for params in load_profile_set("published").values():
        done = compress(music, RATE, params)
        (curve,) = candidate_curves_db(stepped(np.abs(done.samples[0])), [params], from_rest=True)
        truth = done.gain_db[0].reshape(-1, 256).mean(axis=1)
        errors.append(float(np.sqrt(np.square(curve - truth).mean())))
    assert np.median(errors) < 0.15
    assert max(errors) < 1.5


def test_every_lane_is_the_scalar_recursion(music: np.ndarray) -> None:
    level = stepped(np.abs(music[0]))
    rng = np.random.default_rng(0)
    candidates = [compressor_at(rng.random(6), smoothed=bool(k % 2)) for k in range(21)]
    curves = candidate_curves_db(level, candidates, from_rest=True)
    compared = 0
    for curve, params in zip(curves, candidates, strict=True):

        def at(time_ms: float, convention: str = params.convention) -> float:
            return smoothing_coefficient(time_ms, RATE / STEP_SAMPLES, convention)  # type: ignore[arg-type]

        smoothed = params.smoothing != "none"
        scalar = np.empty(level.size // HOP)
        log_gain_curve(
            level,
            HOP,
            db_to_linear(params.threshold_db),
            1.0 - 1.0 / params.ratio,
            max(params.knee_db / 2.0 / (20.0 / np.log(10.0)), 1e-4),
            (at(params.detector_attack_ms), at(params.detector_release_ms)),
            (at(params.attack_ms), at(params.release_ms)) if smoothed else (1.0, 1.0),
            scalar,
        )
        expected = 20.0 / np.log(10.0) * scalar
        steady = np.abs(np.diff(expected, prepend=0.0)) < 0.3  # within a frame, one averages ln g, one g
        steady &= expected > -50.0  # where the scalar recursion stops
        assert np.abs(curve - expected)[steady].max(initial=0.0) < 0.03
        compared += int(steady.sum())
    assert compared > 5_000


def test_level_and_threshold_move_together(music: np.ndarray) -> None:
    level = stepped(np.abs(music[0]))
    one = CompressorParams(threshold_db=-30.0, ratio=4.0, detector_attack_ms=5.0, attack_ms=10.0)
    other = CompressorParams(threshold_db=-20.0, ratio=4.0, detector_attack_ms=5.0, attack_ms=10.0)
    quiet = candidate_curves_db(level * db_to_linear(-10.0), [one], from_rest=False)
    assert np.abs(quiet - candidate_curves_db(level, [other], from_rest=False)).max() < 1e-3


def test_nothing_done_is_no_gain(music: np.ndarray) -> None:
    level = stepped(np.abs(music[0]))
    assert np.abs(candidate_curves_db(level, [NOTHING], from_rest=True)).max() < 1e-5
    assert np.all(candidate_curves_db(0.0 * level, [NOTHING], from_rest=True) == 0.0)


def test_in_the_middle_of_a_recording_the_gain_has_settled() -> None:
    level = np.full(860 * HOP, 0.5)
    params = CompressorParams(threshold_db=-30.0, ratio=4.0, attack_ms=200.0, release_ms=500.0)
    rest, middle = (candidate_curves_db(level, [params], from_rest=rest)[0] for rest in (True, False))
    assert rest[0] > -3.0
    assert np.ptp(middle) < 0.02 * np.ptp(rest)
    assert abs(middle[-1] - rest[-1]) < 0.05


def test_what_came_before_gives_the_state_in_which_an_excerpt_begins(song: np.ndarray) -> None:
    """Without it the state of a slow compressor is only guessed; either way nothing else changes."""
    music = song[:1] / np.abs(song).max()
    cut = music.shape[1] - 430 * 256
    guessed, led = [], []
    for params in load_profile_set("thirty").values():
        done = compress(music, RATE, params)
        before, after = np.abs(done.samples[0, :cut]), np.abs(done.samples[0, cut:])
        truth = done.gain_db[0, cut:].reshape(-1, 256).mean(axis=1)
        level, lead = stepped(after), stepped(before)
        for errors, known in ((guessed, None), (guessed, lead[:0]), (led, lead)):
            (curve,) = candidate_curves_db(level, [params], from_rest=False, lead=known)
            errors.append(float(np.sqrt(np.square(curve - truth).mean())))
    assert guessed[::2] == guessed[1::2]
    assert np.median(led) < 0.3
    assert np.median(guessed) > 3.0 * np.median(led)
    assert np.mean(np.array(led) < np.array(guessed[::2])) > 0.9


def test_levels_count_back_from_the_end() -> None:
    magnitude = np.array([9.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0])
    assert np.array_equal(stepped(magnitude), [3.0, 4.0])


@pytest.mark.parametrize("smoothing", ["linear", "log", "none"])
def test_a_candidate_that_had_settled_begins_there(music: np.ndarray, smoothing: str) -> None:
    params = CompressorParams(
        threshold_db=-30.0,
        ratio=4.0,
        detector_attack_ms=50.0,
        detector_release_ms=50.0,
        attack_ms=100.0,
        release_ms=1000.0,
        smoothing=smoothing,  # type: ignore[arg-type]
        initial_db=-6.0,
    )
    done = compress(music, RATE, params)
    level = stepped(np.abs(done.samples[0]))
    rest, settled = (
        candidate_curves_db(level, [dataclasses.replace(params, initial_db=initial_db)], from_rest=True)[0]
        for initial_db in (None, -6.0)
    )
    truth = done.gain_db[0].reshape(-1, 256).mean(axis=1)
    assert abs(settled[0] - truth[0]) < 0.5 < 10.0 < abs(rest[0] - truth[0])


def test_curves_are_nearly_exact_sample_by_sample(music: np.ndarray) -> None:
    errors: dict[int, list[float]] = {1: [], STEP_SAMPLES: []}
    for params in load_profile_set("thirty").values():
        done = compress(music, RATE, params)
        truth = done.gain_db[0].reshape(-1, FRAME_SAMPLES).mean(axis=1)
        for step, found in errors.items():
            level = stepped(np.abs(done.samples[0]), step)
            (curve,) = candidate_curves_db(level, [params], from_rest=True, step_samples=step)
            found.append(float(np.sqrt(np.square(curve - truth).mean())))
    assert max(errors[1]) < 0.03 < 0.1 < np.median(errors[STEP_SAMPLES])
