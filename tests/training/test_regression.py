"""Regression of a compressor's settings: what is asked for, what is answered, what is learned."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unsquash.analysis.space import HIGHEST, LOWEST, compressor_at
from unsquash.nets.features import SUBFRAMES, Features
from unsquash.nets.profile import EXCERPT_FRAMES, EXCERPT_SAMPLES
from unsquash.training.corpus import SAMPLE_RATE, load_corpus
from unsquash.training.profiles import regression
from unsquash.training.profiles.encoders import VIEWS, Posterior, Regressor, View, Views, regression_loss
from unsquash.training.profiles.regression import (
    DB_PER_UNIT,
    Examples,
    Maker,
    draw_settings,
    errors,
    in_units,
    place_seen,
    settled,
    spread,
)
from unsquash.weights import load_gain_net

BANDS = 8
TRACKS = Features(BANDS, SAMPLE_RATE).count - BANDS


def noise(count: int, seed: int = 0) -> Views:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Views(
        waveform=drawn(count, EXCERPT_SAMPLES),
        features=drawn(count, BANDS + TRACKS, EXCERPT_FRAMES),
        reduction_db=drawn(count, SUBFRAMES * EXCERPT_FRAMES).abs(),
        from_rest=torch.ones(count),
    )


def believed(places: list[list[float]], deviation: float = 0.1, smoothed: float = 9.0) -> Posterior:
    means = torch.tensor(places)[:, None].repeat(1, 2, 1)
    return Posterior(
        means=means,
        log_deviations=torch.full_like(means, float(np.log(deviation))),
        smoothed=torch.full((len(places),), smoothed),
    )


def changed(views: Views, part: str) -> Views:
    if part == "bands":
        features = views.features.clone()
        features[:, :BANDS] += 1.0
        return dataclasses.replace(views, features=features)
    return dataclasses.replace(views, **{part: getattr(views, part) + 1.0})


@pytest.mark.parametrize("view", VIEWS)
def test_an_encoder_sees_what_it_is_named_after(view: View) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, views = Regressor(view, BANDS, TRACKS).eval(), noise(2)
    with torch.inference_mode():
        answer = net(views)
        assert answer.means.shape == answer.log_deviations.shape == (2, 2, LOWEST.size)
        assert answer.smoothed.shape == (2,)
        seen = {
            part
            for part in ("waveform", "bands", "reduction_db", "from_rest")
            if not torch.equal(net(changed(views, part)).means, answer.means)
        }
    expected = {
        "waveform": {"waveform"},
        "log-mel": {"bands"},
        "gain": {"reduction_db"},
        "all but the waveform": {"bands", "reduction_db"},
    }
    assert seen == expected[view] | {"from_rest"}


def test_the_loss_is_least_at_the_truth_with_an_honest_deviation() -> None:
    truth = torch.full((1, LOWEST.size), 0.4)
    smoothed = torch.ones(1)

    def loss(place: float, deviation: float, odds: float = 9.0) -> float:
        answer = believed([[place] * LOWEST.size], deviation, odds)
        return float(regression_loss(answer, truth, smoothed))

    assert loss(0.4, 0.1) < loss(0.5, 0.1) < loss(0.6, 0.1)
    assert loss(0.5, 0.1) < min(loss(0.5, 0.05), loss(0.5, 0.3))
    assert loss(0.4, 0.1, 9.0) < loss(0.4, 0.1, -9.0)


def test_a_coordinate_that_does_not_count_costs_nothing() -> None:
    truth = torch.full((1, LOWEST.size), 0.4)
    truth[0, 4] = float("nan")
    answers = [believed([[0.4, 0.4, 0.4, 0.4, wrong, 0.4]]) for wrong in (0.4, 5.0)]
    for answer in answers:
        answer.means.requires_grad_()
    losses = [regression_loss(answer, truth, torch.ones(1)) for answer in answers]
    assert torch.equal(losses[0], losses[1])
    torch.autograd.backward(losses[1])
    assert answers[1].means.grad is not None
    assert bool(answers[1].means.grad.isfinite().all())


def test_a_threshold_is_seen_from_the_peak() -> None:
    place = np.full(LOWEST.size, 0.5)
    params = compressor_at(place, smoothed=True)
    assert place_seen(params, 0.0) == pytest.approx(place)
    louder = place_seen(params, 5.7)
    assert louder[0] == pytest.approx(0.5 - 5.7 / DB_PER_UNIT)
    assert louder[1:] == pytest.approx(place[1:])


def test_a_compressor_without_gain_smoothing_has_no_attack_of_its_own() -> None:
    place = np.array([0.2, 0.3, 0.4, 0.6, 0.5, 0.7])
    seen = place_seen(compressor_at(place, smoothed=False), 0.0)
    assert np.isnan(seen[4])
    assert np.delete(seen, 4) == pytest.approx(np.delete(place, 4))


def test_surer_excerpts_count_more() -> None:
    answer = believed([[0.2] * LOWEST.size, [0.8] * LOWEST.size])
    answer.log_deviations[1] += float(np.log(3.0))
    mean, deviation = settled(answer, np.zeros(2, dtype=np.float32))
    assert mean == pytest.approx([(9 * 0.2 + 0.8) / 10] * LOWEST.size)
    assert deviation == pytest.approx([0.1 / np.sqrt(1 + 1 / 9)] * LOWEST.size)


def test_excerpts_of_different_peaks_agree_on_a_threshold() -> None:
    answer = believed([[0.5] * LOWEST.size, [0.5 - 6.0 / DB_PER_UNIT, *[0.5] * (LOWEST.size - 1)]])
    mean, _ = settled(answer, np.array([-6.0, 0.0], dtype=np.float32))
    assert mean[0] == pytest.approx(0.5 - 6.0 / DB_PER_UNIT)


@pytest.mark.parametrize("group", ["five", "thirty"])
def test_published_settings_are_counted_over_their_ranges(group: regression.Group) -> None:
    for seed in range(10):
        params = draw_settings(group, np.random.default_rng(seed))
        place = place_seen(params, 0.0)
        assert in_units(place, group) == pytest.approx(regression.normalized(params))


def test_any_settings_lie_in_the_space_that_is_searched() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_settings("any", rng, unsmoothed_share=0.5) for _ in range(40)]
    assert {params.smoothing for params in drawn} == {"none", "linear"}
    places = np.array([place_seen(params, 0.0) for params in drawn])
    assert np.nanmin(places) >= -1e-9
    assert np.nanmax(places) <= 1 + 1e-9
    assert pytest.approx(HIGHEST[0] - LOWEST[0]) == DB_PER_UNIT


@pytest.fixture(scope="module")
def maker(corpus_folder: Path, cache_folder: Path) -> Maker:
    tracks = load_corpus([corpus_folder], cache_folder, validation_artists=())
    return Maker(tracks, load_gain_net("gain-small"))


def test_examples_of_one_piece_are_compressed_in_several_ways(maker: Maker) -> None:
    made = maker.varied(np.random.default_rng(0))
    assert len(made) == regression.COMPRESSORS_PER_PIECE == len(np.unique(made.places[:, 1]))
    assert made.waveform.shape == (len(made), EXCERPT_SAMPLES)
    assert made.features.shape[2] == EXCERPT_FRAMES
    assert made.reduction_db.shape == (len(made), SUBFRAMES * EXCERPT_FRAMES)
    assert len(set(made.from_rest)) == 1
    views = made.views(np.array([2, 0]))
    assert float(views.waveform.abs().max()) <= 1.0
    assert torch.equal(views.reduction_db[1], torch.from_numpy(made.reduction_db[0].astype(np.float32)))


def test_excerpts_of_one_recording_share_their_compressor_and_are_not_silent(maker: Maker) -> None:
    asked = maker.asked("thirty", "in-situ", 4, np.random.default_rng(3))
    assert 1 < len(asked) <= 4  # the recordings of these tests are shorter than four excerpts
    assert asked.peak_dbfs.min() > -60.0
    assert np.ptp(asked.places[:, 0] * DB_PER_UNIT + asked.peak_dbfs) < 1e-3
    assert np.ptp(asked.places[:, 1:], axis=0) == pytest.approx(0.0, abs=1e-6)
    assert not np.array_equal(asked.waveform[0], asked.waveform[1])


def test_a_regressor_learns_what_it_is_shown(maker: Maker) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(2)
    shown = [maker.asked("any", "paper", 1, rng) for _ in range(6)]
    net = regression.train("gain", Examples.of(shown), bands=40, steps=60, seed=1)
    learned = errors(net, shown, "any")
    assert learned["mse"] < 0.3 * spread(shown, "any")
    assert set(regression.SETTINGS) < set(learned)


def test_the_command_compares_all_views(corpus_folder: Path, cache_folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "tiny"\nvalidation_artists = ["a"]\n')
    arguments = [str(recipe), "--audio", str(corpus_folder), "--cache", str(cache_folder)]
    small = ["--examples", "4", "--steps", "2", "--asked", "2"]
    regression.main([*arguments, *small, "--out", str(tmp_path / "out.json")])
    results = json.loads((tmp_path / "out.json").read_text())
    assert list(results) == ["always the same", *VIEWS]
    for view in VIEWS:
        assert results[view]["thirty, paper"]["mse"] > 0.0
        assert set(results["always the same"]) < set(results[view])
