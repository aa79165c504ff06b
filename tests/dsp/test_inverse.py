from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

from unsquash.dsp import fast_kernel
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, profile_names, with_settings
from unsquash.errors import InversionError

RATE = 44100
LENGTH = 8820
PUBLISHED = [name for name in profile_names() if "/" in name]


def sdr_db(reference: np.ndarray, other: np.ndarray) -> float:
    error = np.sum((reference - other) ** 2)
    return float(10 * np.log10(np.sum(reference**2) / max(error, 1e-300)))


def music(rng: np.random.Generator) -> np.ndarray:
    t = np.arange(LENGTH) / RATE
    x = np.zeros(LENGTH)
    for frequency in rng.uniform(60, 4000, 6):
        decay = np.exp(-4 * ((t * rng.uniform(2, 20)) % 1))
        x += rng.uniform(0.1, 0.5) * decay * np.sin(2 * np.pi * frequency * t)
    return x / np.max(np.abs(x))


def noise(rng: np.random.Generator) -> np.ndarray:
    return 0.2 * rng.standard_normal(LENGTH)


def silence(rng: np.random.Generator) -> np.ndarray:
    x = noise(rng)
    x[: LENGTH // 10] = x[LENGTH // 3 : LENGTH // 2] = 0.0
    return x


def clicks(rng: np.random.Generator) -> np.ndarray:
    x = np.zeros(LENGTH)
    x[rng.integers(0, LENGTH, 12)] = rng.uniform(-1, 1, 12)
    return x


def constant(rng: np.random.Generator) -> np.ndarray:
    return np.full(LENGTH, rng.uniform(0.05, 1.0))


def square(rng: np.random.Generator) -> np.ndarray:
    return np.where((np.arange(LENGTH) // rng.integers(20, 300)) % 2, 1.0, -1.0)


SIGNALS = [music, noise, silence, clicks, constant, square]


def draw(rng: np.random.Generator, mode: str) -> CompressorParams:
    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return CompressorParams(
        threshold_db=rng.uniform(-60, 0),
        ratio=log_uniform(1, 100 if mode == "compress" else 10),
        detector_attack_ms=log_uniform(0.1, 500),
        detector_release_ms=log_uniform(1, 3000),
        attack_ms=log_uniform(0.1, 500),
        release_ms=log_uniform(1, 3000),
        detector=str(rng.choice(["peak", "rms"])),  # type: ignore[arg-type]
        mode=mode,  # type: ignore[arg-type]
    )


def round_trip_db(x: np.ndarray, params: CompressorParams) -> float:
    squashed = compress(x, RATE, params)
    inverted = invert(squashed.samples, RATE, params)
    assert params.mode == "expand" or np.max(np.abs(inverted.gain_db + squashed.gain_db)) < 1e-6
    return sdr_db(x, inverted.samples)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_profiles(name: str, song: np.ndarray) -> None:
    params = load_profile(name)
    assert compress(song, RATE, params).gain_db.min() < -1.0
    assert round_trip_db(song, params) > 250


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["compress", "expand"])
def test_random_settings(mode: str) -> None:
    """250 draws per mode, each with every kind of signal.

    A compressor's inverse is always stable. An expander's can amplify rounding; where it says that its state
    is lost, it must be so rare and so extreme that the forward model forgets its input too.
    """
    rng = np.random.default_rng(2026)
    lost = 0
    for _ in range(250):
        params = draw(rng, mode)
        for signal in SIGNALS:
            x = signal(rng)[None]
            try:
                accuracy = round_trip_db(x, params)
            except InversionError as error:
                reason = str(error)
                accuracy = math.nan
            if math.isnan(accuracy):
                assert "lost its state" in reason, (signal.__name__, params)
                assert params.mode == "expand"
                assert params.ratio > 2
                lost += 1
            else:
                assert accuracy > 250, (signal.__name__, accuracy, params)
    assert lost <= 3


@pytest.mark.parametrize(("mode", "steepest", "flattest"), [("compress", 1.0, 1 / 7), ("expand", 7.0, 1.0)])
@pytest.mark.parametrize("smoothing", ["linear", "none"])
@pytest.mark.parametrize("knee_db", [0.0, 10.0])
def test_louder_in_is_louder_out(
    mode: str, steepest: float, flattest: float, smoothing: str, knee_db: float
) -> None:
    """From any state ln|y| rises with ln|x| at a slope within these bounds: so the inverse is unique."""
    rng = np.random.default_rng(16)
    x = np.exp(np.linspace(np.log(1e-6), np.log(10.0), 4000))
    for _ in range(20):
        params = dataclasses.replace(
            draw(rng, mode), ratio=7.0, knee_db=knee_db, smoothing=smoothing, link="off"
        )  # type: ignore[arg-type]
        before = compress(
            noise(rng)[None, : rng.integers(1, 2000)] * rng.uniform(0.01, 3), RATE, params
        ).state
        state = dataclasses.replace(
            before,
            detector=np.repeat(before.detector, x.size),
            gain=np.repeat(before.gain, x.size),
            guess=np.repeat(before.guess, x.size, axis=0),
        )
        y = compress(x[:, None], RATE, params, state).samples[:, 0]
        slope = np.diff(np.log(y)) / np.diff(np.log(x))
        assert flattest - 1e-9 < np.min(slope)
        assert np.max(slope) < steepest + 1e-9


@pytest.mark.parametrize("link", ["off", "max", "mean", "rms"])
@pytest.mark.parametrize("detector", ["peak", "rms"])
@pytest.mark.parametrize(
    ("smoothing", "knee_db"), [("linear", 5.0), ("log", 0.0), ("log", 9.0), ("none", 0.0), ("none", 6.0)]
)
def test_every_kind_of_compressor(
    song: np.ndarray, link: str, detector: str, smoothing: str, knee_db: float
) -> None:
    params = CompressorParams(
        threshold_db=-30,
        ratio=6,
        detector_attack_ms=1.5,
        detector_release_ms=20,
        attack_ms=4,
        release_ms=90,
        makeup_db=7,
        link=link,  # type: ignore[arg-type]
        detector=detector,  # type: ignore[arg-type]
        smoothing=smoothing,  # type: ignore[arg-type]
        knee_db=knee_db,
    )
    assert round_trip_db(song[:, :RATE], params) > 250


@pytest.mark.parametrize("knee_db", [0.0, 8.0])
@pytest.mark.parametrize("link", ["max", "rms"])
def test_linked_expander(song: np.ndarray, link: str, knee_db: float) -> None:
    params = CompressorParams(
        threshold_db=-20,
        ratio=2.5,
        detector_attack_ms=2,
        detector_release_ms=60,
        attack_ms=20,
        release_ms=5,
        link=link,  # type: ignore[arg-type]
        mode="expand",
        knee_db=knee_db,
    )
    assert round_trip_db(song[:, :RATE], params) > 250


@pytest.mark.parametrize("name", ["ffmpeg-acompressor", "juce-compressor"])
def test_real_programs(song: np.ndarray, name: str) -> None:
    params = with_settings(load_profile(name), {"threshold": "-30", "ratio": "10", "attack": "0.5"})
    assert round_trip_db(song, params) > 250


def test_smoothing_in_decibels_has_the_closed_form() -> None:
    """s = (a·S·(y − L) + (1 − a)·s₋₁) / (1 − a·S) above the threshold, for an instant peak detector."""
    rng = np.random.default_rng(9)
    params = CompressorParams(
        threshold_db=-30, ratio=4, attack_ms=3, release_ms=60, detector="peak", smoothing="log"
    )
    y = compress(0.3 * rng.standard_normal((1, 3000)), RATE, params).samples[0]
    attack, release = (1 - math.exp(-2.2 / (ms * RATE / 1000)) for ms in (3, 60))
    slope, reduction, expected = 1 - 1 / 4, 0.0, np.empty_like(y)
    for n, level_db in enumerate(20 * np.log10(np.abs(y))):
        candidates = []
        for a in (attack, release):
            s = (a * slope * (level_db + 30) + (1 - a) * reduction) / (1 - a * slope)
            if level_db + s <= -30:
                s = (1 - a) * reduction
            target = max(slope * (level_db + s + 30), 0.0)
            candidates.append((s, a == (attack if target > reduction else release)))
        consistent = [s for s, agrees in candidates if agrees]
        assert len(consistent) == 1
        reduction = expected[n] = consistent[0]
    assert np.max(expected) > 3
    assert invert(y[None], RATE, params).gain_db[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    "params",
    [
        load_profile("five/A"),
        load_profile("thirty/23"),
        load_profile("ffmpeg-acompressor"),
        with_settings(load_profile("five/C"), {"link": "rms", "detector-attack": "0.05", "attack": "0.05"}),
        CompressorParams(threshold_db=-20, ratio=2, detector_attack_ms=1, attack_ms=9, mode="expand"),
    ],
)
def test_blocks_equal_the_whole_bit_for_bit(song: np.ndarray, params: CompressorParams) -> None:
    squashed = compress(song, RATE, params).samples
    whole = invert(squashed, RATE, params)
    state, samples, gain = None, [], []
    for block in np.split(squashed, [1, 2, 999, 65536, 65537, 200_000], axis=1):
        piece = invert(block, RATE, params, state)
        state = piece.state
        samples.append(piece.samples)
        gain.append(piece.gain_db)
    assert np.array_equal(np.concatenate(samples, axis=1), whole.samples)
    assert np.array_equal(np.concatenate(gain, axis=1), whole.gain_db)


def test_continues_from_the_compressors_own_state(song: np.ndarray) -> None:
    params = load_profile("five/D")
    first = compress(song[:, :50_000], RATE, params)
    second = compress(song[:, 50_000:], RATE, params, first.state)
    assert sdr_db(song[:, 50_000:], invert(second.samples, RATE, params, first.state).samples) > 250


def test_fast_and_general_kernel_agree(song: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_profile("five/E")
    squashed = compress(song, RATE, params).samples
    fast = invert(squashed, RATE, params).samples
    calls = []

    def give_up(*arguments: object) -> tuple[int, float, float, float, float]:
        calls.append(1)
        return 0, *arguments[2]  # type: ignore[misc]

    monkeypatch.setattr(fast_kernel, "invert_hard_knee", give_up)
    general = invert(squashed[:, :2000], RATE, params).samples
    assert len(calls) == 2 * 2000
    assert sdr_db(fast[:, :2000], general) > 280


def test_table_power_is_exact_to_rounding() -> None:
    """Read through the kernel: no smoothing at all makes its gain the static curve itself."""
    params = CompressorParams(threshold_db=-100, ratio=3, detector="peak", smoothing="none")
    x = np.exp(np.random.default_rng(10).uniform(np.log(1e-4), 0, (1, 5000)))
    y = compress(x, RATE, params).samples
    assert invert(y, RATE, params).samples == pytest.approx(x, rel=3e-15)


def test_denormal_and_tiny_samples_neither_break_nor_slow() -> None:
    rng = np.random.default_rng(11)
    x = np.concatenate(
        (noise(rng), np.full(200_000, 1e-300), rng.standard_normal(200_000) * 5e-324, noise(rng))
    )
    for params in (load_profile("five/B"), load_profile("ffmpeg-acompressor")):
        squashed = compress(x[None], RATE, params).samples
        invert(squashed, RATE, params)
        started = time.process_time()
        restored = invert(squashed, RATE, params).samples
        assert time.process_time() - started < 1.0
        assert sdr_db(x, restored[0]) > 250


def test_expander_reopens_after_long_silence() -> None:
    rng = np.random.default_rng(12)
    x = np.concatenate((noise(rng), np.zeros(50_000), noise(rng)))[None]
    params = CompressorParams(
        threshold_db=-10,
        ratio=4,
        detector_attack_ms=2,
        detector_release_ms=4,
        attack_ms=1,
        release_ms=50,
        mode="expand",
    )
    squashed = compress(x, RATE, params)
    assert squashed.gain.min() == 0.0
    inverted = invert(squashed.samples, RATE, params)
    assert sdr_db(x, inverted.samples) > 250
    assert np.all(np.isfinite(inverted.gain_db))


def unstable_expander() -> tuple[np.ndarray, CompressorParams]:
    """Loud detector with a late gain: every onset multiplies the relative error by up to R − 1."""
    rng = np.random.default_rng(13)
    onsets = np.zeros(RATE)
    onsets[::400] = rng.uniform(0.05, 0.2, onsets[::400].size)
    params = CompressorParams(
        threshold_db=0,
        ratio=10,
        detector_attack_ms=0.01,
        detector_release_ms=50,
        attack_ms=5,
        release_ms=5,
        detector="peak",
        mode="expand",
    )
    return (onsets + 1e-4 * rng.standard_normal(RATE))[None], params


def test_lost_state_is_reported_with_its_time() -> None:
    x, params = unstable_expander()
    squashed = compress(x, RATE, params).samples
    with pytest.raises(InversionError, match="lost its state") as caught:
        invert(squashed, RATE, params, start_s=100.0)
    lost_at = round((caught.value.time_s - 100.0) * RATE)
    assert 1000 < lost_at < RATE
    assert caught.value.hint
    # Up to shortly before, the result is right; this is the growth of rounding errors, not a wrong equation.
    before = invert(squashed[:, : lost_at - 1200], RATE, params).samples
    assert sdr_db(x[:, : lost_at - 1200], before) > 60


@pytest.mark.parametrize("size", [50, 4096])
def test_lost_state_is_reported_at_the_same_time_however_the_stream_is_cut(size: int) -> None:
    x, params = unstable_expander()
    squashed = compress(x, RATE, params).samples
    with pytest.raises(InversionError) as whole:
        invert(squashed, RATE, params)

    def in_blocks_of(size: int) -> None:
        state = None
        for start in range(0, RATE, size):
            block = squashed[:, start : start + size]
            state = invert(block, RATE, params, state, start_s=start / RATE).state

    with pytest.raises(InversionError) as in_blocks:
        in_blocks_of(size)
    assert in_blocks.value.time_s == pytest.approx(whole.value.time_s)


def test_the_reported_loss_is_real() -> None:
    """Towards the reported time the error does grow, exponentially, from rounding to far above it."""
    x, params = unstable_expander()
    squashed = compress(x, RATE, params).samples
    with pytest.raises(InversionError) as caught:
        invert(squashed, RATE, params)
    end = round(caught.value.time_s * RATE)
    restored = invert(squashed[:, :end], RATE, params).samples
    third = end // 3
    accuracy = [sdr_db(x[:, i : i + third], restored[:, i : i + third]) for i in range(0, end - third, third)]
    assert accuracy[0] > 280 > 250 > accuracy[-1] > 60


@pytest.mark.parametrize(("bad", "column"), [(np.nan, 70), (np.inf, 3)])
def test_damaged_samples_are_refused_with_their_time(bad: float, column: int) -> None:
    y = np.ones((2, 100)) * 0.1
    y[1, column] = bad
    with pytest.raises(InversionError) as caught:
        invert(y, 1000, load_profile("five/A"), start_s=2.0)
    assert caught.value.time_s == pytest.approx(2.0 + column / 1000)


def test_impossibly_loud_for_its_settings() -> None:
    """A limiter-like ratio allows 0.6 dB above the threshold; 40 dB above it never came from there."""
    params = CompressorParams(
        threshold_db=-60, ratio=100, detector_attack_ms=1, attack_ms=1, release_ms=50, detector_release_ms=5
    )
    with pytest.raises(InversionError, match="120 dB louder"):
        invert(np.random.default_rng(14).standard_normal((1, RATE)) * 0.1, RATE, params)


@pytest.mark.parametrize("makeup_db", [-60.0, 40.0])
def test_how_loud_an_original_may_be_has_nothing_to_do_with_makeup(makeup_db: float) -> None:
    params = CompressorParams(
        threshold_db=-20, ratio=2, knee_db=6, detector_attack_ms=1, smoothing="none", makeup_db=makeup_db
    )
    loud = np.random.default_rng(0).uniform(-32768.0, 32768.0, (1, 1000))
    squashed = compress(loud, RATE, params).samples
    assert sdr_db(loud, invert(squashed, RATE, params).samples) > 250
    with pytest.raises(InversionError, match="120 dB louder"):
        invert(compress(1e4 * loud, RATE, params).samples, RATE, params)


def test_wrong_settings_stay_finite_or_say_so(song: np.ndarray) -> None:
    rng = np.random.default_rng(15)
    x = song[:1, : RATE // 4]
    finite = refused = 0
    for attempt in range(120):
        mode = ("compress", "expand")[attempt % 2]
        squashed = compress(x, RATE, draw(rng, "compress")).samples
        started = time.process_time()
        time_s = None
        try:
            inverted = invert(squashed, RATE, draw(rng, mode))
        except InversionError as error:
            time_s = error.time_s
        if time_s is None:
            assert np.all(np.isfinite(inverted.samples))
            assert np.all(np.isfinite(inverted.gain_db))
            finite += 1
        else:
            assert 0 <= time_s <= 0.25
            refused += 1
        assert time.process_time() - started < 2.0
    assert finite > 20
    assert refused > 5


@pytest.mark.parametrize("shape", [(1, 0), (2, 1), (8, 3)])
def test_any_shape(shape: tuple[int, int]) -> None:
    x = np.full(shape, 0.5)
    params = dataclasses.replace(load_profile("five/A"), link="max")
    assert invert(compress(x, RATE, params).samples, RATE, params).samples == pytest.approx(x, rel=1e-14)


def first_order_error(x: np.ndarray, params: CompressorParams, rounding: np.ndarray) -> np.ndarray:
    """Return what the inverse makes of a small error of each squashed sample, by the linearised equations.

    The error itself is amplified by 1/g. It also moves the detector, hence the gain, of this and every later
    sample: δ ln u and δ ln g follow the derivatives of the published equations.
    """
    beta_a, beta_r, gamma_a, gamma_r = (
        1 - math.exp(-2.2 / (ms * RATE / 1000))
        for ms in (params.detector_attack_ms, params.detector_release_ms, params.attack_ms, params.release_ms)
    )
    threshold, slope = 10 ** (params.threshold_db / 20), 1 - 1 / params.ratio
    u, g, du, dg = 0.0, 1.0, 0.0, 0.0
    error = np.empty_like(x)
    for n, sample in enumerate(x):
        beta = beta_a if sample**2 > u else beta_r
        u_next = beta * sample**2 + (1 - beta) * u
        above = u_next > threshold**2
        f = (math.sqrt(u_next) / threshold) ** -slope if above else 1.0
        gamma = gamma_a if f < g else gamma_r
        g_next = gamma * f + (1 - gamma) * g
        bend = -gamma * f / g_next * slope / 2 if above else 0.0
        weight = beta * sample**2 / u_next
        direct = 2 * beta * sample * rounding[n] / (g_next * u_next)  # weight · 2 · δy/y, finite at y = 0
        kept = (1 - weight) * du
        dg = (bend * (direct + kept) + (1 - gamma) * g / g_next * dg) / (1 + 2 * bend * weight)
        du = direct - 2 * weight * dg + kept
        error[n] = rounding[n] / g_next - sample * dg
        u, g = u_next, g_next
    return error


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("name", ["five/B", "five/E", "thirty/2"])
def test_stored_as_integers_the_error_is_the_amplified_rounding(
    song: np.ndarray, bits: int, name: str
) -> None:
    params = load_profile(name)
    x = song[0, : RATE // 2]
    squashed = compress(x[None], RATE, params).samples
    stored = np.round(squashed * 2 ** (bits - 1)) / 2 ** (bits - 1)
    error = (invert(stored, RATE, params).samples - x)[0]
    predicted = first_order_error(x, params, (stored - squashed)[0])
    assert sdr_db(x, x + error) < 16.1 * bits / 2.2  # there is an error to explain
    unexplained = np.sum((error - predicted) ** 2) / np.sum(error**2)
    assert unexplained < 1e-3


@pytest.mark.parametrize("ratio", [200.0, 1000.0])
def test_what_a_very_high_ratio_never_lets_through_is_refused_for_what_it_is(ratio: float) -> None:
    params = CompressorParams(
        threshold_db=-40.0,
        ratio=ratio,
        detector_attack_ms=50.0,
        detector_release_ms=50.0,
        smoothing="none",
        initial_db=-10.0,
    )
    with pytest.raises(InversionError, match="more than 120 dB louder"):
        invert(np.array([[0.5]]), RATE, params)


def test_silence_that_an_expander_left_needs_no_gain() -> None:
    params = CompressorParams(
        threshold_db=-30.0,
        ratio=2.0,
        detector_attack_ms=1.0,
        detector_release_ms=20.0,
        smoothing="none",
        mode="expand",
    )
    x = np.zeros((1, RATE // 2))
    x[0, : RATE // 10] = 0.5 * np.sin(np.arange(RATE // 10) / 10)
    undone = invert(compress(x, RATE, params).samples, RATE, params)
    np.testing.assert_allclose(undone.samples, x, atol=1e-12)
    assert float(undone.gain_db[:, RATE // 10 :].max()) == 0.0
