from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, with_settings
from unsquash.errors import OptionError

RATE = 44100


def sdr_db(reference: np.ndarray, other: np.ndarray) -> float:
    error = np.sum((reference - other) ** 2)
    return float(10 * np.log10(np.sum(reference**2) / max(error, 1e-300)))


def published(x: np.ndarray, p: CompressorParams) -> np.ndarray:
    """The published equations, word for word, from rest: u[−1] = 0, g[−1] = 1."""

    def coefficient(ms: float) -> float:
        return 1.0 - math.exp(-2.2 / (ms / 1000 * RATE))

    order = 2 if p.detector == "rms" else 1
    threshold = 10 ** (p.threshold_db / 20)
    u, g = 0.0, 1.0
    y = np.empty_like(x)
    for n, sample in enumerate(x):
        v_before = u ** (1 / order)
        beta = coefficient(p.detector_attack_ms if abs(sample) > v_before else p.detector_release_ms)
        u = beta * abs(sample) ** order + (1 - beta) * u
        v = u ** (1 / order)
        if p.mode == "compress":
            slope = 1 - 1 / p.ratio
            f = threshold**slope * v**-slope if v > threshold else 1.0
        else:
            slope = p.ratio - 1
            f = threshold**-slope * v**slope if v < threshold else 1.0
        gamma = coefficient(p.attack_ms if f < g else p.release_ms)
        g = gamma * f + (1 - gamma) * g
        y[n] = g * sample
    return y


@pytest.mark.parametrize("mode", ["compress", "expand"])
@pytest.mark.parametrize("detector", ["peak", "rms"])
def test_published_equations(mode: str, detector: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(3000) * np.repeat(rng.uniform(0.001, 0.9, 30), 100)
    params = CompressorParams(
        threshold_db=-26.0,
        ratio=3.5,
        detector_attack_ms=1.0,
        detector_release_ms=7.0,
        attack_ms=2.0,
        release_ms=30.0,
        detector=detector,  # type: ignore[arg-type]
        mode=mode,  # type: ignore[arg-type]
    )
    assert sdr_db(published(x, params), compress(x[None], RATE, params).samples[0]) > 280


def test_first_samples_start_from_rest() -> None:
    params = CompressorParams(
        threshold_db=-40, ratio=2, detector_attack_ms=10, detector_release_ms=10, attack_ms=5, release_ms=50
    )
    beta, gamma = (1 - math.exp(-2.2 / (ms * RATE / 1000)) for ms in (10, 5))
    f = (math.sqrt(beta * 0.9**2) / 0.01) ** -0.5
    assert f < 1
    first = compress(np.array([[0.9]]), RATE, params).samples[0, 0]
    assert first == pytest.approx(0.9 * (gamma * f + (1 - gamma) * 1.0), rel=1e-14)


@pytest.mark.parametrize(("knee_db", "smoothing"), [(0.0, "linear"), (6.0, "none"), (12.0, "log")])
def test_static_curve_at_steady_state(knee_db: float, smoothing: str) -> None:
    params = CompressorParams(
        threshold_db=-20,
        ratio=4,
        detector_attack_ms=1,
        attack_ms=1,
        knee_db=knee_db,
        smoothing=smoothing,  # type: ignore[arg-type]
        makeup_db=3.0,
    )
    for level_db in (-40.0, -23.0, -20.0, -18.0, -5.0):
        squashed = compress(np.full((1, 4000), 10 ** (level_db / 20)), RATE, params)
        over = level_db + 20
        if knee_db and 2 * abs(over) <= knee_db:  # Giannoulis et al. 2012, eq. (4)
            expected = level_db + (1 / 4 - 1) * (over + knee_db / 2) ** 2 / (2 * knee_db)
        else:
            expected = level_db + (1 / 4 - 1) * max(over, 0.0)
        assert 20 * np.log10(squashed.samples[0, -1]) == pytest.approx(expected + 3.0, abs=1e-9)
        assert squashed.gain_db[0, -1] == pytest.approx(expected + 3.0 - level_db, abs=1e-9)


def test_expander_pushes_quiet_levels_down_and_silence_to_zero() -> None:
    params = CompressorParams(threshold_db=-20, ratio=3, detector_attack_ms=1, attack_ms=1, mode="expand")
    squashed = compress(np.full((1, 4000), 0.01), RATE, params)
    assert squashed.gain_db[0, -1] == pytest.approx(-40.0, abs=1e-6)
    silent = compress(np.zeros((1, 100_000)), RATE, params)
    assert np.all(silent.samples == 0.0)
    assert silent.gain[0, -1] == 0.0
    assert np.all(np.isfinite(silent.gain_db))


@given(
    ratio=st.floats(1, 100),
    threshold_db=st.floats(-60, 0),
    factor_db=st.floats(-40, 40),
    link=st.sampled_from(["off", "max", "mean", "rms"]),
    mode=st.sampled_from(["compress", "expand"]),
)
@settings(max_examples=40)
def test_scaling_the_threshold_scales_the_result(
    ratio: float, threshold_db: float, factor_db: float, link: str, mode: str
) -> None:
    x = np.random.default_rng(2).standard_normal((2, 400)) * 0.2
    factor = 10 ** (factor_db / 20)
    params = CompressorParams(
        threshold_db=threshold_db,
        ratio=min(ratio, 10) if mode == "expand" else ratio,
        detector_attack_ms=1,
        detector_release_ms=3,
        attack_ms=1,
        release_ms=10,
        link=link,  # type: ignore[arg-type]
        mode=mode,  # type: ignore[arg-type]
    )
    louder = dataclasses.replace(params, threshold_db=threshold_db + factor_db)
    assert (
        sdr_db(factor * compress(x, RATE, params).samples, compress(factor * x, RATE, louder).samples) > 200
    )


@pytest.mark.parametrize("link", ["off", "max", "mean", "rms"])
@pytest.mark.parametrize("smoothing", ["linear", "log", "none"])
def test_blocks_equal_the_whole(link: str, smoothing: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 5000)) * 0.3
    params = CompressorParams(
        threshold_db=-25,
        ratio=5,
        detector_attack_ms=2,
        attack_ms=3,
        release_ms=40,
        link=link,  # type: ignore[arg-type]
        smoothing=smoothing,  # type: ignore[arg-type]
        knee_db=4,
    )
    whole = compress(x, RATE, params)
    state, pieces = None, []
    for block in np.split(x, [1, 700, 701, 4096], axis=1):
        piece = compress(block, RATE, params, state)
        state = piece.state
        pieces.append(piece.samples)
    assert np.array_equal(np.concatenate(pieces, axis=1), whole.samples)
    assert whole.gain.shape == (3 if link == "off" else 1, 5000)


def test_polarity_and_channel_order_do_not_matter() -> None:
    x = np.random.default_rng(4).standard_normal((2, 2000)) * 0.3
    params = load_profile("five/C")
    squashed = compress(x, RATE, params).samples
    assert np.array_equal(compress(-x, RATE, params).samples, -squashed)
    assert np.array_equal(compress(x[::-1], RATE, params).samples, squashed[::-1])


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ("", {}),
        ("knee=1", {"knee": "0"}),
        ("detection=peak:link=maximum", {"detector": "peak", "link": "max"}),
        (
            "makeup=4:knee=8:attack=0.05",
            {"makeup": "12.041199826559248", "knee": "18.061799739838872", "attack": "0.05"},
        ),
        (
            "threshold=0.01:ratio=20:attack=1:release=50:detection=peak",
            {"threshold": "-40", "ratio": "20", "attack": "1", "release": "50", "detector": "peak"},
        ),
    ],
)
def test_ffmpeg_acompressor(song: np.ndarray, arguments: str, changes: dict[str, str]) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    x = song * np.array([[1.0], [0.3]])
    raw = ["-f", "f64le", "-ar", str(RATE), "-ac", "2"]
    filtered = subprocess.run(
        ["ffmpeg", "-v", "error", *raw, "-i", "-", "-af", f"acompressor={arguments}".rstrip("="), *raw, "-"],
        input=np.ascontiguousarray(x.T).tobytes(),
        capture_output=True,
        check=True,
    )
    theirs = np.frombuffer(filtered.stdout).reshape(-1, 2).T
    params = with_settings(load_profile("ffmpeg-acompressor"), changes)
    ours = compress(x, RATE, params)
    assert np.min(ours.gain_db - params.makeup_db) < -1.0  # it does compress
    assert sdr_db(theirs, ours.samples) > 200


def test_ffmpegs_cubic_knee_is_the_quadratic_one() -> None:
    """Their Hermite cubic runs from slope 1 to 1/R over a symmetric knee: its cubic term vanishes."""
    knee, ratio, threshold = 2.82843, 3.0, 0.125
    start, stop = math.log(threshold / math.sqrt(knee)), math.log(threshold * math.sqrt(knee))
    end = (stop - math.log(threshold)) / ratio + math.log(threshold)
    width = stop - start
    for t in np.linspace(0.0, 1.0, 11):
        cubic = (2 * start + width - 2 * end + width / ratio) * t**3
        square = (-3 * start - 2 * width + 3 * end - width / ratio) * t**2
        hermite = cubic + square + width * t + start
        level = start + t * width
        quadratic = level + (1 / ratio - 1) * (level - math.log(threshold) + width / 2) ** 2 / (2 * width)
        assert abs(cubic) < 1e-15
        assert hermite == pytest.approx(quadratic, abs=1e-14)


def test_juce_compressor(song: np.ndarray) -> None:
    """JUCE's formula: one-pole on |x| with exp(−2π/(τ·fs)), hard knee, no smoothing of the gain."""
    params = with_settings(load_profile("juce-compressor"), {"threshold": "-24", "ratio": "5", "attack": "2"})
    keep_attack, keep_release = (math.exp(-2 * math.pi * 1000 / RATE / ms) for ms in (2.0, 100.0))
    x = song[0, : RATE // 2]
    envelope, expected = 0.0, np.empty_like(x)
    for n, sample in enumerate(x):
        keep = keep_attack if abs(sample) > envelope else keep_release
        envelope = abs(sample) + keep * (envelope - abs(sample))
        gain = 1.0 if envelope < 10 ** (-24 / 20) else (envelope / 10 ** (-24 / 20)) ** (1 / 5 - 1)
        expected[n] = gain * sample
    assert sdr_db(expected, compress(x[None], RATE, params).samples[0]) > 250


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": 0.5},
        {"ratio": math.nan},
        {"threshold_db": math.inf},
        {"attack_ms": -1.0},
        {"knee_db": -3.0},
        {"detector": "quick"},
        {"link": "sum"},
        {"smoothing": "log", "mode": "expand"},
    ],
)
def test_impossible_settings_are_refused_with_a_hint(change: dict[str, object]) -> None:
    with pytest.raises(OptionError) as caught:
        dataclasses.replace(load_profile("five/A"), **change)  # type: ignore[arg-type]
    assert caught.value.hint


def test_state_of_another_recording_is_refused() -> None:
    params = load_profile("five/A")
    state = compress(np.zeros((2, 4)), RATE, params).state
    with pytest.raises(OptionError, match="channels"):
        compress(np.zeros((3, 4)), RATE, params, state)
    with pytest.raises(OptionError, match="channels, time"):
        compress(np.zeros(4), RATE, params)


def test_parameters_alone_do_not_load_the_compiler() -> None:
    code = "import sys, unsquash.dsp.profiles, unsquash.dsp.inverse; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("smoothing", ["linear", "log", "none"])
@pytest.mark.parametrize("detector", ["peak", "rms"])
def test_one_that_had_settled_goes_on_as_if_it_had_always_run(smoothing: str, detector: str) -> None:
    params = CompressorParams(
        threshold_db=-30.0,
        ratio=4.0,
        detector_attack_ms=20.0,
        detector_release_ms=200.0,
        attack_ms=30.0,
        release_ms=300.0,
        detector=detector,  # type: ignore[arg-type]
        smoothing=smoothing,  # type: ignore[arg-type]
        link="max",
    )
    steady = np.full((1, 4 * RATE), 10 ** (-14.0 / 20))
    rest = compress(steady, RATE, params)
    settled = compress(steady[:, :100], RATE, dataclasses.replace(params, initial_db=-14.0))
    np.testing.assert_allclose(settled.gain_db, -12.0, atol=1e-9)
    np.testing.assert_allclose(rest.gain_db[0, -1], -12.0, atol=1e-6)
    assert rest.gain_db[0, 0] > -1.0
    music = np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE))
    known = dataclasses.replace(params, initial_db=-14.0)
    undone = invert(compress(music, RATE, known).samples, RATE, known)
    np.testing.assert_allclose(undone.samples, music, atol=1e-9)
