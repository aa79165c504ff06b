from __future__ import annotations

import numpy as np
import pytest

from unsquash.dsp.limiter import Limiter, LimiterParams, limit
from unsquash.errors import OptionError

RATE = 44100
SETTINGS = [
    LimiterParams(ceiling_db=-6.0),
    LimiterParams(ceiling_db=-12.0, link=False, release_ms=5.0),
    LimiterParams(ceiling_db=-3.0, lookahead_ms=0.0),
    LimiterParams(ceiling_db=-3.0, lookahead_ms=1.3, hold_ms=10.0),
]


def loud(rng: np.random.Generator, length: int = 30_000) -> np.ndarray:
    swell = 1 + np.sin(np.arange(length) / 3000)
    return rng.standard_normal((2, length)) * 0.3 * swell * np.array([[1.0], [0.5]])


@pytest.mark.parametrize("params", SETTINGS)
def test_no_sample_passes_the_ceiling(params: LimiterParams) -> None:
    x = loud(np.random.default_rng(5))
    ceiling = 10 ** (params.ceiling_db / 20)
    limited = limit(x, RATE, params)
    assert limited.shape == x.shape
    assert np.max(np.abs(x)) > 1.5 * ceiling
    assert np.max(np.abs(limited)) <= ceiling
    assert np.max(np.abs(limited)) > 0.999 * ceiling


@pytest.mark.parametrize("params", SETTINGS)
def test_stream_equals_one_shot(params: LimiterParams) -> None:
    rng = np.random.default_rng(6)
    x = loud(rng)
    limiter, pieces = Limiter(params, RATE, 2), []
    for block in np.split(x, np.sort(rng.integers(0, x.shape[1], 20)), axis=1):
        pieces.append(limiter.push(block))
    pieces.append(limiter.finish())
    assert np.array_equal(np.concatenate(pieces, axis=1), limit(x, RATE, params))


def test_quiet_audio_passes_bit_for_bit_and_without_delay() -> None:
    x = loud(np.random.default_rng(7)) * 0.1
    assert np.array_equal(limit(x, RATE, LimiterParams()), x)


def test_gain_falls_before_the_peak_is_held_and_then_recovers() -> None:
    x = np.full((1, 4000), 0.1)
    x[0, 2000] = 1.0
    params = LimiterParams(ceiling_db=-6.0, lookahead_ms=5.0, hold_ms=10.0, release_ms=20.0)
    gain = limit(x, RATE, params) / x
    lookahead, hold = 220, 441
    assert np.all(gain[0, : 2000 - lookahead] == 1.0)
    assert 10 ** (-6 / 20) < gain[0, 1900] < 1.0
    assert gain[0, 2000 : 2000 + hold] == pytest.approx(10 ** (-6 / 20), rel=1e-9)
    assert np.all(np.diff(gain[0, 2000 + hold + lookahead :]) >= -1e-15)
    assert gain[0, -1] > 0.95


def test_link_shares_the_gain() -> None:
    x = loud(np.random.default_rng(8))
    linked = limit(x, RATE, LimiterParams(ceiling_db=-12.0)) / x
    apart = limit(x, RATE, LimiterParams(ceiling_db=-12.0, link=False)) / x
    # Rounding to the ceiling may move a sample by one unit in the last place.
    assert linked[0] == pytest.approx(linked[1], rel=1e-12)
    assert np.max(np.abs(apart[0] - apart[1])) > 0.1


@pytest.mark.parametrize("length", [0, 1, 100])
def test_shorter_than_the_look_ahead(length: int) -> None:
    x = np.ones((1, length))
    limited = limit(x, RATE, LimiterParams(ceiling_db=-6.0))
    assert limited == pytest.approx(np.full((1, length), 10 ** (-6 / 20)))


@pytest.mark.parametrize("change", [{"ceiling_db": np.nan}, {"lookahead_ms": -1.0}, {"release_ms": np.inf}])
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        LimiterParams(**change)  # type: ignore[arg-type]
