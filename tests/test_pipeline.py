"""The library's `restore`: the same physics as on files, on arrays."""

from __future__ import annotations

import numpy as np
import pytest

import unsquash
from unsquash.errors import AudioReadError, OptionError, UnsupportedAudioError
from unsquash.metrics import si_sdr_db
from unsquash.options import Position

KNOWN = unsquash.RestoreOptions(profile="five/C")
SQUASH = unsquash.SquashOptions(profile="five/C")


@pytest.fixture(scope="module")
def squashed(song):
    return unsquash.squash(song, 44100, SQUASH)


def test_a_known_compressor_is_undone_exactly(song, squashed):
    restored = unsquash.restore(squashed, 44100, KNOWN)
    assert restored.samples.shape == song.shape
    assert restored.plan.method == "model"
    error = restored.samples - song
    assert 10 * np.log10((song**2).sum() / (error**2).sum()) > 250


def test_the_gain_curve_is_the_whole_difference(squashed):
    restored = unsquash.restore(squashed, 44100, KNOWN)
    assert restored.gain_db.shape == squashed.shape
    assert np.allclose(squashed * 10 ** (restored.gain_db / 20), restored.samples, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_one_dimension_are_kept(squashed, dtype):
    mono = squashed[0].astype(dtype)
    restored = unsquash.restore(mono, 44100, KNOWN)
    assert restored.samples.dtype == dtype
    assert restored.samples.shape == mono.shape
    assert restored.gain_db.shape == (1, len(mono))


def test_a_part_equals_that_part_of_the_whole(squashed):
    whole = unsquash.restore(squashed, 44100, KNOWN).samples
    part = unsquash.RestoreOptions(profile="five/C", start=Position(value=2.0), end=Position(value=3.5))
    assert np.array_equal(unsquash.restore(squashed, 44100, part).samples, whole[:, 88200:154350])


def test_scale_moves_the_threshold_and_nothing_else(song, squashed):
    """If a file was normalised by c, its threshold moved by the same decibels."""
    louder = unsquash.RestoreOptions(profile="five/C", settings={"threshold": str(-24.4 + 6.0)})
    restored = unsquash.restore(squashed * 10 ** (6.0 / 20), 44100, louder)
    assert si_sdr_db(song, restored.samples) > 200


def test_makeup_is_undone_too(song):
    settings = {"makeup": "5", "threshold": "-20", "ratio": "4"}
    squashed = unsquash.squash(song, 44100, unsquash.SquashOptions(settings=settings))
    restored = unsquash.restore(squashed, 44100, unsquash.RestoreOptions(settings=settings))
    assert np.allclose(restored.samples, song, atol=1e-12)


def test_strength_is_linear_in_decibels(squashed):
    full = unsquash.restore(squashed, 44100, KNOWN).gain_db
    half = unsquash.restore(squashed, 44100, unsquash.RestoreOptions(profile="five/C", strength=0.5)).gain_db
    assert np.allclose(half, 0.5 * full)


def test_strength_zero_and_method_none_are_exact_copies(squashed):
    for options in (
        unsquash.RestoreOptions(profile="five/C", strength=0.0),
        unsquash.RestoreOptions(method="none"),
    ):
        restored = unsquash.restore(squashed, 44100, options)
        assert np.array_equal(restored.samples, squashed)
        assert restored.plan.stages == ()
        assert not restored.gain_db.any()


def test_levels_on_request(squashed):
    target = unsquash.RestoreOptions(profile="five/C", level=-20.0)
    restored = unsquash.restore(squashed, 44100, target)
    levels = unsquash.analyze(restored.samples, 44100, unsquash.RestoreOptions(method="none")).levels
    assert levels.integrated_lufs == pytest.approx(-20.0, abs=0.01)
    safe = unsquash.restore(squashed * 2, 44100, unsquash.RestoreOptions(profile="five/C", level="peak-safe"))
    levels = unsquash.analyze(safe.samples, 44100, unsquash.RestoreOptions(method="none")).levels
    assert levels.true_peak_dbtp <= -1.0 + 1e-6
    assert safe.level_gain_db < 0.0


def test_the_input_is_not_touched(squashed):
    before = squashed.copy()
    unsquash.restore(squashed, 44100, KNOWN)
    assert np.array_equal(squashed, before)


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        (np.zeros((1000, 2)), UnsupportedAudioError),
        (np.zeros((2, 2, 2)), UnsupportedAudioError),
        (np.full((1, 10), np.nan), AudioReadError),
    ],
    ids=["transposed", "three dimensions", "nan"],
)
def test_unusable_arrays_are_refused_with_a_hint(samples, error):
    with pytest.raises(error) as caught:
        unsquash.restore(samples, 44100, KNOWN)
    assert caught.value.hint


def test_a_part_that_is_empty_is_refused(squashed):
    with pytest.raises(OptionError, match="between start and end"):
        unsquash.restore(
            squashed, 44100, unsquash.RestoreOptions(profile="five/C", start=Position(value=60.0))
        )


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_any_channel_count(channels):
    rng = np.random.default_rng(0)
    original = rng.standard_normal((channels, 8000)) * 0.1
    squashed = unsquash.squash(original, 48000, SQUASH)
    assert np.allclose(unsquash.restore(squashed, 48000, KNOWN).samples, original, atol=1e-12)
