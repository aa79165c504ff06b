"""From a checkpoint to what is shipped, in one step."""

from __future__ import annotations

import hashlib
import json

import pytest
from safetensors.torch import save_file

from unsquash.errors import OptionError, WeightsCorruptError, WeightsUnavailableError
from unsquash.training import export as command
from unsquash.weights import FileSource, export, find_entry, import_file, load_net
from unsquash.weights.manifest import manifest_text, read_manifest

RESULTS = {"limiters": {"si_sdr_gain_db": 2.5}, "pieces": 9}


@pytest.fixture
def trained(tmp_path, tiny):
    """A checkpoint without a seal, as other writers of safetensors leave it."""
    path = tmp_path / "checkpoint.safetensors"
    save_file(dict(tiny.tensors), path, {"config": tiny.config_json, "network": tiny.network})
    return path


def test_one_step_writes_all_four(trained, tmp_path, tiny):
    folder, manifest = tmp_path / "models" / "ours", tmp_path / "weights.toml"
    entry = export(trained, folder, description="Trained on a beat.", results=RESULTS, manifest=manifest)
    data = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry.sha256
    assert len(data) == entry.bytes
    assert read_manifest(manifest) == [entry]
    assert json.loads((folder / "results.json").read_text()) == RESULTS
    card = (folder / "README.md").read_text()
    for said in ("# ours", "Trained on a beat.", entry.sha256, "MIT", "limiters · si_sdr_gain_db | 2.5"):
        assert said in card
    assert load_net(str(folder / "model.safetensors")).config.to_json() == tiny.config_json


def test_exporting_again_changes_nothing_and_keeps_others(trained, tmp_path):
    manifest = tmp_path / "weights.toml"
    for name in ("one", "two", "one"):
        export(trained, tmp_path / name, description="x", results={}, manifest=manifest)
    assert [entry.name for entry in read_manifest(manifest)] == ["one", "two"]
    assert manifest.read_text() == manifest_text(read_manifest(manifest))


def test_a_damaged_checkpoint_is_not_exported(trained, tmp_path):
    trained.write_bytes(trained.read_bytes()[:-8])
    with pytest.raises(WeightsCorruptError):
        export(trained, tmp_path / "ours", description="x", results={}, manifest=tmp_path / "w.toml")
    assert not (tmp_path / "ours").exists()


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(WeightsUnavailableError, match=r"none\.safetensors"):
        export(tmp_path / "none.safetensors", tmp_path / "ours", description="x", results={})


def test_from_the_command_line(trained, tmp_path, capsys):
    (tmp_path / "card.md").write_text("Prose.")
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    manifest = tmp_path / "weights.toml"
    files = {"--description": "card.md", "--results": "results.json", "--manifest": "weights.toml"}
    flags = [text for flag, name in files.items() for text in (flag, str(tmp_path / name))]
    command.main([str(trained), str(tmp_path / "ours"), "--licence", "CC0-1.0", *flags])
    (entry,) = read_manifest(manifest)
    assert entry.sha256 in capsys.readouterr().out
    assert entry.licence == "CC0-1.0"


@pytest.mark.parametrize("results", ["{", "[1]", None])
def test_figures_that_are_none_are_refused_before_anything_is_written(trained, tmp_path, results):
    (tmp_path / "card.md").write_text("Prose.")
    if results is not None:
        (tmp_path / "results.json").write_text(results)
    files = {"--description": "card.md", "--results": "results.json", "--manifest": "weights.toml"}
    flags = [text for flag, name in files.items() for text in (flag, str(tmp_path / name))]
    with pytest.raises(OptionError, match=r"results\.json"):
        command.main([str(trained), str(tmp_path / "ours"), *flags])
    assert not (tmp_path / "ours").exists()
    assert not (tmp_path / "weights.toml").exists()


def test_what_was_exported_can_be_pinned_on_another_machine(trained, machine, tiny):
    manifest = machine / "ours.toml"
    path = machine / "share" / "model.safetensors"
    source = FileSource(path=str(path))
    export(trained, machine / "ours", description="x", results={}, sources=(source,), manifest=manifest)
    path.parent.mkdir()
    (machine / "ours" / "model.safetensors").rename(path)
    import_file(manifest)
    assert load_net("ours").config.to_json() == tiny.config_json
    path.unlink()
    assert find_entry("ours").local
    assert load_net("ours").config.to_json() == tiny.config_json
