"""What a user may write, and what is refused with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from unsquash.errors import OptionError
from unsquash.options import Position, RestoreOptions, parse_level, parse_position, parse_settings


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("90", 90 * 48000),
        ("1:30", 90 * 48000),
        ("1:30.5", 90.5 * 48000),
        ("1:00:01", 3601 * 48000),
        ("44100s", 44100),
        (".5", 24000),
        ("1.", 48000),
        ("1:.5", 60.5 * 48000),
    ],
)
def test_positions(text, samples):
    assert parse_position(text).in_samples(48000) == samples


@pytest.mark.parametrize(
    "text",
    ["", "abc", "-5", "1:2:3:4", "1.5s", "1:", "nan", "1e3", "inf", ".", "9" * 400, "9" * 400 + "s"],
)
def test_what_is_no_position(text):
    with pytest.raises(OptionError, match="not a time") as caught:
        parse_position(text)
    assert caught.value.hint


def test_settings_may_be_joined_or_repeated():
    assert parse_settings(["threshold=-20,ratio=4", " attack = 10 "]) == {
        "threshold": "-20",
        "ratio": "4",
        "attack": "10",
    }


@pytest.mark.parametrize("text", ["threshold", "=4", "ratio=", "a=1,b"])
def test_what_is_no_setting(text):
    with pytest.raises(OptionError, match="not a setting"):
        parse_settings([text])


@pytest.mark.parametrize(("text", "level"), [("keep", "keep"), ("peak-safe", "peak-safe"), ("-14", -14.0)])
def test_levels(text, level):
    assert parse_level(text) == level


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "magic"},
        {"strength": 1.1},
        {"strength": float("nan")},
        {"max_gain_db": -1.0},
        {"level": 3.0},
        {"level": float("nan")},
        {"level": "louder"},
        {"bit_depth": "12"},
        {"dither": "blue"},
        {"link": "sum"},
        {"device": "gpu"},
        {"method": "model"},
        {"method": "neural", "profile": "five/A"},
        {"seed": -1},
        {"preview": Position(value=1.0), "end": Position(value=2.0)},
        {"undo": True},
        {"undo": True, "apply_gain": Path("a.gain"), "strength": 0.5},
        {"undo": True, "apply_gain": Path("a.gain"), "level": -20.0},
        {"undo": True, "apply_gain": Path("a.gain"), "level": "match"},
    ],
)
def test_impossible_options_are_refused_with_a_hint(wrong):
    with pytest.raises(OptionError) as caught:
        RestoreOptions(**wrong)
    assert caught.value.hint


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e300])
def test_positions_lie_in_some_recording(value):
    with pytest.raises(OptionError, match="not a time"):
        Position(value=value)


def test_a_preview_holds_a_sample_at_least():
    assert RestoreOptions(preview=Position(value=1.0, unit="samples")).part(8000, 100) == (0, 1)
    with pytest.raises(OptionError, match="sample"):
        RestoreOptions(preview=Position(value=1e-6)).part(8000, 100)


def test_defaults_leave_the_choice_to_the_diagnosis():
    options = RestoreOptions()
    assert (options.method, options.strength, options.start) == ("auto", 1.0, None)
    assert Position(value=1.0).in_samples(8000) == 8000
