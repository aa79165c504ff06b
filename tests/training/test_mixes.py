"""How originals are varied."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from unsquash.errors import AudioReadError
from unsquash.training import mixes
from unsquash.training.corpus import Track


def test_bands_that_do_not_move_sum_to_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixes, "_wandering", lambda length, rng: np.ones(length))
    original = np.random.default_rng(1).normal(size=(2, 44_100))
    for seed in range(5):
        moved = mixes._moved(original, np.random.default_rng(seed))
        np.testing.assert_allclose(moved, original, atol=1e-12)


def test_bands_move_each_in_its_own_way() -> None:
    original = np.random.default_rng(1).normal(size=(2, 10 * 44_100))
    moved = mixes._moved(original, np.random.default_rng(4))
    assert moved.shape == original.shape

    def levels_db(signal: np.ndarray, corner: float, kind: str) -> np.ndarray:
        band = scipy.signal.sosfilt(scipy.signal.butter(4, corner, kind, fs=44_100.0, output="sos"), signal)
        return np.asarray(10.0 * np.log10(np.square(band[0]).reshape(50, -1).mean(axis=1)))

    low, high = (
        levels_db(moved, corner, kind) - levels_db(original, corner, kind)
        for corner, kind in ((80.0, "low"), (12_000.0, "high"))
    )
    assert low.std() > 0.3
    assert high.std() > 0.3
    assert (low - high).std() > 0.3


def a_track(kind: str) -> Track:
    noise = np.random.default_rng(0).integers(-9000, 9000, (44_100, 2)).astype(np.int16)
    return Track(
        file=f"{kind}.wav", kind=kind, artist="a", licence="", plr_db=15.0, part="train", samples=noise
    )


def test_scores_alone_are_enough() -> None:
    mixer = mixes.Mixer([a_track("score")])
    for seed in range(6):
        assert mixer.draw(8000, np.random.default_rng(seed)).shape == (2, 8000)


@pytest.mark.parametrize("kinds", [[], ["speech", "stem", "loop"]])
def test_without_finished_pieces_nothing_can_be_drawn(kinds: list[str]) -> None:
    with pytest.raises(AudioReadError, match="no finished pieces"):
        mixes.Mixer([a_track(kind) for kind in kinds])


def test_originals_are_rounded_hiss_or_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros((2, 44_100))
    silence[:, 0] = 1.0
    monkeypatch.setattr(mixes, "HISSING_SHARE", 0.45)
    for seed in range(20):
        hissing = mixes._with_noise(silence, np.random.default_rng(seed))[:, 1:]
        assert (hissing == 0).all() or hissing.std() < 10 ** (-55.0 / 20.0) * 1.01
    monkeypatch.setattr(mixes, "ROUNDED_SHARE", 1.0)
    original = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 44_100))
    for seed in range(20):
        noise = mixes._with_noise(original, np.random.default_rng(seed)) - original
        assert -102.0 < 20.0 * np.log10(noise.std()) < -83.0
    monkeypatch.setattr(mixes, "ROUNDED_SHARE", 0.0)
    monkeypatch.setattr(mixes, "HISSING_SHARE", 1.0)
    kinds = set()
    for seed in range(20):
        noise = mixes._with_noise(original, np.random.default_rng(seed)) - original
        assert -95.1 < 20.0 * np.log10(noise.std()) < -54.9
        kinds.add(bool(np.allclose(noise[0], noise[1])))
    assert kinds == {True, False}
    monkeypatch.setattr(mixes, "HISSING_SHARE", 0.0)
    np.testing.assert_array_equal(mixes._with_noise(original, np.random.default_rng(0)), original)
