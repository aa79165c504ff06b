"""How a compressor and a gain go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from unsquash.analysis.candidates import CURVE_RATE, FRAME_SAMPLES, LINKS, candidate_curves_db, stepped
from unsquash.analysis.excerpts import Excerpt
from unsquash.analysis.fitting import ALIKE_PROOF, MOST_DOUBT, SHARES, Agreement, fit_compressor
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import PROOF
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.scorers import TEMPER
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.units import Float64Array

FRAMES, PROOF_OF_ONE, BEST_SHARE, MUSIC = 860, 4.0, 0.9, 3.0
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
    """Listens to an excerpt without a network."""

    def __init__(self, samples: Float64Array) -> None:
        self.excerpt = Excerpt(samples=samples, lead=np.zeros((len(LINKS), 0)))
        self._level = stepped(np.abs(samples).max(axis=0))

    def curves_db(self, candidates: Sequence[CompressorParams]) -> Float32Array:
        return candidate_curves_db(self._level, candidates, from_rest=False)

    def log_ratios(self, candidates: Sequence[CompressorParams]) -> Float64Array:
        return np.full(len(candidates), MUSIC) + self.noise_log_ratios(candidates)

    def noise_log_ratios(self, candidates: Sequence[CompressorParams]) -> Float64Array:
        return np.full(len(candidates), PROOF_OF_ONE)

    def proofs(
        self, params: CompressorParams, estimate_db: Float64Array, shares: Sequence[float]
    ) -> Float64Array:
        return PROOF_OF_ONE * (1.0 - np.square(np.array(shares) - BEST_SHARE))


def ears(samples: Float64Array) -> list[Listener]:
    half = FRAMES // 2 * FRAME_SAMPLES
    return [Ear(piece) for piece in (samples[:, :half], samples[:, half:])]  # type: ignore[misc]


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
def test_the_true_compressor_agrees_with_the_true_gain(original, params) -> None:
    squashed = compress(original, CURVE_RATE, params)
    fit = fit_compressor(ears(squashed.samples), halves(reduction(squashed.gain)), params)
    assert fit.agreement > 0.95
    assert fit.amount == pytest.approx(1.0, abs=0.1)
    assert fit.is_alike
    assert fit.ranges == likely_ranges(fit.params)
    assert fit.deviation_db > 1.0


def test_what_noise_says_of_all_excerpts_is_added_and_decides_where_it_says_enough(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    fit = fit_compressor(ears(squashed.samples), halves(reduction(squashed.gain)), SMOOTHED)
    assert fit.proof == pytest.approx(2 * PROOF_OF_ONE)
    assert fit.music == pytest.approx(2**TEMPER * MUSIC)
    assert fit.proofs[0] == pytest.approx(2 * PROOF_OF_ONE * (1.0 - BEST_SHARE**2))
    assert not fit.is_proven
    alike, doubtful = replace(fit, agreement=0.8), replace(fit, agreement=0.7)
    assert (alike.share, doubtful.share) == (0.7, 0.25)
    proofs = tuple(12.0 * proof * PROOF / fit.proof for proof in fit.proofs)
    assert replace(doubtful, proofs=proofs).is_proven
    assert not replace(doubtful, proofs=proofs, music=-1.1 * MOST_DOUBT).is_proven
    assert replace(doubtful, proofs=proofs).share == BEST_SHARE
    as_good = (*proofs[:-1], proofs[SHARES.index(BEST_SHARE)] - 0.9 * ALIKE_PROOF)
    assert replace(doubtful, proofs=as_good).share == 1.0


def test_another_gain_is_not_alike(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    other = np.random.default_rng(0).uniform(0.0, 6.0, FRAMES)
    fit = fit_compressor(ears(squashed.samples), halves(other), SMOOTHED)
    assert not fit.is_alike


def test_agreement_is_the_weighted_correlation(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED)
    truth = reduction(squashed.gain)
    agreement = Agreement(ears(squashed.samples), halves(2.0 * truth + 1.0))
    right, wrong = agreement.likeness(SMOOTHED), agreement.likeness(RMS)
    assert right.correlation > 0.97 > wrong.correlation
    assert right.slope == pytest.approx(0.5, abs=0.05)


def test_an_estimate_that_does_not_move_is_like_nothing(original) -> None:
    squashed = compress(original, CURVE_RATE, SMOOTHED).samples
    fit = fit_compressor(ears(squashed), halves(np.full(FRAMES, 3.0)), SMOOTHED)
    assert not fit.is_alike
    assert fit.agreement == pytest.approx(0.0, abs=1e-3)
    silence = fit_compressor(ears(np.zeros((1, FRAMES * FRAME_SAMPLES))), halves(np.zeros(FRAMES)), RMS)
    assert not silence.is_alike


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
