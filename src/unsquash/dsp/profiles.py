"""Compressor settings by name: the published profile sets and the compressors of known programs.

`five/A` … `five/E` and `thirty/1` … `thirty/30` are read from CSV files shipped with the package.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from unsquash.dsp.compressor import CHOICES, CompressorParams, Detector
from unsquash.errors import OptionError

_SETS = ("five", "thirty")
_COLUMNS = ("name", "threshold_dbfs", "ratio", "detector_attack_ms", "detector_release_ms", "detector_order")
_HEADER = (
    f"begin it with {','.join(_COLUMNS)} and, where the gain is smoothed, gain_attack_ms,gain_release_ms"
)
_DETECTORS: dict[float, Detector] = {1.0: "peak", 2.0: "rms"}

# The programs' own default settings, or such as many use of one that has none. All follow the level only:
# their gain is not smoothed again, or in a way that cannot be set.
_PROGRAMS = {
    "ffmpeg-acompressor": CompressorParams(
        threshold_db=20.0 * math.log10(0.125),
        ratio=2.0,
        detector_attack_ms=20.0,
        detector_release_ms=250.0,
        detector="rms",
        link="mean",
        knee_db=20.0 * math.log10(2.82843),  # ffmpeg's knee is its width as a ratio of amplitudes
        smoothing="none",
        convention="ffmpeg",
    ),
    "juce-compressor": CompressorParams(
        threshold_db=0.0,
        ratio=1.0,
        detector_attack_ms=1.0,
        detector_release_ms=100.0,
        detector="peak",
        smoothing="none",
        convention="juce",
    ),
    "sc4": CompressorParams(
        threshold_db=0.0,
        ratio=1.0,
        detector_attack_ms=101.125,
        detector_release_ms=401.0,
        link="max",
        knee_db=3.25,
        smoothing="none",
        convention="1/e",
        kind="sc4",
    ),
    "sox-compand": CompressorParams(
        threshold_db=-20.0,
        ratio=2.0,
        detector_attack_ms=300.0,
        detector_release_ms=1000.0,
        detector="peak",
        link="max",
        smoothing="none",
        convention="sox",
        initial_db=0.0,
        kind="sox",
    ),
}

# What a user may set, and the field it changes.
_NUMBERS = {
    "threshold": "threshold_db",
    "ratio": "ratio",
    "attack": "attack_ms",
    "release": "release_ms",
    "detector-attack": "detector_attack_ms",
    "detector-release": "detector_release_ms",
    "knee": "knee_db",
    "makeup": "makeup_db",
    "initial": "initial_db",
    "peak-share": "peak_share",
}
_WORDS = [name for name in CHOICES if name != "kind"]  # that is the profile's


def profile_names() -> list[str]:
    """Return every name that `load_profile` knows.

    Example:
        >>> profile_names()[:2], len(profile_names())
        (['five/A', 'five/B'], 39)
    """
    return [f"{name}/{row}" for name in _SETS for row in _read_set(name)] + list(_PROGRAMS)


def load_profile(name: str) -> CompressorParams:
    """Return the settings of that name.

    Example:
        >>> load_profile("five/A").threshold_db
        -32.0
    """
    if name in _PROGRAMS:
        return _PROGRAMS[name]
    group, _, row = name.partition("/")
    if group in _SETS and row in _read_set(group):
        return _read_set(group)[row]
    raise OptionError(
        f"there is no compressor profile {name!r}",
        hint=f"Known are five/A to five/E, thirty/1 to thirty/30, {', '.join(_PROGRAMS)}.",
    )


def with_settings(params: CompressorParams, settings: Mapping[str, str]) -> CompressorParams:
    """Change settings under the names and in the units that users type.

    Where the gain is not smoothed, "attack" and "release" are the detector's: the only ones there are.

    Example:
        >>> with_settings(load_profile("five/A"), {"threshold": "-20", "detector": "peak"}).threshold_db
        -20.0
    """
    changes: dict[str, float | str] = {}
    smoothed = settings.get("smoothing", params.smoothing) != "none"
    for name, text in settings.items():
        if name in _WORDS:
            changes[name] = text
        elif name in _NUMBERS:
            field = _NUMBERS[name]
            if not smoothed and field in ("attack_ms", "release_ms"):
                field = f"detector_{field}"
            changes[field] = _number(name, text)
        else:
            raise OptionError(
                f"a compressor has no setting {name!r}",
                hint=f"Known are {', '.join([*_NUMBERS, *_WORDS])}.",
            )
    return dataclasses.replace(params, **changes)  # type: ignore[arg-type]


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"{name} is {text!r}", hint="Give a number: decibels, milliseconds or a ratio."
        ) from None


def load_profile_set(name: str) -> dict[str, CompressorParams]:
    """Return a set of profiles to look for: `published`, `five`, `thirty`, `none`, or a CSV file's.

    The file has the columns of the published sets: name, threshold_dbfs, ratio, detector_attack_ms,
    detector_release_ms, gain_attack_ms, gain_release_ms, detector_order. No gain times: no gain smoothing.

    Raises:
        OptionError: there is no such set, or its file cannot be understood.

    Example:
        >>> list(load_profile_set("five"))
        ['five/A', 'five/B', 'five/C', 'five/D', 'five/E']
    """
    if name == "none":
        return {}
    if name in ("published", *_SETS):
        groups = _SETS if name == "published" else (name,)
        return {f"{group}/{row}": params for group in groups for row, params in _read_set(group).items()}
    path = Path(name)
    if path.suffix.lower() != ".csv":
        raise OptionError(
            f"no set of profiles is called {name!r}",
            hint=f"Known are published, {', '.join(_SETS)} and none; or name a .csv file.",
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as table:
            profiles = _read_rows(table)
    except OSError as error:
        raise OptionError(
            f"the set of profiles '{path}' cannot be read: {error.strerror}", hint="check the path"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"'{path}' is no CSV in UTF-8: {error}", hint=_HEADER) from error
    except OptionError as error:
        raise OptionError(f"{path}: {error}", hint=error.hint) from error
    if not profiles:
        raise OptionError(f"there are no profiles in {path}", hint="One row for each, under a header.")
    if above := [row for row, params in profiles.items() if params.threshold_db > 0.0]:
        raise OptionError(
            f"{path}: the threshold of {above[0]!r} is above full scale",
            hint="Give it in dBFS; it is moved with the level of the recording.",
        )
    return profiles


@cache
def _read_set(name: str) -> dict[str, CompressorParams]:
    with (files("unsquash.dsp") / "data" / f"{name}.csv").open(encoding="utf-8") as table:
        return _read_rows(table)


def _read_rows(table: Iterable[str]) -> dict[str, CompressorParams]:
    rows = csv.DictReader(table)
    for column in _COLUMNS:
        if column not in (rows.fieldnames or ()):
            raise OptionError(f"there is no column '{column}'", hint=_HEADER)
    profiles: dict[str, CompressorParams] = {}
    for row in rows:
        name = row["name"] or ""
        if not name or name in profiles:
            raise OptionError(f"line {rows.line_num} has no name of its own", hint="each profile needs one")
        profiles[name] = _read_row(name, row)
    return profiles


def _read_row(name: str, row: Mapping[str, str | None]) -> CompressorParams:
    smoothed = bool(row.get("gain_attack_ms") or row.get("gain_release_ms"))

    def number(column: str) -> float:
        return _number(f"{column} of '{name}'", row.get(column) or "")

    order = number("detector_order")
    if order not in _DETECTORS:
        raise OptionError(
            f"detector_order of '{name}' is {order:g}", hint="1 is peak detection, 2 is RMS detection"
        )
    return CompressorParams(
        threshold_db=number("threshold_dbfs"),
        ratio=number("ratio"),
        detector_attack_ms=number("detector_attack_ms"),
        detector_release_ms=number("detector_release_ms"),
        attack_ms=number("gain_attack_ms") if smoothed else 0.0,
        release_ms=number("gain_release_ms") if smoothed else 0.0,
        detector=_DETECTORS[order],
        smoothing="linear" if smoothed else "none",
    )
