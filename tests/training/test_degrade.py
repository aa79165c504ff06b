from __future__ import annotations

import shutil

import numpy as np
import pytest

from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.training import codecs, processors
from unsquash.training import degrade as degrade_module
from unsquash.training import degrade_kernels as kernels
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.degrade import EXACT, STAGES, degrade, fitted_gain, reduction_deviation_db
from unsquash.units import Float64Array

SIMULATED = [name for name in STAGES if "plugin" not in name]


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_processors_reduce_and_stay_aligned(name: str, seed: int, music: Float64Array) -> None:
    output = STAGES[name](music, np.random.default_rng(seed))
    assert output.shape == music.shape
    assert np.isfinite(output).all()
    lags = np.correlate(output[0, 20_000:60_000], music[0, 20_050:59_950], "valid")
    assert abs(int(lags.argmax()) - 50) <= (30 if name == "multiband" else 2)
    if name in EXACT:
        gain = output[np.abs(music) > 1e-4] / music[np.abs(music) > 1e-4]
        assert 0.0 < gain.min() <= gain.max() <= 1.0 + 1e-9


@pytest.mark.parametrize("smoothing", ["box", "two boxes", "hann"])
@pytest.mark.parametrize("width", [2, 37, 441])
def test_a_look_ahead_limiter_never_passes_its_ceiling(
    smoothing: str, width: int, music: Float64Array
) -> None:
    rectified = np.concatenate([np.zeros(2 * width), np.abs(music[0])])
    lowest = kernels.sliding_minimum(np.minimum(1.0, 0.3 / (rectified + 1e-12)), width)
    released = kernels.limiter_release(lowest, 50, 1e-3, 1e-4, 0.5, 0.5)
    assert (rectified * processors._smoothed(released, width, smoothing)).max() <= 0.3 + 1e-9


def test_the_sliding_minimum_looks_ahead() -> None:
    g = np.array([5.0, 4.0, 6.0, 1.0, 7.0, 8.0])
    assert kernels.sliding_minimum(g, 3).tolist() == [4.0, 1.0, 1.0, 1.0, 7.0, 8.0]


@pytest.mark.parametrize("knee_db", [0.0, 6.0])
@pytest.mark.parametrize("feedback", [False, True])
def test_the_compressor_settles_on_its_static_curve(knee_db: float, feedback: bool) -> None:
    ratio, threshold_db, level_db = 4.0, -20.0, -8.0
    slope = ratio - 1.0 if feedback else 1.0 - 1.0 / ratio
    level = np.full(20_000, 10 ** (level_db / 20))
    gain = kernels.compressor_gain(level, threshold_db, slope, knee_db, 0.01, 0.01, feedback, 0.0)
    expected_db = -(1.0 - 1.0 / ratio) * (level_db - threshold_db)
    assert 20 * np.log10(gain[-1]) == pytest.approx(expected_db, abs=1e-3)


def test_the_seven_parameter_kernel_is_the_librarys_compressor(music: Float64Array) -> None:
    params = CompressorParams(
        threshold_db=-25.0,
        ratio=5.0,
        detector="rms",
        convention="1/e",
        detector_attack_ms=5.0,
        detector_release_ms=20.0,
        attack_ms=3.0,
        release_ms=80.0,
    )
    times = [processors._coefficient(ms) for ms in (5.0, 20.0, 3.0, 80.0)]
    gain = kernels.seven_parameter_gain(np.abs(music[0]), 10 ** (-25.0 / 20), 0.8, 2, *times)
    np.testing.assert_allclose(
        music[0] * gain, compress(music[:1], SAMPLE_RATE, params).samples[0], atol=1e-12
    )


@pytest.mark.parametrize("hardness", [0.0, 0.4, 1.0])
def test_clipping_is_odd_bounded_and_transparent_below(hardness: float) -> None:
    x = np.linspace(-2.0, 2.0, 401)
    y = kernels.clip_curve(x, 0.5, hardness)
    np.testing.assert_allclose(y, -y[::-1])
    assert np.abs(y).max() <= 0.5
    np.testing.assert_allclose(y[199:202], x[199:202], rtol=1e-3)


def test_squashed_is_the_original_times_the_gain(
    music: Float64Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "coded", lambda signal, sample_rate, rng: signal)
    kinds, exact = set(), 0
    for seed in range(60):
        example = degrade(music, np.random.default_rng(seed), plugin_share=0.0)
        kinds.add(example.kind)
        assert np.abs(example.squashed).max() <= 1.0 + 1e-9
        if set(example.chain) <= EXACT and example.chain[-1:] != ("hard clip",):
            modelled = example.gain * example.original
            scale = (modelled * example.squashed).sum() / np.square(modelled).sum()
            error = np.square(example.squashed - scale * modelled).sum() / np.square(example.squashed).sum()
            assert error < 1e-4
            exact += 1
    assert kinds == {"none", "limited", "compressed"}
    assert exact > 20


def test_a_hard_clipper_at_the_end_is_left_to_the_declipper(
    music: Float64Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degrade_module, "_draw_chain", lambda *_: ("hard clip",))
    example = degrade(music, np.random.default_rng(0), plugin_share=0.0)
    assert example.kind == "none"
    np.testing.assert_array_equal(example.gain, 1.0)
    assert (np.abs(example.squashed) >= 0.999 * np.abs(example.squashed).max()).sum() > 20


def test_the_fitted_gain_follows_a_slow_gain_and_ignores_noise(music: Float64Array) -> None:
    truth = 10 ** ((-3.0 - 2.0 * np.sin(np.arange(music.shape[1]) / 20_000)) / 20)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(music.shape)
    fitted_db = 20 * np.log10(fitted_gain(music, truth * music + noise))
    np.testing.assert_allclose(fitted_db, np.broadcast_to(20 * np.log10(truth), music.shape), atol=0.1)


def test_the_deviation_is_blind_to_a_constant_gain(music: Float64Array) -> None:
    assert reduction_deviation_db(music, np.full_like(music, 0.3)) == pytest.approx(0.0, abs=1e-6)
    half = np.ones_like(music)
    half[:, ::32] = 10 ** (-2.0 / 20)
    assert 0.8 < reduction_deviation_db(music, half) <= 1.0


def test_the_same_seed_gives_the_same_example(music: Float64Array) -> None:
    one, two = (degrade(music, np.random.default_rng(5), plugin_share=0.0) for _ in range(2))
    assert one.chain == two.chain
    np.testing.assert_array_equal(one.squashed, two.squashed)


def test_noise_may_come_after_squashing(music: Float64Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(degrade_module, "_draw_chain", lambda *_: ())
    monkeypatch.setattr(codecs, "coded", lambda signal, sample_rate, rng: signal)
    for share, (least_db, most_db) in ((0.0, (-201.0, -80.0)), (1.0, (-101.0, -69.0))):
        monkeypatch.setattr(degrade_module, "NOISE_SHARE", share)
        for seed in range(10):
            example = degrade(music, np.random.default_rng(seed))
            scale = (example.original * example.squashed).sum() / np.square(example.original).sum()
            noise = example.squashed / scale - example.original
            level_db = 20.0 * np.log10(max(noise.std() / np.abs(example.original).max(), 1e-10))
            assert least_db < level_db < most_db


def test_coding_keeps_the_place_of_every_sample(music: Float64Array) -> None:
    tones = np.stack([music[1], music[1]])
    for seed in range(4):
        decoded = codecs.coded(tones, SAMPLE_RATE, np.random.default_rng(seed))
        assert decoded.shape == tones.shape
        error = np.square(decoded - tones).sum() / np.square(tones).sum()
        assert 0.0 < error < 0.01


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_plugins_that_work_here_squash_and_stay_aligned(music: Float64Array) -> None:
    names = codecs.available_plugins()
    assert "alimiter" in names
    stages = [codecs.limiter_plugin] + [codecs.compressor_plugin] * ("acompressor" in names)
    for stage in stages:
        squashed = stage(music, np.random.default_rng(3))
        lags = np.correlate(squashed[0, 20_000:60_000], music[0, 20_050:59_950], "valid")
        assert abs(int(lags.argmax()) - 50) <= 2
        assert reduction_deviation_db(music, fitted_gain(music, squashed)) > 0.1
