from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unsquash.dsp.ballistics import TIME_CONSTANTS, smoothing_coefficient
from unsquash.errors import OptionError


@pytest.mark.parametrize(
    ("convention", "left_after_one_time_constant"),
    [("1/e", math.exp(-1.0)), ("10-90", math.exp(-2.2)), ("juce", math.exp(-2 * math.pi)), ("60db", 1e-3)],
)
def test_what_a_time_constant_means(convention: str, left_after_one_time_constant: float) -> None:
    coefficient = smoothing_coefficient(10.0, 48000, convention)  # type: ignore[arg-type]
    assert (1.0 - coefficient) ** 480 == pytest.approx(left_after_one_time_constant, rel=1e-9)


def test_published_coefficient_is_reproduced_to_the_last_bit() -> None:
    assert smoothing_coefficient(435.0, 44100, "10-90") == pytest.approx(
        1.0 - np.exp(-2.2 / (0.435 * 44100)), rel=1e-12
    )


def test_ffmpeg_coefficient_is_linear_and_capped() -> None:
    assert smoothing_coefficient(20.0, 44100, "ffmpeg") == pytest.approx(1 / (20 * 44100 / 4000))
    assert smoothing_coefficient(0.01, 44100, "ffmpeg") == 1.0


@given(
    time_ms=st.floats(0.0, 1e5),
    sample_rate=st.sampled_from([8000, 44100, 384000]),
    convention=st.sampled_from(TIME_CONSTANTS),
)
def test_a_coefficient_is_a_weight(time_ms: float, sample_rate: int, convention: str) -> None:
    coefficient = smoothing_coefficient(time_ms, sample_rate, convention)  # type: ignore[arg-type]
    assert 0.0 < coefficient <= 1.0
    slower = smoothing_coefficient(2.0 * time_ms, sample_rate, convention)  # type: ignore[arg-type]
    assert slower <= coefficient


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_impossible_times_are_refused(bad: float) -> None:
    with pytest.raises(OptionError):
        smoothing_coefficient(bad, 44100, "10-90")
