from __future__ import annotations

import numpy as np
import pytest

from unsquash.dsp.compressor import compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, with_settings
from unsquash.engines.model_based import ModelBasedEngine
from unsquash.errors import InversionError
from unsquash.overlap import GainStage

RATE = 44100


@pytest.mark.parametrize("link", ["off", "max"])
def test_restores_a_stream_however_it_is_cut(song: np.ndarray, link: str) -> None:
    params = with_settings(load_profile("five/D"), {"link": link})
    squashed = compress(song, RATE, params).samples
    engine = ModelBasedEngine(params, RATE, 2)
    blocks = np.split(squashed, [5, 70_000, 70_001, 199_999], axis=1)
    restored = np.concatenate(list(GainStage(engine).process(blocks)), axis=1)
    error = np.sum((restored - song) ** 2)
    assert 10 * np.log10(np.sum(song**2) / error) > 250
    assert np.max(np.abs(restored - invert(squashed, RATE, params).samples)) < 1e-14


def test_gain_has_one_row_when_linked(song: np.ndarray) -> None:
    params = with_settings(load_profile("five/D"), {"link": "max"})
    engine = ModelBasedEngine(params, RATE, 2)
    gain_db, _ = engine.gain_db(compress(song, RATE, params).samples[:, :1000], engine.start())
    assert gain_db.shape == (1, 1000)
    assert np.max(gain_db) > 0.1


def test_time_of_an_error_is_the_time_in_the_recording(song: np.ndarray) -> None:
    engine = ModelBasedEngine(load_profile("five/A"), RATE, 2)
    damaged = song.copy()
    damaged[1, 150_000] = np.nan
    with pytest.raises(InversionError) as caught:
        list(GainStage(engine).process([damaged]))
    assert caught.value.time_s == pytest.approx(150_000 / RATE)
