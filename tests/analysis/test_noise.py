"""What even noise, moved by a compressor, says of which one it was."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.signal

from unsquash.analysis.candidates import CURVE_RATE, FRAME_SAMPLES, candidate_curves_db, stepped
from unsquash.analysis.excerpts import rounding_power
from unsquash.analysis.noise import (
    AFTERWARDS,
    BIN_SHARE,
    POOLED_FRAMES,
    PROOF,
    NoiseLevels,
    band_levels_db,
    corroborated,
)
from unsquash.analysis.space import NOTHING
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.noise_kernels import evenness
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.units import Float64Array

TRUTH = CompressorParams(
    threshold_db=-30.0,
    ratio=4.0,
    detector_attack_ms=5.0,
    detector_release_ms=5.0,
    attack_ms=10.0,
    release_ms=200.0,
    link="max",
)
OTHERS = [
    dataclasses.replace(TRUTH, threshold_db=-28.5),
    dataclasses.replace(TRUTH, ratio=3.0),
    dataclasses.replace(TRUTH, release_ms=300.0),
    dataclasses.replace(TRUTH, attack_ms=40.0),
]


@pytest.fixture(scope="module")
def music() -> Float64Array:
    """Make something that rises and falls, with nothing above 15 kHz; shape `(2, T)`."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((2, EXCERPT_SAMPLES + 4096))
    low_pass = scipy.signal.cheby2(12, 140.0, 16_000.0, fs=CURVE_RATE, output="sos")
    knots = 10.0 ** (rng.uniform(-30.0, 0.0, 24) / 20.0)
    swell = np.interp(np.linspace(0, 23, EXCERPT_SAMPLES), np.arange(24), knots)
    made = scipy.signal.sosfilt(low_pass, noise, axis=1)[:, 4096:] * swell
    return np.asarray(0.9 * made / np.abs(made).max())


def rounded(samples: Float64Array) -> Float64Array:
    return np.asarray(np.round(samples * 32768.0) / 32768.0)


def heard(squashed: Float64Array, rounding: float = 0.0) -> dict[str, Float64Array]:
    """Ask for the true compressor, others, and the true one begun in another state."""
    level = stepped(np.abs(squashed).max(axis=0))
    noise = NoiseLevels(squashed, rounding)
    candidates = [TRUTH, *OTHERS]
    return {
        "rested": noise.log_ratios(
            candidates, candidate_curves_db(level, candidates, from_rest=True), math.inf
        ),
        "guessed": noise.log_ratios(candidates, candidate_curves_db(level, candidates, from_rest=False), 0.0),
    }


def test_the_compressor_that_makes_noise_even_is_told_from_others_much_like_it(music: Float64Array) -> None:
    squashed = compress(rounded(music), CURVE_RATE, TRUTH).samples
    for ratios in heard(squashed).values():
        assert ratios.argmax() == 0
        assert ratios[0] > 50.0
        assert (ratios[0] - ratios[1:]).min() > 2.0


def test_the_less_is_known_of_the_state_the_more_a_wrong_one_is_forgiven(music: Float64Array) -> None:
    slow = dataclasses.replace(TRUTH, release_ms=1500.0)
    squashed = compress(rounded(music), CURVE_RATE, slow).samples
    curves = candidate_curves_db(stepped(np.abs(squashed).max(axis=0)), [slow], from_rest=True)
    times_s = np.arange(curves.shape[1]) * FRAME_SAMPLES / CURVE_RATE
    wrong = curves - (4.0 * np.exp(-times_s * 2200.0 / (slow.ratio * slow.release_ms))).astype(np.float32)
    noise = NoiseLevels(squashed)
    known_s = (0.0, 3.0, 12.0, math.inf)
    right, forgiven = (
        np.array([noise.log_ratios([slow], some, known)[0] for known in known_s]) for some in (curves, wrong)
    )
    assert np.ptp(right) < 1.0
    assert (np.diff(forgiven) < 0.1).all()
    assert right[0] - forgiven[0] < 3.0
    assert right[3] - forgiven[3] > 10.0


def test_a_constant_gain_and_what_channels_are_called_change_nothing(music: Float64Array) -> None:
    squashed = compress(rounded(music), CURVE_RATE, TRUTH).samples
    level = stepped(np.abs(squashed).max(axis=0))
    curves = candidate_curves_db(level, [TRUTH, *OTHERS], from_rest=True)
    once = NoiseLevels(squashed).log_ratios([TRUTH, *OTHERS], curves, math.inf)
    for same in (0.25 * squashed, 1e-6 * squashed, -squashed, squashed[::-1]):
        np.testing.assert_allclose(
            NoiseLevels(np.ascontiguousarray(same)).log_ratios([TRUTH, *OTHERS], curves, math.inf),
            once,
            atol=0.1,
        )


def test_even_noise_speaks_against_every_compressor_but_may_have_come_later(music: Float64Array) -> None:
    ratios = heard(rounded(music))["rested"]
    np.testing.assert_allclose(ratios, np.log(AFTERWARDS), atol=0.01)


def test_without_noise_nothing_is_said(music: Float64Array) -> None:
    squashed = compress(music, CURVE_RATE, TRUTH).samples
    assert np.abs(heard(squashed)["rested"]).max() < 5.0
    tone = np.sin(0.1 * np.arange(EXCERPT_SAMPLES))[None]
    assert not heard(tone)["rested"].any()


def test_noise_of_a_second_rounding_is_told_from_the_first(music: Float64Array) -> None:
    squashed = compress(rounded(music), CURVE_RATE, TRUTH).samples
    released = rounded(3.0 * squashed / np.abs(3.0 * squashed).max())
    louder_db = 20.0 * np.log10(np.abs(released).max() / np.abs(squashed).max())
    moved = dataclasses.replace(TRUTH, threshold_db=TRUTH.threshold_db + louder_db)
    level = stepped(np.abs(released).max(axis=0))
    candidates = [
        moved,
        dataclasses.replace(moved, ratio=2.0),
        dataclasses.replace(moved, threshold_db=-20.0),
    ]
    curves = candidate_curves_db(level, candidates, from_rest=True)
    known = NoiseLevels(released, rounding_power(released)).log_ratios(candidates, curves, math.inf)
    assert known.argmax() == 0
    assert known[0] > 5.0


def test_only_rounded_samples_have_rounding_noise() -> None:
    samples = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 1000))
    assert rounding_power(samples) == 0.0
    assert rounding_power(rounded(samples)) == pytest.approx(4.0**-15 / 12.0)
    finer = np.round(samples * 2.0**23) / 2.0**23
    assert rounding_power(finer) == pytest.approx(4.0**-23 / 12.0)
    assert rounding_power(0.7 * rounded(samples)) == 0.0


def test_a_band_shows_its_share_of_white_noise() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal(EXCERPT_SAMPLES)
    levels_db = band_levels_db(noise)
    assert levels_db.shape[1] == EXCERPT_SAMPLES // FRAME_SAMPLES // POOLED_FRAMES
    expected_db = -40.0 + 10.0 * np.log10(BIN_SHARE)
    np.testing.assert_allclose(np.median(levels_db, axis=1), expected_db, atol=0.3)


def test_the_kernel_finds_constant_and_transient_and_forgets_what_is_far_off() -> None:
    rng = np.random.default_rng(4)
    gains = (10.0 ** (rng.uniform(-1.0, 0.0, (1, 200)))).astype(np.float32)
    transients = 3.0 * np.exp(-np.arange(200) / 40.0)[None].astype(np.float32)
    levels_db = 10.0 * np.log10(gains) - 80.0 + 2.0 * transients
    levels_db[:, ::10] += 30.0
    none, all_later = np.zeros(1, np.float32), np.full(1, -1.0, np.float32)
    explained = evenness(levels_db.astype(np.float32), none, gains, transients, 0.9, 4.0)
    assert explained[0, 0] == pytest.approx(180 * 4.0, rel=0.01)
    at_rest = evenness(levels_db.astype(np.float32), none, gains, 0.0 * transients, 0.9, 4.0)
    assert at_rest[0, 0] < 0.9 * explained[0, 0]
    unexplained = evenness(levels_db.astype(np.float32), all_later, gains, transients, 0.9, 4.0)
    assert unexplained[0, 0] < 0.7 * explained[0, 0]
    added_db = 10.0 * np.log10(gains + 0.5)
    half = np.full(1, 0.5, np.float32)
    explained = evenness(added_db.astype(np.float32), half, gains, transients, 0.9, 4.0)
    assert explained[0, 0] == pytest.approx(200 * 4.0, rel=1e-3)


def test_each_channels_noise_is_asked_of_its_own_gain() -> None:
    rng = np.random.default_rng(7)
    length = EXCERPT_SAMPLES // FRAME_SAMPLES
    slow = np.cumsum(rng.standard_normal((2, length // 43 + 1)), axis=1)
    gains_db = np.repeat(-3.0 - slow, 43, axis=1)[:, :length]
    noise = 1e-3 * rng.standard_normal((2, EXCERPT_SAMPLES))
    moved = noise[:, : length * FRAME_SAMPLES] * 10.0 ** (np.repeat(gains_db, FRAME_SAMPLES, axis=1) / 20.0)
    heard = NoiseLevels(moved)
    own, swapped, first = (
        heard.log_ratios([NOTHING], np.ascontiguousarray(some[None], dtype=np.float32), math.inf)[0]
        for some in (gains_db, gains_db[::-1], gains_db[:1])
    )
    assert own > PROOF > max(swapped, 0.0)
    assert own > first > swapped
    alone = NoiseLevels(moved[:1]).log_ratios([NOTHING], gains_db[:1].astype(np.float32), math.inf)
    both = NoiseLevels(np.repeat(moved[:1], 2, axis=0))
    assert both.log_ratios([NOTHING], gains_db[:1].astype(np.float32), math.inf) == pytest.approx(alone)


def test_what_many_channels_know_is_pooled(music: Float64Array) -> None:
    squashed = compress(rounded(music), CURVE_RATE, TRUTH).samples
    level = stepped(np.abs(squashed).max(axis=0))
    curves = candidate_curves_db(level, [TRUTH, *OTHERS], from_rest=True)
    said = NoiseLevels(np.concatenate([squashed] * 3)).log_ratios([TRUTH, *OTHERS], curves, math.inf)
    assert said.argmax() == 0
    assert said[0] > 5.0 * PROOF
    two = NoiseLevels(squashed).log_ratios([TRUTH, *OTHERS], curves, math.inf)
    np.testing.assert_allclose(said, two, rtol=0.2)


def test_a_single_excerpt_of_several_proves_nothing() -> None:
    assert corroborated(np.array([40.0])) == 40.0
    assert corroborated(np.array([40.0, 0.0, 0.0])) < PROOF
    assert corroborated(np.array([40.0, -5.0, 0.0])) < corroborated(np.array([40.0, 0.0, 0.0]))
    assert corroborated(np.array([50.0, 6.0, 5.0, 11.0])) > 0.7 * 72.0
    several = np.array([[4.0, 40.0], [5.0, 0.0], [6.0, 0.0]])
    assert corroborated(several)[0] == 15.0 > corroborated(several)[1]
