"""The mean of a compressor's inverse and of an estimate, however the recording is cut."""

from __future__ import annotations

import numpy as np
import pytest

from unsquash.dsp.compressor import compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, with_settings
from unsquash.engines.hybrid import HybridEngine
from unsquash.errors import InversionError
from unsquash.overlap import Grid, UnlinkedEngine, run
from unsquash.units import Float64Array

RATE = 44_100
PARAMS = with_settings(load_profile("five/D"), {"link": "max"})
SHARE, LEAST_DB = 0.75, 1.5


class Memoryless:
    """Stands for a network: its gain is the smoothed magnitude."""

    def __init__(self, core: int, context: int, crossfade: int) -> None:
        self.grid = Grid(core_samples=core, context_samples=context, crossfade_samples=crossfade)

    def start(self) -> None:
        return None

    def gain_db(self, samples: Float64Array, state: None) -> tuple[Float64Array, None]:
        assert state is None
        return estimate_db(samples), None


def estimate_db(samples: Float64Array) -> Float64Array:
    return 6.0 * np.abs(samples).max(axis=0, keepdims=True)


@pytest.fixture
def squashed(song: Float64Array) -> Float64Array:
    return compress(song[:, :200_000], RATE, PARAMS).samples


@pytest.mark.parametrize(
    ("core", "context", "crossfade"),
    [(30_000, 5_000, 1_000), (30_000, 0, 0), (4_000, 9_000, 500), (500_000, 5_000, 100)],
)
def test_it_is_the_mean_of_both_wherever_chunks_begin(squashed, core, context, crossfade):
    engine = HybridEngine(PARAMS, SHARE, LEAST_DB, Memoryless(core, context, crossfade), RATE, 2)
    blocks = np.split(squashed, [7, 60_000, 60_001, 150_000], axis=1)
    parts = list(run(engine, blocks))
    np.testing.assert_array_equal(np.concatenate([samples for samples, _ in parts], axis=1), squashed)
    gain_db = np.concatenate([gain for _, gain in parts], axis=1)
    exact_db = invert(squashed, RATE, PARAMS).gain_db - LEAST_DB
    expected = SHARE * exact_db + (1.0 - SHARE) * estimate_db(squashed)
    np.testing.assert_allclose(gain_db, expected, atol=1e-9)


@pytest.mark.parametrize("link", ["max", "off"])
def test_channels_that_the_network_hears_apart_have_their_own_gains(squashed, link):
    params = with_settings(PARAMS, {"link": link})
    engines = [
        HybridEngine(params, SHARE, LEAST_DB, UnlinkedEngine(Memoryless(core, 5_000, 1_000)), RATE, 2)
        for core in (30_000, 500_000)
    ]
    pieces, whole = (np.concatenate([gain for _, gain in run(one, [squashed])], axis=1) for one in engines)
    apart_db = np.concatenate([estimate_db(channel[None]) for channel in squashed])
    expected = SHARE * (invert(squashed, RATE, params).gain_db - LEAST_DB) + (1.0 - SHARE) * apart_db
    np.testing.assert_allclose(whole, expected, atol=1e-9)
    np.testing.assert_allclose(pieces, whole, atol=1e-9)


def test_time_of_an_error_is_the_time_in_the_recording(squashed):
    squashed[1, 150_000] = np.nan
    engine = HybridEngine(PARAMS, SHARE, LEAST_DB, Memoryless(30_000, 5_000, 1_000), RATE, 2)
    with pytest.raises(InversionError) as caught:
        list(run(engine, [squashed]))
    assert caught.value.time_s == pytest.approx(150_000 / RATE)
