from __future__ import annotations

from pathlib import Path

import pytest

from unsquash.dsp.profiles import load_profile, load_profile_set, profile_names, with_settings
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


def test_a_set_is_published_or_a_file_or_none(tmp_path: Path) -> None:
    assert len(load_profile_set("published")) == 35
    assert len(load_profile_set("thirty")) == 30
    assert load_profile_set("none") == {}
    own = tmp_path / "own.CSV"
    own.write_text(
        "name,threshold_dbfs,ratio,detector_attack_ms,detector_release_ms,gain_attack_ms,gain_release_ms,"
        "detector_order\nbus,-18,4,10,120,,,2\nvocal,-24,3,5,5,8,90,1\n"
    )
    found = load_profile_set(str(own))
    assert list(found) == ["bus", "vocal"]
    assert (found["bus"].smoothing, found["bus"].detector_release_ms) == ("none", 120.0)
    assert (found["vocal"].smoothing, found["vocal"].detector, found["vocal"].release_ms) == (
        "linear",
        "peak",
        90.0,
    )


SHORT = "name,threshold_dbfs,ratio,detector_attack_ms,detector_release_ms,detector_order"
LONG = f"{SHORT},gain_attack_ms,gain_release_ms"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'name'"),
        ("name\nx\n", "no column 'threshold_dbfs'"),
        (f"{LONG}\n", "no profiles"),
        (f"{LONG}\nx,loud,4,1,1,2,1,1\n", "threshold_dbfs of 'x' is 'loud'"),
        (f"{LONG}\nx,-20,4,1,1,2,,90\n", "gain_attack_ms of 'x' is ''"),
        (f"{LONG}\nx,-20,4,1\n", "detector_order of 'x' is ''"),
        (f"{SHORT}\nx,-20,4,1,1,3\n", "detector_order of 'x' is 3"),
        (f"{SHORT}\nx,-20,4,1,1,rms\n", "detector_order of 'x' is 'rms'"),
        (f"{SHORT}\nx,-20,4,1,1,2\nx,-20,8,1,1,2\n", "line 3"),
        (f"{SHORT}\n,-20,4,1,1,2\n", "line 2"),
        (f"{SHORT}\nx,-20,0.5,1,1,2\n", "ratio is 0.5"),
        ("\ud800", "UTF-8"),
    ],
)
def test_a_file_that_is_no_set_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(OptionError, match=r"bad\.csv") as caught:
        load_profile_set(str(file))
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_file_without_gain_times_smooths_no_gain(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text(f"{SHORT}\nbus,-18,4,10,120,2\n", encoding="utf-8-sig")
    assert load_profile_set(str(file))["bus"].smoothing == "none"


@pytest.mark.parametrize(
    ("text", "detector"), [("1", "peak"), (" 2", "rms"), ("2.0", "rms"), ("1.0", "peak")]
)
def test_the_order_of_the_detector_is_a_number(text: str, detector: str, tmp_path: Path) -> None:
    file = tmp_path / "order.csv"
    file.write_text(f"{SHORT}\nx,-18,4,10,120,{text}\n")
    assert load_profile_set(str(file))["x"].detector == detector


def test_a_file_that_cannot_be_opened_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No such file") as caught:
        load_profile_set(str(tmp_path / "absent.csv"))
    assert caught.value.hint


def test_a_threshold_above_full_scale_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "loud.csv"
    file.write_text(
        "name,threshold_dbfs,ratio,detector_attack_ms,detector_release_ms,gain_attack_ms,gain_release_ms,"
        "detector_order\nx,30,4,1,1,1,1,2\n"
    )
    with pytest.raises(OptionError, match="above full scale"):
        load_profile_set(str(file))


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="forty"):
        load_profile_set("forty")
    with pytest.raises(OptionError, match=r"absent\.csv"):
        load_profile_set(str(tmp_path / "absent.csv"))
