"""How often settings lie in the ranges that are stated."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unsquash.analysis.space import LOWEST, compressor_at
from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile
from unsquash.errors import AudioReadError, OutputError
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.profiles import ranging
from unsquash.training.profiles.ranging import (
    LEVEL_CHANGE_DB,
    LOUDEST_DBFS,
    MODEL,
    PROGRAMS,
    Looked,
    comparable,
    draw_compressor,
    squash,
    summarize,
)
from unsquash.units import Float64Array, db_to_linear

KINDS = (MODEL, *PROGRAMS)


def music(seconds: float, seed: int) -> Float64Array:
    """Noise over a tone that fades three times a second, its peak at full scale; shape `(2, T)`."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    samples = np.exp(-9.0 * (time_s % 0.33)) * rng.uniform(-1.0, 1.0, (2, len(time_s)))
    samples += 0.1 * np.sin(2.0 * np.pi * 220.0 * time_s)
    return np.asarray(samples / np.abs(samples).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_settings_are_those_that_squash_as_much_at_the_level_of_the_result(kind: str, seed: int) -> None:
    original = music(2.0, seed)
    squashed, moved = squash(kind, original, np.random.default_rng(seed))
    drawn = dataclasses.replace(moved, threshold_db=threshold_drawn(kind, original, seed), link="max")
    change_db = moved.threshold_db - drawn.threshold_db
    expected = compress(original, SAMPLE_RATE, drawn).samples * db_to_linear(change_db)
    assert np.abs(squashed).max() <= db_to_linear(LOUDEST_DBFS + LEVEL_CHANGE_DB)
    np.testing.assert_allclose(squashed, expected, atol=1e-9)
    louder = dataclasses.replace(moved, link="max")
    again = compress(original * db_to_linear(change_db), SAMPLE_RATE, louder).samples
    np.testing.assert_allclose(again, squashed, atol=2e-4)  # SC4 looks levels up in tables


def threshold_drawn(kind: str, original: Float64Array, seed: int) -> float:
    rms_dbfs = float(10.0 * np.log10(np.square(np.abs(original).max(axis=0)).mean()))
    return draw_compressor(kind, rms_dbfs, np.random.default_rng(seed)).threshold_db


def test_times_are_compared_in_the_same_terms() -> None:
    model = compressor_at(np.full(LOWEST.size, 0.5), smoothed=True)
    assert comparable(model)["attack_ms"] == pytest.approx(model.attack_ms)
    sc4 = dataclasses.replace(load_profile("sc4"), detector_attack_ms=10.0, detector_release_ms=100.0)
    assert comparable(sc4)["attack_ms"] == pytest.approx(22.0)
    assert comparable(sc4)["release_ms"] == pytest.approx(220.0)
    ffmpeg = dataclasses.replace(load_profile("ffmpeg-acompressor"), detector_release_ms=400.0)
    assert comparable(ffmpeg)["release_ms"] == pytest.approx(220.0, rel=1e-3)


def piece(true_ratio: float, found_ratio: float | None) -> Looked:
    found = None if found_ratio is None else {"ratio": found_ratio, "threshold_db": -20.0}
    return Looked(
        kind=MODEL,
        true={"ratio": true_ratio, "threshold_db": -17.0},
        found=found,
        ranges={} if found is None else {"ratio": (2.0, 4.0), "threshold_db": (-22.0, -18.0)},
    )


def test_what_lies_within_below_and_above_is_counted_of_what_was_found() -> None:
    summary = summarize(
        [piece(3.0, 2.0), piece(1.5, 2.0), piece(8.0, 2.0), piece(2.0, 2.0), piece(9.0, None)]
    )
    assert summary["pieces"] == 5
    assert summary["found"] == 4
    assert summary["ratio"] == {"within": 2, "lower": 1, "higher": 1, "relative to found": [0.82, 1.25, 3.25]}
    assert summary["threshold_db"] == {
        "within": 0,
        "lower": 0,
        "higher": 4,
        "relative to found": [3.0, 3.0, 3.0],
    }
    assert summarize([piece(2.0, None)]) == {"pieces": 1, "found": 0}


def arguments(samples: Float64Array, cache: Path, folder: Path) -> list[str]:
    """Make a corpus of one held-out recording; returns what the command is told."""
    soundfile.write(folder / "0.flac", samples.T, SAMPLE_RATE)
    header = "file,kind,split,artist_or_repo,title,licence,genre,start_s,duration_s,plr_db,source"
    (folder / "catalog.csv").write_text(f"{header}\n0.flac,mix,train,a,,CC0,,0,8,15,\n")
    (folder / "recipe.toml").write_text('name = "tiny"\nvalidation_artists = ["a"]\n')
    places = ["--audio", str(folder), "--cache", str(cache), "--out", str(folder / "out.json")]
    return [str(folder / "recipe.toml"), *places]


def test_the_command_counts_pieces_of_held_out_artists(cache_folder: Path, tmp_path: Path) -> None:
    ranging.main([*arguments(music(8.0, 0), cache_folder, tmp_path), "--count", "3"])
    results = json.loads((tmp_path / "out.json").read_text())
    assert {kind: row["pieces"] for kind, row in results.items()} == {
        MODEL: 2,
        "sc4": 1,
        "ffmpeg-acompressor": 0,
        "all": 3,
    }


def test_counts_are_kept_as_they_come(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([piece(3.0, 2.0)])
    monkeypatch.setattr(ranging, "analyze", lambda *_arguments, **_options: None)
    monkeypatch.setattr(ranging, "looked", lambda *_arguments: next(found))
    with pytest.raises(StopIteration):
        ranging.main([*arguments(music(8.0, 0), cache_folder, tmp_path), "--count", "3"])
    assert json.loads((tmp_path / "out.json").read_text())["all"]["pieces"] == 1


@pytest.mark.parametrize("samples", [music(3.0, 0), np.eye(2, 8 * SAMPLE_RATE)], ids=["short", "sparse"])
def test_recordings_that_are_too_short_or_quiet_are_not_looked_through_for_ever(
    samples: Float64Array, cache_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(AudioReadError, match="loud enough"):
        ranging.main(arguments(samples, cache_folder, tmp_path))


def test_a_place_for_results_that_is_none_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    with pytest.raises(OutputError, match=r"out\.json"):
        ranging.main(arguments(music(8.0, 0), tmp_path / "cache", tmp_path))
    assert not (tmp_path / "cache").exists()


def test_without_held_out_artists_the_recipe_is_named(cache_folder: Path, tmp_path: Path) -> None:
    told = arguments(music(8.0, 0), cache_folder, tmp_path)
    (tmp_path / "recipe.toml").write_text('name = "tiny"\nvalidation_artists = ["b"]\n')
    with pytest.raises(AudioReadError, match="validation") as refusal:
        ranging.main(told)
    assert "validation_artists" in refusal.value.hint
