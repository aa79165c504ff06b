from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unsquash.dsp.interpolation import interpolated


@given(
    curve=st.lists(st.floats(-60.0, 60.0), min_size=1, max_size=8),
    first=st.floats(-90.0, 90.0),
    step=st.floats(0.3, 70.0),
    length=st.integers(0, 400),
)
def test_it_is_numpys_interpolation(curve: list[float], first: float, step: float, length: int) -> None:
    points = np.array(curve)
    expected = np.interp(np.arange(length), first + step * np.arange(len(points)), points)
    np.testing.assert_allclose(interpolated(points, first, step, length), expected, atol=1e-9)


def test_points_on_samples_are_met_and_the_ends_are_held() -> None:
    found = interpolated(np.array([1.0, 3.0, 2.0]), 2.0, 4.0, 13)
    assert found[[0, 2, 6, 10, 12]].tolist() == [1.0, 1.0, 3.0, 2.0, 2.0]
    assert found[4] == pytest.approx(2.0)
