from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from unsquash.errors import ModelError, OptionError, OutputError
from unsquash.training.checkpoint import load_net, save_net
from unsquash.training.examples import NetExample, Source
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.training.recipe import Recipe, load_recipe
from unsquash.training.train import Trainer, train
from unsquash.training.validate import collate, si_sdr_db, validate
from unsquash.weights import read_gain_net

REPOSITORY = Path(__file__).parents[2]


def an_example(seed: int) -> NetExample:
    """Features of which one is the answer."""
    rng = np.random.default_rng(seed)
    reduction_db = np.repeat(rng.uniform(0.0, 8.0, 64), 16).astype(np.float16)
    features = rng.standard_normal((58, 256)).astype(np.float16)
    features[seed % 2] = reduction_db[::4] / 4
    return NetExample(
        features=features,
        reduction_db=reduction_db,
        energy=np.ones(1024, dtype=np.float32),
        verdict=seed % 3,
        amount_db=np.array([4.0, 8.0, 2.0], dtype=np.float32),
    )


def test_one_batch_is_overfitted(tiny_recipe: Recipe) -> None:
    recipe = dataclasses.replace(tiny_recipe, ema_decay=0.5)
    trainer = Trainer(recipe, torch.device("cpu"))
    examples = [an_example(0), an_example(1)]
    before = validate(trainer.average, examples, torch.device("cpu"))["gain_limited_db"]
    for step in range(60):
        trainer.step(collate(examples), step / 60, np.random.default_rng(step))
    after = validate(trainer.average, examples, torch.device("cpu"))
    assert before < 1.0
    assert after["gain_limited_db"] > 8.0
    assert after["verdict_right"] == 1.0


def test_a_resumed_training_goes_on_where_it_stopped(tiny_recipe: Recipe, tmp_path: Path) -> None:
    batch = collate([an_example(0), an_example(1)])
    first = Trainer(tiny_recipe, torch.device("cpu"))
    for step in range(3):
        first.step(batch, 0.1, np.random.default_rng(step))
    first.save(tmp_path / "state.safetensors")
    second = Trainer(tiny_recipe, torch.device("cpu"))
    second.load(tmp_path / "state.safetensors")
    assert second.progress == first.progress
    losses = [trainer.step(batch, 0.1, np.random.default_rng(9)) for trainer in (first, second)]
    assert losses[0] == losses[1]
    for one, two in zip(first.net.parameters(), second.net.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_the_shipped_file_rebuilds_the_network(tiny_recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe, torch.device("cpu"))
    save_net(trainer.average, tmp_path / "model.safetensors")
    net = read_gain_net(tmp_path / "model.safetensors")
    assert net.config == tiny_recipe.net
    torch.testing.assert_close(net.leave.weight, trainer.average.leave.weight, atol=1e-5, rtol=1e-3)


def test_the_same_network_gives_the_same_file_and_a_turned_bit_is_noticed(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    trainer, path = Trainer(tiny_recipe, torch.device("cpu")), tmp_path / "model.safetensors"
    files = set()
    for _ in range(12):
        save_net(trainer.average, path)
        files.add(path.read_bytes())
    assert len(files) == 1
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_net(path)


@pytest.mark.slow
def test_the_whole_way_from_audio_to_weights(
    tiny_recipe: Recipe, corpus_folder: Path, cache_folder: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        tiny_recipe, minutes=0.05, validation_examples=2, validation_artists=("b",), pool_examples=4
    )
    source = Source(
        audio=[corpus_folder],
        cache=cache_folder,
        validation_artists=recipe.validation_artists,
        mel_bands=recipe.net.mel_bands,
        noise_bands=recipe.net.noise_bands,
        seed=recipe.seed,
        plugin_share=0.0,
    )
    train(recipe, source, tmp_path, device="cpu", workers=1, minutes=0.05, resume=False)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] > 0
    assert rows[-1]["examples"] >= 4
    assert read_gain_net(tmp_path / "model.safetensors").config == recipe.net


def test_crops_of_features_and_targets_stay_together() -> None:
    example = an_example(0)
    crop = collate([example]).cropped(64, np.random.default_rng(1))
    np.testing.assert_array_equal(crop.reduction_db[0, ::4] / 4, crop.features[0, 0])


def test_si_sdr_of_a_constant_gain_is_capped_and_of_a_known_error_is_known() -> None:
    energy = torch.ones((2, 1000))
    error_db = torch.full((2, 1000), 5.0)
    error_db[1, ::2] = 5.5
    first, second = si_sdr_db(error_db, energy).tolist()
    assert first == pytest.approx(40.0)
    assert second == pytest.approx(-20 * np.log10(np.tanh(0.25 * np.log(10) / 20)), abs=0.05)


def test_every_shipped_recipe_loads() -> None:
    recipes = sorted((REPOSITORY / "models").glob("gain-*/recipe.toml"))
    assert recipes
    for path in recipes:
        recipe = load_recipe(path)
        assert recipe.name == path.parent.name
        assert recipe.validation_artists


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "colour = 1",
        "name = 'x'\nbatch = 0",
        "name = 'x'\nbatch = 2.5",
        "name = 'x'\nminutes = nan",
        "name = 'x'\nminutes = 0",
        "name = 'x'\ncrop_frames = 6",
        "name = 'x'\nlearning_rate = -1",
        "name = 'x'\nvalidation_artists = 'all of them'",
        "name = 'x'\nnet = 3",
        "name = 'x'\n[net]\nfoo = 1",
        "name = '\xff'",
    ],
)
def test_a_wrong_recipe_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(OptionError, match=r"recipe\.toml"):
        load_recipe(tmp_path / "recipe.toml")
    if "crop_frames" not in text:
        with pytest.raises(OptionError, match=r"recipe\.toml"):
            load_profile_recipe(tmp_path / "recipe.toml")


def test_a_state_that_does_not_fit_is_refused_and_named(tiny_recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    trainer = Trainer(tiny_recipe, torch.device("cpu"))
    with pytest.raises(ModelError, match=r"state\.safetensors"):
        trainer.load(path)
    trainer.save(path)
    larger = dataclasses.replace(tiny_recipe, net=dataclasses.replace(tiny_recipe.net, embedding_channels=4))
    with pytest.raises(ModelError, match="of another network"):
        Trainer(larger, torch.device("cpu")).load(path)
    save_net(trainer.average, tmp_path / "model.safetensors")
    for damaged in ((tmp_path / "model.safetensors").read_bytes(), path.read_bytes()[:-8], b""):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"state\.safetensors"):
            trainer.load(path)


def test_weights_to_begin_with_that_do_not_fit_are_refused(tiny_recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe, torch.device("cpu"))
    with pytest.raises(ModelError, match="do not fit"):
        trainer.begin_with(load_net(REPOSITORY / "models/gain-small/model.safetensors").state_dict())
    with pytest.raises(ModelError, match="of the kind 'profile'"):
        load_net(REPOSITORY / "models/profile-small/model.safetensors")
    with pytest.raises(ModelError, match=r"a\.safetensors"):
        load_net(tmp_path / "a.safetensors")
    torch.save({}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"a\.safetensors"):
        load_net(tmp_path / "a.safetensors")


def test_what_cannot_be_saved_leaves_the_last_state_as_it_was(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tiny_recipe, torch.device("cpu"))
    trainer.save(tmp_path / "state.safetensors")
    before = (tmp_path / "state.safetensors").read_bytes()

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OutputError, match=r"state\.safetensors"):
        trainer.save(tmp_path / "state.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    assert (tmp_path / "state.safetensors").read_bytes() == before
