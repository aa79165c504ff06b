"""Between what settings that were searched for probably lie."""

from __future__ import annotations

import dataclasses

import pytest

from unsquash.analysis.ranges import GREATEST_RATIO, likely_ranges, settings_of
from unsquash.dsp.compressor import CompressorParams

SMOOTHED = CompressorParams(
    threshold_db=-20.0,
    ratio=2.0,
    detector_attack_ms=5.0,
    detector_release_ms=6.0,
    attack_ms=10.0,
    release_ms=100.0,
)


def test_the_times_are_those_that_shape_the_gain() -> None:
    assert settings_of(SMOOTHED) == {
        "threshold_db": -20.0,
        "ratio": 2.0,
        "attack_ms": 10.0,
        "release_ms": 100.0,
    }
    plain = dataclasses.replace(SMOOTHED, smoothing="none")
    assert settings_of(plain) == {"threshold_db": -20.0, "ratio": 2.0, "attack_ms": 5.0, "release_ms": 6.0}


@pytest.mark.parametrize("threshold_db", [-50.0, -20.0, -3.0, 0.0])
@pytest.mark.parametrize("ratio", [1.1, 2.0, 5.0, 19.0])
def test_ranges_are_ranges_of_what_there_is(threshold_db: float, ratio: float) -> None:
    params = dataclasses.replace(SMOOTHED, threshold_db=threshold_db, ratio=ratio)
    ranges = likely_ranges(params)
    assert ranges.keys() == settings_of(params).keys()
    for low, high in ranges.values():
        assert low <= high
    assert ranges["threshold_db"][1] <= 0.0
    assert 1.0 <= ranges["ratio"][0] <= ranges["ratio"][1] <= GREATEST_RATIO


def test_twice_as_slow_lies_between_what_is_twice_as_slow() -> None:
    slower = dataclasses.replace(SMOOTHED, attack_ms=20.0, release_ms=200.0)
    for name in ("attack_ms", "release_ms"):
        assert likely_ranges(slower)[name] == pytest.approx(
            [2.0 * time for time in likely_ranges(SMOOTHED)[name]]
        )


def test_a_lower_level_moves_the_threshold_only() -> None:
    lower = likely_ranges(dataclasses.replace(SMOOTHED, threshold_db=-26.0))
    here = likely_ranges(SMOOTHED)
    assert lower.pop("threshold_db") == pytest.approx([level - 6.0 for level in here.pop("threshold_db")])
    assert lower == here
