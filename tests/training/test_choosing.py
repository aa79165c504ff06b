"""What `auto` chooses, beside each engine: the ways to squash, and what is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unsquash.errors import OptionError
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.training import choosing
from unsquash.training.choosing import WAYS, Choice, summarize
from unsquash.training.codecs import PLUGINS, available_plugins
from unsquash.units import Float64Array

UNCOUNTED = ("compressor plug-ins", "limiter plug-ins")


def a_choice(kind: str, **db: float) -> Choice:
    measured = {"nothing": 10.0, "neural": 10.0, "model": 10.0, "auto": 10.0} | db
    return Choice(kind=kind, method="none" if measured["auto"] == 10.0 else "neural", **measured)


def test_in_each_kind_the_better_engine_is_what_auto_is_compared_with() -> None:
    rows = summarize(
        [
            a_choice("untouched", neural=5.0, model=-20.0),
            a_choice("hard clip", neural=14.0, model=2.0, auto=13.0),
            a_choice("hard clip", neural=12.0, model=2.0, auto=9.5),
            a_choice("five, file", neural=11.0, model=40.0, auto=40.0),
        ]
    )
    assert rows["hard clip"]["better"] == 3.0
    assert rows["hard clip"]["auto"] == 1.25
    assert rows["hard clip"]["worse than nothing"] == 1
    assert rows["hard clip"]["worst"] == -0.5
    assert rows["untouched"]["left alone"] == 1
    everything = rows["all squashed"]
    assert everything["pieces"] == 3
    assert everything["better"] == 12.0  # neither is the better one everywhere
    assert everything["auto"] == pytest.approx(10.833, abs=1e-3)


def test_of_untouched_ones_alone_there_is_nothing_to_pool() -> None:
    assert list(summarize([a_choice("untouched")])) == ["untouched"]


@pytest.mark.parametrize("kind", [kind for kind in WAYS if kind not in UNCOUNTED])
def test_every_way_leaves_a_piece_that_is_aligned(kind: str, song_18_s: Float64Array) -> None:
    original = np.ascontiguousarray(song_18_s / np.abs(song_18_s).max())
    squashed = WAYS[kind](original, np.random.default_rng(1))
    length = EXCERPT_SAMPLES if kind.endswith("paper") else original.shape[1]
    assert squashed.shape == (original.shape[0], length)
    original = original[:, :length]
    alike = np.corrcoef(original.ravel(), squashed.ravel())[0, 1]
    assert alike > 0.5
    is_release = not kind.endswith(("paper", "file"))
    steps = squashed * 32768.0
    assert np.array_equal(steps, np.round(steps)) == is_release
    if is_release:
        assert -3.01 < 20.0 * np.log10(np.abs(squashed).max()) < 0.0
    assert (alike > 0.999999) == (kind == "untouched")


@pytest.mark.skipif(not set(PLUGINS) <= set(available_plugins()), reason="a plug-in is missing")
@pytest.mark.parametrize("kind", UNCOUNTED)
def test_plug_ins_leave_a_piece_that_is_aligned(kind: str, song_18_s: Float64Array) -> None:
    squashed = WAYS[kind](song_18_s, np.random.default_rng(1))
    assert squashed.shape == song_18_s.shape
    assert np.corrcoef(song_18_s.ravel(), squashed.ravel())[0, 1] > 0.8


def test_a_kind_that_is_none_is_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    places = ["--audio", str(tmp_path), "--cache", str(tmp_path / "cache"), "--out", str(out)]
    with pytest.raises(OptionError, match="hard clap"):
        choosing.main([str(tmp_path / "recipe.toml"), *places, "--kinds", "untouched; hard clap"])
    assert not out.exists()
