"""A compressor's settings come back from its gain, also where that is only roughly known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from unsquash.analysis.candidates import CURVE_RATE, FRAME_SAMPLES, candidate_curves_db, stepped_level
from unsquash.analysis.excerpts import Excerpt
from unsquash.analysis.fitting import Agreement, fit_compressor
from unsquash.analysis.listening import Listener
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.space import place_of
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.dsp.inverse import invert
from unsquash.metrics import si_sdr_db
from unsquash.plan import AMOUNTS
from unsquash.units import Float64Array

FRAMES = 860
RMS = CompressorParams(
    threshold_db=-22.0,
    ratio=4.0,
    detector_attack_ms=10.0,
    detector_release_ms=120.0,
    knee_db=3.0,
    link="max",
    smoothing="none",
    convention="1/e",
)
SMOOTHED = CompressorParams(
    threshold_db=-26.0,
    ratio=3.0,
    detector_attack_ms=8.0,
    detector_release_ms=8.0,
    attack_ms=15.0,
    release_ms=200.0,
    link="max",
)


class Ear:
    """Listens to an excerpt without a network: finds all candidates likely, or those near the truth."""

    def __init__(self, samples: Float64Array, truth: CompressorParams | None = None) -> None:
        self.excerpt = Excerpt(samples=samples, lead=np.zeros(0))
        self.level = stepped_level(np.abs(samples).max(axis=0))
        self._truth = truth

    def curves_db(self, candidates: Sequence[CompressorParams]) -> Float32Array:
        return candidate_curves_db(self.level, candidates, from_rest=False)

    def log_ratios(
        self,
        candidates: Sequence[CompressorParams],
        curves_db: Float32Array | None = None,
        *,
        at_once: int = 1,
    ) -> Float64Array:
        if self._truth is None:
            return np.full(len(candidates), 3.0)
        places = np.array([place_of(candidate) for candidate in candidates])
        return 20.0 - 100.0 * np.square(places - place_of(self._truth)).sum(axis=1)


def ears(samples: Float64Array, truth: CompressorParams | None = None) -> list[Listener]:
    half = FRAMES // 2 * FRAME_SAMPLES
    return [Ear(piece, truth) for piece in (samples[:, :half], samples[:, half:])]  # type: ignore[misc]


@pytest.fixture(scope="module")
def original() -> Float64Array:
    """Five seconds of notes that start suddenly and decay, over noise."""
    rng = np.random.default_rng(4)
    length = FRAMES * FRAME_SAMPLES
    samples = 0.01 * rng.standard_normal((2, length))
    for start in np.cumsum(rng.integers(3_000, 16_000, 30)):
        if start >= length:
            break
        age_s = np.arange(length - start) / CURVE_RATE
        note = np.sin(2.0 * np.pi * rng.uniform(60.0, 3_000.0) * age_s) * np.exp(
            -age_s * rng.uniform(3.0, 12.0)
        )
        samples[:, start:] += 10.0 ** (rng.uniform(-20.0, 0.0) / 20.0) * note
    return samples / np.abs(samples).max()


def halves(reduction_db: Float64Array) -> list[Float64Array]:
    return [reduction_db[: FRAMES // 2], reduction_db[FRAMES // 2 :]]


def reduction(gain: Float64Array) -> Float64Array:
    return -20.0 * np.log10(gain[0].reshape(-1, FRAME_SAMPLES).mean(axis=1))


@pytest.mark.parametrize("params", [RMS, SMOOTHED], ids=["rms", "smoothed"])
def test_from_the_true_gain_alone_the_compressor_is_found(original, params) -> None:
    squashed = compress(original, CURVE_RATE, params)
    fit = fit_compressor(ears(squashed.samples), halves(reduction(squashed.gain)))
    assert fit is not None
    assert fit.agreement > 0.98
    assert AMOUNTS[0] < fit.amount < AMOUNTS[1]
    assert fit.ranges == likely_ranges(fit.params)
    restored = invert(squashed.samples, CURVE_RATE, fit.params).samples
    assert si_sdr_db(original, restored) > si_sdr_db(original, squashed.samples) + 3.0


def rough_estimate(truth: Float64Array) -> Float64Array:
    """A fair conditional mean of the truth, of half its variance."""
    noise = np.convolve(np.random.default_rng(1).standard_normal(FRAMES), np.ones(4) / 2.0, "same")
    return np.asarray(truth.mean() + 0.5 * (truth - truth.mean()) + 0.5 * truth.std() * noise)


def test_a_rough_estimate_is_improved_upon_and_more_so_by_a_second_opinion(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    rough = rough_estimate(reduction(squashed.gain))
    estimate_db = np.repeat(rough, FRAME_SAMPLES)
    results = [si_sdr_db(original, squashed.samples * 10.0 ** (estimate_db / 20.0))]
    for truth in (None, SMOOTHED):
        fit = fit_compressor(ears(squashed.samples, truth), halves(rough))
        assert fit is not None
        mean_db = 0.5 * (estimate_db + invert(squashed.samples, CURVE_RATE, fit.params).gain_db)
        results.append(si_sdr_db(original, squashed.samples * 10.0 ** (mean_db / 20.0)))
    assert results[1] > results[0] + 1.0
    assert results[2] > results[1] + 1.0


def test_the_level_does_not_matter(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    estimates = halves(reduction(squashed.gain))
    loud = fit_compressor(ears(squashed.samples), estimates)
    soft = fit_compressor(ears(0.125 * squashed.samples), estimates)
    assert loud is not None
    assert soft is not None
    moved_db = soft.params.threshold_db - loud.params.threshold_db
    assert moved_db == pytest.approx(-20.0 * np.log10(8.0), abs=0.1)
    assert soft.params.ratio == pytest.approx(loud.params.ratio, rel=0.02)


def test_agreement_is_the_weighted_correlation(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    truth = reduction(squashed.gain)
    agreement = Agreement(ears(squashed.samples), halves(2.0 * truth + 1.0))
    _, alike = agreement.heard([SMOOTHED, RMS], range(2))
    assert alike.correlation[0] > 0.97 > alike.correlation[1]
    assert alike.slope[0] == pytest.approx(0.5, abs=0.05)


def test_nothing_to_go_by() -> None:
    silent = np.zeros((1, FRAMES * FRAME_SAMPLES))
    assert fit_compressor(ears(silent), halves(np.zeros(FRAMES))) is None
    assert fit_compressor(ears(silent + 1.0), halves(np.full(FRAMES, 3.0))) is None


def test_a_recording_too_quiet_for_any_threshold_is_no_error(original) -> None:
    estimates = halves(np.random.default_rng(0).uniform(0.0, 6.0, FRAMES))
    fit = fit_compressor(ears(1e-10 * original), estimates)
    assert fit is not None
    assert -200.0 <= fit.params.threshold_db <= 0.0


def test_what_was_done_everywhere_is_told_apart(original) -> None:
    """Both make the same gain but for a constant, of which the network knows nothing."""
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    truth = reduction(squashed.gain)
    agreement = Agreement(ears(squashed.samples), halves(truth))
    least_db = agreement.least_db(SMOOTHED)
    settled = np.concatenate([half[172:] for half in halves(truth)])
    assert 0.01 < (settled < least_db).mean() < 0.1
    deep = replace(SMOOTHED, threshold_db=SMOOTHED.threshold_db - 30.0)
    constant_db = 30.0 * (1.0 - 1.0 / SMOOTHED.ratio)
    deeper = compress(original, CURVE_RATE, deep)
    ear = Agreement(ears(deeper.samples), halves(reduction(deeper.gain)))
    assert ear.least_db(deep) == pytest.approx(least_db + constant_db, abs=4.0)
    assert ear.least_db(deep) > 15.0


def test_of_silence_nothing_is_known() -> None:
    silence = np.zeros((2, FRAMES * FRAME_SAMPLES))
    assert Agreement(ears(silence), halves(np.zeros(FRAMES))).least_db(SMOOTHED) == 0.0
