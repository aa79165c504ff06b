from __future__ import annotations

import numpy as np
import pytest

from unsquash.units import apply_gain_db, gain_factors, to_interleaved, to_planar


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_channels_are_brought_apart_and_together_again(channels: int, dtype: type) -> None:
    interleaved = np.arange(5 * channels, dtype=dtype).reshape(5, channels)
    samples = to_planar(interleaved)
    assert samples.dtype == dtype
    assert samples.flags.c_contiguous
    assert np.array_equal(samples, interleaved.T)
    together = to_interleaved(samples[:, 1:])
    assert together.dtype == np.float64
    assert together.flags.c_contiguous
    assert np.array_equal(together, interleaved[1:])


def test_no_samples_stay_none() -> None:
    assert to_planar(np.zeros((0, 2))).shape == (2, 0)
    assert to_interleaved(np.zeros((2, 0))).shape == (0, 2)


def test_factors_are_those_of_decibels_and_exactly_one_at_none() -> None:
    gain_db = np.linspace(-120.0, 120.0, 2001)
    np.testing.assert_allclose(gain_factors(gain_db), np.power(10.0, gain_db / 20.0), rtol=1e-14)
    assert gain_factors(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_a_gain_keeps_the_type_of_the_samples_and_may_be_shared() -> None:
    samples = np.ones((2, 3), np.float32)
    louder = apply_gain_db(samples, np.array([[0.0, 20.0, -20.0]]))
    assert louder.dtype == np.float32
    np.testing.assert_allclose(louder, np.tile(np.float32([1.0, 10.0, 0.1]), (2, 1)))
