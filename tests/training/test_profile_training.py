"""Training of the profile network, on next to nothing."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from unsquash.analysis.space import NOTHING
from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import AudioReadError, OptionError
from unsquash.nets.features import Features
from unsquash.nets.profile import EXCERPT_FRAMES, ProfileNet, ProfileNetConfig
from unsquash.training.checkpoint import load_profile_net
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.profiles.evaluate import Trial, accuracy, excerpt_trials, reliability, settings_mse
from unsquash.training.profiles.examples import (
    ProfileExample,
    ProfileSource,
    add_noise,
    profile_sets,
    squash,
    to_example,
)
from unsquash.training.profiles.priors import COMPANIES, Drawn, candidates, draw
from unsquash.training.profiles.train import (
    ProfileRecipe,
    ProfileTrainer,
    collate,
    load_profile_recipe,
    train,
    validate,
)
from unsquash.units import Float64Array

REPOSITORY = Path(__file__).parents[2]
SETS = profile_sets()
FIVE = [*SETS[0], NOTHING]
TINY = ProfileRecipe(
    name="tiny",
    batch=4,
    candidates=4,
    pool_examples=4,
    warmup_steps=5,
    learning_rate=5e-3,
    ema_decay=0.5,
    validation_examples=3,
    net=ProfileNetConfig(
        mel_bands=8,
        fine_channels=16,
        coarse_channels=16,
        candidate_fine_channels=8,
        candidate_coarse_channels=16,
        fine_dilations=(1,),
        coarse_dilations=(1, 2),
        candidate_fine_dilations=(1,),
        candidate_coarse_dilations=(1, 2),
    ),
)


@pytest.fixture(scope="module")
def examples(song: Float64Array) -> list[ProfileExample]:
    torch.set_num_threads(1)
    features = Features(8, SAMPLE_RATE)
    piece = song[:, : EXCERPT_FRAMES * 256] / np.abs(song).max()
    return [
        to_example(
            squash(piece, truth, "paper"), Drawn(truth=truth, company="set", rivals=tuple(FIVE)), features
        )
        for truth in FIVE
    ]


def test_one_batch_is_overfitted(examples: list[ProfileExample]) -> None:
    trainer = ProfileTrainer(TINY, torch.device("cpu"))
    rng = np.random.default_rng(0)
    before = validate(trainer.average, examples, 6, torch.device("cpu"))
    for step in range(80):
        trainer.step(collate(examples, 6, rng), step / 80)
    after = validate(trainer.average, examples, 6, torch.device("cpu"))
    assert before["unseen_loss"] > 1.5
    assert after["unseen_loss"] < 0.7 * before["unseen_loss"]
    assert after["right_set"] > before["right_set"]


def test_a_resumed_training_goes_on_where_it_stopped(examples: list[ProfileExample], tmp_path: Path) -> None:
    batch = collate(examples, 4, np.random.default_rng(0))
    first, second = (ProfileTrainer(TINY, torch.device("cpu")) for _ in range(2))
    for _ in range(3):
        first.step(batch, 0.1)
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    assert second.progress == first.progress
    assert first.step(batch, 0.1) == second.step(batch, 0.1)


def test_a_compiled_network_takes_the_same_steps(examples: list[ProfileExample]) -> None:
    batch = collate(examples, 4, np.random.default_rng(0))
    first, second = (ProfileTrainer(TINY, torch.device("cpu")) for _ in range(2))
    second.net.compile(backend="aot_eager")
    for _ in range(3):
        assert first.step(batch, 0.1) == pytest.approx(second.step(batch, 0.1), rel=0.02)


@pytest.fixture
def source(corpus_folder: Path, cache_folder: Path) -> ProfileSource:
    return ProfileSource(
        audio=[corpus_folder],
        cache=cache_folder,
        validation_artists=("b",),
        mel_bands=8,
        seed=1,
        sets=tuple(map(tuple, SETS)),
    )


def test_a_training_leaves_a_network_that_loads(source: ProfileSource, tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, validation_artists=("b",), minutes=0.05, validate_every=1000)
    train(recipe, source, tmp_path, device="cpu", workers=1, minutes=1.0, resume=False)
    row = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert row["step"] >= 1
    assert load_profile_net(tmp_path / "model.safetensors").config == recipe.net


def test_a_training_compiles_the_network_only_if_asked(
    source: ProfileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(ProfileNet, "compile", lambda net: compiled.append(net))
    recipe = dataclasses.replace(TINY, validation_artists=("b",), minutes=0.02)
    for wanted, count in ((False, 0), (True, 1)):
        out = tmp_path / str(count)
        train(recipe, source, out, device="cpu", workers=1, minutes=1.0, resume=False, compiled=wanted)
        assert len(compiled) == count


def test_an_example_depends_on_its_number_only(source: ProfileSource) -> None:
    all_of_them = source.generate("train", 0, 1)
    some = source.generate("train", 1, 2)
    third = [next(all_of_them) for _ in range(4)][3]
    again = [next(some) for _ in range(2)][1]
    assert np.array_equal(third.features, again.features)
    assert third.drawn.truth == again.drawn.truth


def test_the_true_one_comes_first_and_no_rival_equals_it() -> None:
    rng = np.random.default_rng(0)
    companies = set()
    for _ in range(300):
        drawn = draw(SETS, rng)
        companies.add(drawn.company)
        first, *rivals = candidates(drawn, 12, rng)
        assert first == drawn.truth
        assert len(rivals) == 11
        assert first not in rivals
        assert sum(params.ratio == 1.0 for params in (first, *rivals)) <= 1
    assert companies == set(COMPANIES)


@pytest.mark.parametrize("group", [0, 1])
def test_every_member_of_a_set_may_be_the_true_one(group: int) -> None:
    """Uniform among the candidates of a known set: nothing in the company tells which is true."""
    rng = np.random.default_rng(1)
    drawn = [draw([SETS[group]], rng) for _ in range(6000)]
    counts = [
        sum(d.truth == params for d in drawn if d.company == "set") for params in [*SETS[group], NOTHING]
    ]
    assert min(counts) > 0.6 * np.mean(counts)
    assert max(counts) < 1.5 * np.mean(counts)


def test_in_situ_is_the_end_of_the_piece_and_has_settled(song: Float64Array) -> None:
    params = load_profile_set("five")["five/D"]
    piece = song[:, : 6 * SAMPLE_RATE] / np.abs(song).max()
    excerpt = squash(piece, params, "in-situ")
    assert not excerpt.from_rest
    assert np.array_equal(excerpt.original, piece[:, -excerpt.original.shape[1] :])
    beginning = np.abs(excerpt.squashed[:, :2000]).max() / np.abs(excerpt.original[:, :2000]).max()
    assert beginning < 0.9
    assert np.array_equal(squash(piece, NOTHING, "in-situ").squashed, excerpt.original)


def test_what_came_before_makes_the_state_known(song: Float64Array) -> None:
    piece, features = song[:, : 9 * SAMPLE_RATE] / np.abs(song).max(), Features(8, SAMPLE_RATE)
    errors = []
    for params in SETS[1][:12]:
        drawn = Drawn(truth=params, company="set")
        led, alone = (
            to_example(squash(piece, params, "in-situ", seconds * SAMPLE_RATE), drawn, features)
            for seconds in (4, 0)
        )
        assert led.state_known
        assert not alone.state_known
        assert np.array_equal(led.level, alone.level)
        gain_db = compress(piece, SAMPLE_RATE, dataclasses.replace(params, link="max")).gain_db[0]
        truth = gain_db[-EXCERPT_FRAMES * 256 :].reshape(-1, 256).mean(axis=1)
        errors.append([np.square(one.curves_db([params])[0] - truth).mean() ** 0.5 for one in (led, alone)])
    knowing, guessing = np.median(errors, axis=0)
    assert knowing < 0.5 * guessing


def test_noise_has_the_level_asked_for(song: Float64Array) -> None:
    excerpt = squash(song / np.abs(song).max(), NOTHING, "paper")
    noisy = add_noise(excerpt, 30.0, np.random.default_rng(0))
    noise = noisy.squashed - excerpt.squashed
    ratio = np.square(excerpt.squashed).mean() / np.square(noise).mean()
    assert 10.0 * np.log10(ratio) == pytest.approx(30.0, abs=0.1)


def test_reliability_sorts_by_what_was_stated() -> None:
    trials = [
        Trial(truth=1, said=1 if sure else k % 2, probability=0.95 if sure else 0.5, squared_error=0.0)
        for sure in (True, False)
        for k in range(10)
    ]
    assert accuracy(trials) == 0.75
    low, high = reliability(trials, (0.0, 0.9, 1.01))
    assert (low["true"], low["count"]) == (0.5, 10)
    assert (high["true"], high["stated"]) == (1.0, pytest.approx(0.95))


def test_the_shipped_recipe_is_understood(tmp_path: Path) -> None:
    recipe = load_profile_recipe(REPOSITORY / "models" / "profile-small" / "recipe.toml")
    assert recipe.name == "profile-small"
    (tmp_path / "bad.toml").write_text("nonsense = 1")
    with pytest.raises(OptionError, match=r"bad\.toml"):
        load_profile_recipe(tmp_path / "bad.toml")


def test_settings_of_nothing_have_no_error() -> None:
    trials = [Trial(truth=1, said=1, probability=0.9, squared_error=error) for error in (0.2, math.nan, 0.4)]
    assert settings_mse(trials) == pytest.approx(0.3)
    assert math.isnan(settings_mse(trials[1:2]))


def test_pieces_longer_than_all_recordings_are_not_looked_for_for_ever(source: ProfileSource) -> None:
    tracks, net = source.tracks("train"), ProfileNet(TINY.net)
    with pytest.raises(AudioReadError, match="15 s is loud enough"):
        excerpt_trials(net, tracks, FIVE, "in-situ", count=1, seed=1)


def test_a_part_without_tracks_is_an_error(source: ProfileSource) -> None:
    with pytest.raises(AudioReadError, match="judging"):
        source.tracks("judging")
