from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import unsquash.weights
from unsquash.errors import UnknownModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.options import DEFAULT_MODEL
from unsquash.weights import list_entries, load_gain_net, read_gain_net, verified_path

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("entry", list_entries(), ids=lambda entry: entry.name)
def test_every_entry_is_whole_small_and_has_a_card(entry: unsquash.weights.WeightsEntry) -> None:
    path = verified_path(entry)
    assert path.stat().st_size == entry.bytes <= 5_000_000
    card = (REPOSITORY / "models" / entry.name / "README.md").read_text()
    assert entry.licence in card
    assert (REPOSITORY / "models" / entry.name / "results.json").is_file()


def test_every_entry_travels_in_the_wheel() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for entry in list_entries():
        source = f"models/{entry.name}/model.safetensors"
        assert included[source] == f"unsquash/{source}"


def test_the_default_model_loads_ready_to_run() -> None:
    net = load_gain_net(DEFAULT_MODEL)
    assert not net.training
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_a_path_needs_no_entry() -> None:
    path = verified_path(list_entries()[0])
    assert load_gain_net(str(path)).config == load_gain_net(list_entries()[0].name).config


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModelError) as caught:
        load_gain_net("gain-huge")
    assert DEFAULT_MODEL in caught.value.hint


def test_changed_bytes_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = list_entries()[0]
    data = bytearray(verified_path(entry).read_bytes())
    data[-1] ^= 1
    (tmp_path / entry.name).mkdir()
    (tmp_path / entry.name / "model.safetensors").write_bytes(data)
    monkeypatch.setattr(unsquash.weights, "FOLDERS", (tmp_path,))
    with pytest.raises(WeightsCorruptError):
        load_gain_net(entry.name)


def test_missing_weights_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsquash.weights, "FOLDERS", (tmp_path,))
    with pytest.raises(WeightsUnavailableError) as caught:
        load_gain_net(DEFAULT_MODEL)
    assert caught.value.hint


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.safetensors", tmp_path / "foreign.safetensors"
    text.write_text("not a network")
    save_file({"a": torch.zeros(3)}, foreign)
    for path in (text, foreign):
        with pytest.raises(WeightsCorruptError):
            read_gain_net(path)
    with pytest.raises(WeightsUnavailableError):
        read_gain_net(tmp_path / "absent.safetensors")
