"""Flat tops come back nearer to what was cut off, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest

from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.declip import TOLERANCE, DeclipScale, declip
from unsquash.engines.declip import DeclipEngine
from unsquash.errors import OptionError
from unsquash.metrics import si_sdr_db
from unsquash.overlap import run
from unsquash.units import Float64Array, apply_gain_db

RATE = 44_100
SCALE = DeclipScale.at(RATE)


def music(seconds: float = 3.0, seed: int = 0, rate: int = RATE) -> Float64Array:
    """Chords of a few decaying partials with a little noise: predictable, like music, but not exactly."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * rate)) / rate
    out = np.zeros((2, time_s.size))
    for start_s in np.arange(0.0, seconds, 0.25):
        age_s = np.maximum(0.0, time_s - start_s)
        alive = (time_s >= start_s) * np.exp(-4.0 * age_s)
        for frequency in rng.uniform(80.0, 2_500.0, 6):
            phase = rng.uniform(0.0, 2.0 * np.pi, (2, 1))
            out += rng.uniform(0.1, 1.0) * alive * np.sin(2.0 * np.pi * frequency * age_s + phase)
    out += 0.003 * rng.standard_normal(out.shape)
    return out / np.abs(out).max()


def clipped(original: Float64Array, level: float) -> tuple[Float64Array, list[Ceiling]]:
    return np.clip(original, -level, level), [Ceiling(positive=level, negative=level)] * len(original)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_tops_come_back(level, seed):
    original = music(seed=seed)
    squashed, ceilings = clipped(original, level)
    restored = declip(squashed, ceilings, SCALE)
    assert si_sdr_db(original.T, restored.T) > si_sdr_db(original.T, squashed.T) + 6.0


def test_only_flat_tops_move_and_only_outwards():
    squashed, ceilings = clipped(music(), 0.5)
    restored = declip(squashed, ceilings, SCALE)
    flat = np.abs(squashed) >= 0.5 - TOLERANCE
    np.testing.assert_array_equal(restored[~flat], squashed[~flat])
    assert (restored[flat] * np.sign(squashed[flat]) >= np.abs(squashed[flat])).all()
    assert np.abs(restored).max() > 0.6


@pytest.mark.parametrize("gain", [0.01, 0.5, -1.0])
def test_scale_and_polarity_do_not_matter(gain):
    squashed, ceilings = clipped(music(), 0.5)
    scaled = [Ceiling(positive=0.5 * abs(gain), negative=0.5 * abs(gain))] * 2
    np.testing.assert_allclose(
        declip(gain * squashed, scaled, SCALE),
        gain * declip(squashed, ceilings, SCALE),
        atol=0.02 * abs(gain),
    )


def test_channels_are_independent():
    squashed, ceilings = clipped(music(), 0.5)
    both = declip(squashed, ceilings, SCALE)
    np.testing.assert_array_equal(declip(squashed[::-1], ceilings, SCALE), both[::-1])
    only_left = declip(squashed, [ceilings[0], Ceiling(positive=None, negative=None)], SCALE)
    np.testing.assert_array_equal(only_left, [both[0], squashed[1]])


def test_one_sided_clipping():
    original = music()
    squashed = np.minimum(original, 0.5)
    restored = declip(squashed, [Ceiling(positive=0.5, negative=None)] * 2, SCALE)
    np.testing.assert_array_equal(restored[squashed < 0.49], squashed[squashed < 0.49])
    assert si_sdr_db(original.T, restored.T) > si_sdr_db(original.T, squashed.T) + 6.0


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000, 192_000])
def test_other_rates(rate):
    original = music(1.5, rate=rate)
    squashed, ceilings = clipped(original, 0.6)
    restored = declip(squashed, ceilings, DeclipScale.at(rate))
    assert si_sdr_db(original.T, restored.T) > si_sdr_db(original.T, squashed.T) + 5.0


def test_sixteen_bits_with_dither():
    original = music()
    squashed, ceilings = clipped(original, 0.5)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, *squashed.shape)).sum(axis=0)
    rounded = np.round(squashed * 32767 + noise) / 32767
    assert si_sdr_db(original.T, declip(rounded, ceilings, SCALE).T) > si_sdr_db(original.T, squashed.T) + 6.0


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((1, 5_000)),
        np.full((1, 5_000), 0.5),
        np.sign(np.sin(np.arange(5_000) / 50.0))[None] * 0.5,
        np.full((1, 3), 0.5),
        np.zeros((1, 0)),
    ],
)
def test_odd_signals_stay_finite_and_bounded(samples):
    restored = declip(samples, [Ceiling(positive=0.5, negative=0.5)], SCALE)
    assert np.isfinite(restored).all()
    assert (np.abs(restored) >= np.abs(samples)).all()
    assert restored.shape == samples.shape


def test_the_engine_in_chunks_agrees_with_the_whole():
    squashed, ceilings = clipped(np.tile(music(4.0), 7), 0.5)
    engine = DeclipEngine(ceilings, RATE)
    assert squashed.shape[1] > 2 * engine.grid.core_samples
    pieces = [
        apply_gain_db(samples, gain) for samples, gain in run(engine, np.array_split(squashed, 7, axis=1))
    ]
    chunked = np.concatenate(pieces, axis=1)
    whole = declip(squashed, ceilings, SCALE)
    assert chunked.shape == whole.shape
    assert si_sdr_db(whole.T, chunked.T) > 60.0


def test_a_ceiling_for_every_channel_and_above_zero():
    with pytest.raises(OptionError):
        declip(np.zeros((2, 10)), [Ceiling(positive=0.5, negative=0.5)], SCALE)
    with pytest.raises(OptionError):
        Ceiling(positive=0.0, negative=None)
