"""A compressor's settings come back from its gain, also where that is only roughly known."""

from __future__ import annotations

import numpy as np
import pytest

from unsquash.analysis.fitting import HOP_SAMPLES, NET_RATE, Heard, fit_compressor
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.metrics import si_sdr_db
from unsquash.units import Float64Array

HOPS = 4096


@pytest.fixture(scope="module")
def original() -> Float64Array:
    """Six seconds of notes that start suddenly and decay, over noise."""
    rng = np.random.default_rng(4)
    length = HOPS * HOP_SAMPLES
    samples = 0.01 * rng.standard_normal((2, length))
    for start in np.cumsum(rng.integers(3_000, 16_000, 30)):
        if start >= length:
            break
        age_s = np.arange(length - start) / NET_RATE
        note = np.sin(2.0 * np.pi * rng.uniform(60.0, 3_000.0) * age_s) * np.exp(
            -age_s * rng.uniform(3.0, 12.0)
        )
        samples[:, start:] += 10.0 ** (rng.uniform(-20.0, 0.0) / 20.0) * note
    return samples / np.abs(samples).max()


def heard(squashed: Float64Array, reduction_db: Float64Array) -> Heard:
    return Heard(magnitude=np.abs(squashed).max(axis=0), reduction_db=reduction_db)


def reduction(gain: Float64Array) -> Float64Array:
    return -20.0 * np.log10(gain[0].reshape(-1, HOP_SAMPLES).mean(axis=1))


COMPRESSORS = {
    "rms": CompressorParams(
        threshold_db=-22.0,
        ratio=4.0,
        detector_attack_ms=10.0,
        detector_release_ms=120.0,
        knee_db=3.0,
        link="max",
        smoothing="none",
        convention="1/e",
    ),
    "smoothed": CompressorParams(
        threshold_db=-26.0,
        ratio=3.0,
        detector_attack_ms=8.0,
        detector_release_ms=8.0,
        attack_ms=15.0,
        release_ms=200.0,
        link="max",
        convention="1/e",
    ),
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_from_the_true_gain_the_inversion_is_nearly_exact(original: Float64Array, name: str) -> None:
    squashed = compress(original, NET_RATE, COMPRESSORS[name])
    fit = fit_compressor([heard(squashed.samples, reduction(squashed.gain))])
    assert fit is not None
    assert fit.agreement > 0.99
    assert 0.8 < fit.amount < 1.25
    restored = invert(squashed.samples, NET_RATE, fit.params).samples
    before = si_sdr_db(original.T, squashed.samples.T)
    assert si_sdr_db(original.T, restored.T) > before + 10.0


def test_a_rough_estimate_is_improved_upon(original: Float64Array) -> None:
    squashed = compress(original, NET_RATE, COMPRESSORS["smoothed"])
    truth = reduction(squashed.gain)
    rng = np.random.default_rng(1)
    noise = np.convolve(rng.standard_normal(HOPS), np.ones(16) / 4.0, "same")
    rough = truth.mean() + 0.5 * (truth - truth.mean()) + 0.5 * truth.std() * noise  # a fair conditional mean
    fit = fit_compressor([heard(squashed.samples, rough)])
    assert fit is not None
    before = si_sdr_db(original.T, squashed.samples.T)
    by_estimate = squashed.samples * 10.0 ** (np.repeat(rough, HOP_SAMPLES) / 20.0)
    by_fit = invert(squashed.samples, NET_RATE, fit.params).samples
    assert si_sdr_db(original.T, by_fit.T) > si_sdr_db(original.T, by_estimate.T) + 2.0
    assert si_sdr_db(original.T, by_fit.T) > before + 4.0


def test_the_level_does_not_matter(original: Float64Array) -> None:
    squashed = compress(original, NET_RATE, COMPRESSORS["rms"])
    reduction_db = reduction(squashed.gain)
    loud = fit_compressor([heard(squashed.samples, reduction_db)])
    soft = fit_compressor([heard(0.125 * squashed.samples, reduction_db)])
    assert loud is not None
    assert soft is not None
    assert soft.params.threshold_db == pytest.approx(
        loud.params.threshold_db - 20.0 * np.log10(8.0), abs=0.01
    )
    assert soft.params.ratio == pytest.approx(loud.params.ratio, rel=0.01)


def test_nothing_to_go_by() -> None:
    silent = Heard(magnitude=np.zeros(HOPS * HOP_SAMPLES), reduction_db=np.zeros(HOPS))
    assert fit_compressor([silent]) is None
    assert fit_compressor([heard(np.ones((1, HOPS * HOP_SAMPLES)), np.full(HOPS, 3.0))]) is None


def test_a_recording_too_quiet_for_any_threshold_has_no_compressor() -> None:
    rng = np.random.default_rng(0)
    magnitude = 1e-10 * np.abs(rng.standard_normal(64 * 2000))
    assert fit_compressor([Heard(magnitude=magnitude, reduction_db=rng.uniform(0.0, 6.0, 2000))]) is None
