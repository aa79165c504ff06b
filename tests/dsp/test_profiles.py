from __future__ import annotations

import pytest

from unsquash.dsp.profiles import load_profile, profile_names, with_settings
from unsquash.errors import OptionError


def test_every_name_loads() -> None:
    names = profile_names()
    assert len(names) == len(set(names)) == 39
    assert {"five/E", "thirty/30", "ffmpeg-acompressor", "juce-compressor", "sc4", "sox-compand"} <= set(
        names
    )
    assert all(load_profile(name).ratio >= 1 for name in names)


def test_values_are_the_published_ones() -> None:
    d = load_profile("five/D")
    assert (d.threshold_db, d.ratio, d.attack_ms, d.release_ms) == (-28.3, 7.3, 9.0, 705.0)
    assert (d.detector, d.smoothing, d.convention) == ("rms", "linear", "10-90")
    twelve = load_profile("thirty/12")
    assert (twelve.detector_attack_ms, twelve.detector_release_ms) == (84.1, 101.9)


@pytest.mark.parametrize("name", ["five/F", "thirty/31", "seven/A", "", "A", "five/"])
def test_unknown_profile(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        load_profile(name)
    assert "five/A" in caught.value.hint


def test_settings_by_their_typed_names() -> None:
    changed = with_settings(
        load_profile("five/A"),
        {"threshold": "-18.5", "ratio": "2", "attack": "1", "detector-release": "9", "link": "max"},
    )
    assert (changed.threshold_db, changed.ratio, changed.attack_ms, changed.link) == (-18.5, 2, 1, "max")
    assert (changed.detector_attack_ms, changed.detector_release_ms) == (5.0, 9.0)


def test_attack_means_the_detectors_where_the_gain_is_not_smoothed() -> None:
    changed = with_settings(load_profile("juce-compressor"), {"attack": "7", "release": "70"})
    assert (changed.detector_attack_ms, changed.detector_release_ms) == (7.0, 70.0)


@pytest.mark.parametrize(
    "settings",
    [{"treshold": "-3"}, {"ratio": "four"}, {"ratio": "0"}, {"detector": "both"}, {"threshold": "nan"}],
)
def test_bad_settings_are_refused_with_a_hint(settings: dict[str, str]) -> None:
    with pytest.raises(OptionError) as caught:
        with_settings(load_profile("five/A"), settings)
    assert caught.value.hint
