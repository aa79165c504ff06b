"""The compressors of known programs against the programs themselves, where they are installed."""

from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, with_settings
from unsquash.errors import InversionError, OptionError

RATE = 44100


def sdr_db(reference: np.ndarray, other: np.ndarray) -> float:
    error = np.sum((reference - other) ** 2)
    return float(10 * np.log10(np.sum(reference**2) / max(error, 1e-300)))


def si_sdr_db(reference: np.ndarray, other: np.ndarray) -> float:
    return sdr_db(reference, other * np.sum(reference * other) / np.sum(other**2))


def settings(name: str, changes: Mapping[str, float | str]) -> CompressorParams:
    return with_settings(load_profile(name), {key: str(value) for key, value in changes.items()})


def ffmpeg(x: np.ndarray, graph: str) -> np.ndarray:
    """What ffmpeg's filters make of float32 samples."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    raw = ["-f", "f32le", "-ar", str(RATE), "-ac", str(x.shape[0])]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *raw, "-i", "-", "-af", graph, *raw, "-"],
        input=np.ascontiguousarray(x.T, dtype=np.float32).tobytes(),
        capture_output=True,
        check=False,
    )
    if b"Failed to load" in done.stderr or b"No such filter" in done.stderr:
        pytest.skip("the LADSPA plug-ins of swh are not installed, or ffmpeg cannot load any")
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, dtype=np.float32).reshape(-1, x.shape[0]).T.astype(np.float64)


def sixteen_bit(x: np.ndarray) -> np.ndarray:
    assert np.max(np.abs(x)) < 1
    return np.round(x * 32768) / 32768


@pytest.fixture(scope="module")
def recording(song: np.ndarray) -> np.ndarray:
    """Four seconds of single-precision samples that begin, as recordings do, with a moment of silence."""
    x = np.concatenate((np.zeros((2, 441)), song[:, : 4 * RATE] * np.array([[1.0], [0.6]])), axis=1)
    return x.astype(np.float32).astype(np.float64)


# --- SC4 ---------------------------------------------------------------------------------------------------

SC4_KNOBS = ("peak-share", "attack", "release", "threshold", "ratio", "knee", "makeup")
SC4_SETTINGS = [
    (0.0, 10.0, 150.0, -18.0, 4.0, 3.0, 0.0),
    (0.0, 101.125, 401.0, -24.0, 2.0, 3.25, 2.0),
    (0.0, 30.0, 800.0, -30.0, 20.0, 10.0, 3.0),
    (0.3, 10.0, 300.0, -20.0, 6.0, 5.0, 0.0),
    (1.0, 50.0, 300.0, -24.0, 8.0, 3.0, 0.0),
    (0.5, 1.6, 20.0, -24.0, 3.0, 1.0, 0.0),
]


def sc4(x: np.ndarray, values: tuple[float, ...]) -> np.ndarray:
    plugin = "f=sc4_1882:p=sc4" if x.shape[0] == 2 else "f=sc4m_1916:p=sc4m"
    controls = "|".join(f"c{index}={value}" for index, value in enumerate(values))
    return ffmpeg(x, f"ladspa={plugin}:c={controls}")


@pytest.mark.parametrize("values", SC4_SETTINGS)
def test_sc4(recording: np.ndarray, values: tuple[float, ...]) -> None:
    theirs = sc4(recording, values)
    params = settings("sc4", dict(zip(SC4_KNOBS, values, strict=True)))
    ours = compress(recording, RATE, params)
    assert np.min(ours.gain_db[0, 1000:] - params.makeup_db) < -3.0  # it does compress
    assert sdr_db(theirs, ours.samples) > 120
    assert si_sdr_db(recording, invert(theirs, RATE, params).samples) > 90
    assert si_sdr_db(recording, invert(sixteen_bit(theirs), RATE, params).samples) > 60


@pytest.mark.parametrize("values", SC4_SETTINGS)
@pytest.mark.parametrize("rate", [22050, 96000])
def test_sc4_round_trip(recording: np.ndarray, values: tuple[float, ...], rate: int) -> None:
    """Ours of ours: to the last bit but for the rounding of levels to single precision, which it copies."""
    params = settings("sc4", dict(zip(SC4_KNOBS, values, strict=True)))
    squashed = compress(recording, rate, params).samples
    assert sdr_db(recording, invert(squashed, rate, params).samples) > (300 if params.peak_share == 0 else 95)


def test_sc4_gains_of_a_block_are_known_before_its_samples(recording: np.ndarray) -> None:
    """Three gains of four never depend on their block; without the peak follower nor do the next four."""
    rng = np.random.default_rng(1)
    other = recording.copy()
    other[:, 40_000:] = rng.uniform(-1, 1, other[:, 40_000:].shape)
    for share, same in ((0.0, 7), (1.0, 3)):
        params = settings("sc4", {"threshold": -24, "ratio": 4, "attack": 10, "peak-share": share})
        one, two = (compress(x, RATE, params).gain[0, 40_000:] for x in (recording, other))
        assert np.array_equal(one[:same], two[:same])
        assert one[same] != two[same]


def test_sc4_opens_at_its_fourth_sample(song: np.ndarray) -> None:
    """The plug-in's gain starts from zero: three samples cannot come back, the others can."""
    params = settings("sc4", {"threshold": -18, "ratio": 4, "attack": 10, "release": 150})
    x = song[:, :RATE]
    assert np.all(x[:, :3] != 0)
    squashed = compress(x, RATE, params)
    assert np.all(squashed.samples[:, :3] == 0)
    assert squashed.gain[0, 3] > 0.7
    inverted = invert(squashed.samples, RATE, params)
    assert inverted.gain_db[:, :3] == pytest.approx(0, abs=1e-3)
    assert si_sdr_db(x[:, 3:], inverted.samples[:, 3:]) > 60


@pytest.mark.parametrize("values", SC4_SETTINGS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sc4_round_trip_of_one_channel(recording: np.ndarray, values: tuple[float, ...], sign: float) -> None:
    x, params = sign * recording[:1], settings("sc4", dict(zip(SC4_KNOBS, values, strict=True)))
    squashed = compress(x, RATE, params).samples
    assert sdr_db(x, invert(squashed, RATE, params).samples) > (300 if params.peak_share == 0 else 95)


def test_the_peak_follower_of_sc4_for_one_channel_sees_positive_peaks_only() -> None:
    params = settings("sc4", {"threshold": -24, "ratio": 4, "attack": 8, "peak-share": 1})
    negative = np.full((1, RATE), -0.5)
    assert compress(negative, RATE, params).gain_db[0, -1] == pytest.approx(0.0, abs=1e-3)
    assert compress(-negative, RATE, params).gain_db[0, -1] < -10.0
    assert compress(np.vstack([negative, negative]), RATE, params).gain_db[0, -1] < -10.0


@pytest.mark.parametrize("start", [40_000, 40_002])
def test_sc4_from_the_middle_of_a_recording(recording: np.ndarray, start: int) -> None:
    """With the state unknown the beginning is wrong, as with any compressor; then it is forgotten."""
    params = settings("sc4", {"threshold": -20, "ratio": 4, "attack": 10, "release": 100, "knee": 3})
    squashed = compress(recording, RATE, params).samples
    restored = invert(squashed[:, start:], RATE, params).samples
    assert restored[:, :3] == pytest.approx(squashed[:, start : start + 3], rel=1e-4)
    assert si_sdr_db(recording[:, start + RATE :], restored[:, RATE:]) > 60


def test_sc4_at_steady_state() -> None:
    """Its decibels are coarse: the curve is right to some hundredths."""
    for share in (0.0, 1.0):
        params = settings("sc4", {"threshold": -20, "ratio": 4, "knee": 4, "peak-share": share, "makeup": 3})
        for level_db in (-40.0, -23.0, -20.0, -17.0, -5.0):
            x = np.full((1, 3 * RATE), 10 ** (level_db / 20))
            over = level_db + 20
            inside = -0.75 * (over + 4) ** 2 / 16
            expected = inside if abs(over) <= 4 else -0.75 * max(over, 0.0)
            assert compress(x, RATE, params).gain_db[0, -1] == pytest.approx(expected + 3.0, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_sc4_blocks_equal_the_whole_bit_for_bit(recording: np.ndarray, share: float) -> None:
    params = settings("sc4", {"threshold": -24, "ratio": 5, "attack": 8, "peak-share": share})
    cuts = [1, 2, 441, 999, 65536, 65537, 100_003]
    squashed = compress(recording, RATE, params).samples
    for process, x in ((compress, recording), (invert, squashed)):
        whole = process(x, RATE, params)
        state, pieces = None, []
        for block in np.split(x, cuts, axis=1):
            piece = process(block, RATE, params, state)
            state = piece.state
            pieces.append(piece.samples)
        assert np.array_equal(np.concatenate(pieces, axis=1), whole.samples)


@pytest.mark.parametrize("values", SC4_SETTINGS)
def test_sc4_of_one_channel(recording: np.ndarray, values: tuple[float, ...]) -> None:
    params = settings("sc4", dict(zip(SC4_KNOBS, values, strict=True)))
    theirs = sc4(recording[:1], values)
    assert sdr_db(theirs, compress(recording[:1], RATE, params).samples) > 120
    assert si_sdr_db(recording[:1], invert(theirs, RATE, params).samples) > 90


def test_sc4_with_a_gain_after_it(recording: np.ndarray) -> None:
    params = settings("sc4", {"threshold": -24, "ratio": 4, "attack": 8})
    quieter = settings("sc4", {"threshold": -24, "ratio": 4, "attack": 8, "makeup": -5})
    lowered = compress(recording, RATE, params).samples * 10 ** (-5 / 20)
    assert si_sdr_db(recording, invert(lowered, RATE, quieter).samples) > 90


def test_sc4_refuses_the_state_of_another_program() -> None:
    state = compress(np.zeros((1, 4)), RATE, load_profile("five/A")).state
    for process in (compress, invert):
        with pytest.raises(OptionError, match="another program"):
            process(np.zeros((1, 4)), RATE, load_profile("sc4"), state)


def test_sc4_of_absurd_levels_says_so() -> None:
    params = settings("sc4", {"threshold": -24, "ratio": 4})
    with pytest.raises(InversionError, match="120 dB louder") as caught:
        invert(np.array([[0.1] * 10 + [1e7]]), 10, params)
    assert caught.value.time_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 3},
        {"ratio": 40},
        {"attack": 1},
        {"release": 900},
        {"knee": 0},
        {"detector": "peak"},
        {"link": "off"},
        {"mode": "expand"},
        {"smoothing": "log"},
        {"convention": "juce"},
        {"initial": 0},
        {"peak-share": 1.5},
        {"kind": "general"},
    ],
)
def test_sc4_has_no_other_settings(changes: dict[str, float | str]) -> None:
    with pytest.raises(OptionError) as caught:
        settings("sc4", changes)
    assert caught.value.hint


# --- sox compand -------------------------------------------------------------------------------------------

SOX_KNOBS = ("attack", "release", "threshold", "ratio", "knee", "makeup", "initial")
SOX_SETTINGS = [
    (10.0, 150.0, -20.0, 4.0, 6.0, 0.0, 0.0),
    (300.0, 800.0, -30.0, 3.0, 0.0, 0.0, -90.0),
    (5.0, 100.0, -24.0, 8.0, 3.0, 5.0, -20.0),
    (0.0, 50.0, -12.0, 2.0, 12.0, 0.0, 0.0),
    (20.0, 300.0, -6.0, 10.0, 20.0, -3.0, 0.0),
]


@pytest.mark.parametrize("values", SOX_SETTINGS)
def test_sox_compand(recording: np.ndarray, values: tuple[float, ...], tmp_path: Path) -> None:
    if shutil.which("sox") is None:
        pytest.skip("sox is not installed")
    attack, release, threshold, ratio, knee, gain, initial = values
    points = f"{knee}:{threshold},{threshold},0,{threshold - threshold / ratio}"
    effect = ["compand", f"{attack / 1000},{release / 1000}", points, str(gain), str(initial)]
    soundfile.write(tmp_path / "in.wav", recording.T, RATE, "FLOAT")
    kinds = {"float.wav": ["-e", "floating-point", "-b", "32"], "16.wav": ["-b", "16"]}
    for name, kind in kinds.items():
        command = ["sox", "-V1", tmp_path / "in.wav", *kind, tmp_path / name, *effect]
        subprocess.run(command, check=True)
    theirs, rounded = (soundfile.read(tmp_path / name)[0].T for name in kinds)
    params = settings("sox-compand", dict(zip(SOX_KNOBS, values, strict=True)))
    ours = compress(recording, RATE, params)
    assert np.min(ours.gain_db - params.makeup_db) < -3.0
    assert sdr_db(theirs, ours.samples) > 120
    assert si_sdr_db(recording, invert(theirs, RATE, params).samples) > 120
    assert si_sdr_db(recording, invert(rounded, RATE, params).samples) > 60  # with the dither of sox
    assert sdr_db(recording, invert(ours.samples, RATE, params).samples) > 250


def test_compand_blocks_equal_the_whole_bit_for_bit(recording: np.ndarray) -> None:
    params = load_profile("sox-compand")
    squashed = compress(recording, RATE, params).samples
    for process, x in ((compress, recording), (invert, squashed)):
        whole = process(x, RATE, params).samples
        state, pieces = None, []
        for block in np.split(x, [1, 7, 5000, 5001, 60_000], axis=1):
            piece = process(block, RATE, params, state)
            state = piece.state
            pieces.append(piece.samples)
        assert np.array_equal(np.concatenate(pieces, axis=1), whole)


def test_sox_knee_is_a_parabola_through_three_points() -> None:
    """A radius before the corner, the centre of gravity of the three, and a radius behind it: read off."""
    threshold, ratio, radius = -20.0, 4.0, 6.0
    params = settings("sox-compand", {"threshold": threshold, "ratio": ratio, "knee": radius})
    params = dataclasses.replace(params, detector_attack_ms=0, detector_release_ms=0)
    angle = math.atan(1 / ratio - 1)
    behind = (radius * math.cos(angle), radius * math.sin(angle))
    centre = ((behind[0] - radius) / 3, behind[1] / 3)
    for over, gain_db in ((-radius - 1, 0.0), (-radius, 0.0), centre, behind, (16.0, -12.0)):
        x = np.full((1, 4), 10 ** ((threshold + over) / 20))
        assert compress(x, RATE, params).gain_db[0, -1] == pytest.approx(gain_db, abs=1e-9)


def test_detector_starts_from_the_initial_level() -> None:
    params = settings("sox-compand", {"threshold": -20, "ratio": 2, "attack": 1e4, "release": 1e4})
    assert compress(np.zeros((1, 1)), RATE, params).gain_db[0, 0] == pytest.approx(-10.0, abs=0.01)
    quiet = settings("sox-compand", {"threshold": -20, "initial": -60, "attack": 1e4})
    assert compress(np.full((1, 1), 0.9), RATE, quiet).gain_db[0, 0] == 0.0


def test_sox_follows_at_once_where_a_time_is_a_sample_or_less() -> None:
    assert smoothing_coefficient(1000 / RATE, RATE, "sox") == 1.0
    longer = smoothing_coefficient(2000 / RATE, RATE, "sox")
    assert longer == smoothing_coefficient(2000 / RATE, RATE, "1/e") == pytest.approx(1 - math.exp(-0.5))


@pytest.mark.parametrize(
    "changes",
    [{"threshold": 0}, {"detector": "rms"}, {"mode": "expand"}, {"smoothing": "log"}, {"peak-share": 0.5}],
)
def test_compand_has_no_other_settings(changes: dict[str, float | str]) -> None:
    with pytest.raises(OptionError) as caught:
        settings("sox-compand", changes)
    assert caught.value.hint


# --- ffmpeg acompressor, from a file -----------------------------------------------------------------------


@pytest.mark.parametrize("gain_db", [-7.3, 0.0, 4.1])
def test_acompressor_from_sixteen_bits_at_a_level_of_its_own(recording: np.ndarray, gain_db: float) -> None:
    """A release is brought to some level after its compressor: that gain is the make-up of the settings."""
    graph = "acompressor=threshold=0.1:ratio=4:attack=10:release=150"
    theirs = sixteen_bit(ffmpeg(recording, f"{graph},volume={gain_db}dB"))
    changes = {"threshold": -20, "ratio": 4, "attack": 10, "release": 150, "makeup": gain_db}
    params = settings("ffmpeg-acompressor", changes)
    assert np.min(compress(recording, RATE, params).gain_db - gain_db) < -3.0
    assert si_sdr_db(recording, invert(theirs, RATE, params).samples) > 60
