"""Known compressors, where the recording's level was changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from unsquash.analysis.known import FINE_FROM, PEAKS, score_known
from unsquash.analysis.population import Scorer
from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

KNOWN = {"mine": CompressorParams(threshold_db=-45.0, ratio=4.0, link="max")}
TRUE_OFFSET_DB = 7.7


def hills(*tops: tuple[float, float, float]) -> Float64Array:
    return np.array(tops)


def scorer(tops: Float64Array) -> Scorer:
    """Score thresholds by hills of (offset, height, width), in dB but for the height."""

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        offsets_db = np.array([one.threshold_db for one in candidates]) - KNOWN["mine"].threshold_db
        away = (offsets_db[:, None] - tops[:, 0]) / tops[:, 2]
        return np.asarray((tops[:, 1] * np.exp(-0.5 * np.square(away))).max(axis=1))

    return score


BROAD, NARROW = (-12.0, 20.0, 4.0), (TRUE_OFFSET_DB, 40.0, 0.3)


def test_a_narrow_peak_is_found_by_what_the_noise_of_the_beginning_says() -> None:
    heard, silent = scorer(hills(BROAD, NARROW)), scorer(hills((0.0, 0.0, 1.0)))
    asked: list[int] = []

    def beginning(candidates: Sequence[CompressorParams]) -> Float64Array:
        asked.append(len(candidates))
        return heard(candidates)

    found = score_known(KNOWN | {"other": KNOWN["mine"]}, beginning, heard, heard, heard)
    assert len(asked) == 2  # a large set is never looked at all at once
    assert found.best["mine"][0] == pytest.approx(TRUE_OFFSET_DB, abs=0.03)
    missed = score_known(KNOWN, silent, heard, heard, heard)
    assert missed.best["mine"][0] == pytest.approx(BROAD[0], abs=0.1)
    assert found.evidence > missed.evidence + 10.0


def test_it_need_not_be_the_highest_one_there() -> None:
    others = [(-20.0, 30.0, 0.5), (30.0, 35.0, 0.5)]
    assert len(others) < PEAKS
    beginning, all_of_them = scorer(hills(*others, (TRUE_OFFSET_DB, 25.0, 0.3))), scorer(hills(BROAD, NARROW))
    found = score_known(KNOWN, beginning, all_of_them, all_of_them, all_of_them)
    assert found.best["mine"][0] == pytest.approx(TRUE_OFFSET_DB, abs=0.03)


def test_a_slope_does_no_harm() -> None:
    def rising(candidates: Sequence[CompressorParams]) -> Float64Array:
        return np.array([one.threshold_db for one in candidates])

    heard = scorer(hills(BROAD))
    found = score_known(KNOWN, rising, heard, heard, heard)
    assert found.best["mine"][0] == pytest.approx(BROAD[0], abs=0.1)


@pytest.mark.parametrize(("height", "offset_db"), [(FINE_FROM + 5.0, TRUE_OFFSET_DB), (FINE_FROM - 5.0, 7.2)])
def test_where_much_is_said_the_last_word_has_the_exact_gain(height: float, offset_db: float) -> None:
    broad = (0.0, 0.1, 30.0)  # so that nothing is level
    roughly, exactly = (scorer(hills(broad, (top_db, height, 0.4))) for top_db in (7.2, TRUE_OFFSET_DB))
    found = score_known(KNOWN, roughly, roughly, roughly, exactly)
    assert found.best["mine"][0] == pytest.approx(offset_db, abs=0.03)


def test_only_the_few_that_come_near_are_asked_again() -> None:
    tops = {f"{far}": replace(KNOWN["mine"], ratio=2.0 + far) for far in range(8)}
    asked: set[float] = set()

    def heard(candidates: Sequence[CompressorParams]) -> Float64Array:
        away_db = np.array([one.threshold_db for one in candidates]) - KNOWN["mine"].threshold_db
        behind = np.array([10.0 * (one.ratio - 2.0) for one in candidates])
        return np.asarray(100.0 - behind - np.square(away_db))

    def finely(candidates: Sequence[CompressorParams]) -> Float64Array:
        asked.update(one.ratio for one in candidates)
        return heard(candidates) - 50.0 * np.array([one.ratio == 2.0 for one in candidates])

    found = score_known(tops, heard, heard, heard, finely)
    assert asked == {2.0, 3.0, 4.0}
    assert max(found.by_name, key=lambda name: found.by_name[name]) == "1"
