"""What is shipped: manifest, files, cards, and the packaging, tied together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest
import torch

from unsquash.errors import UnknownModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.nets.delimiter import DelimiterConfig
from unsquash.options import DEFAULT_MODEL
from unsquash.weights import (
    PackageSource,
    WheelSource,
    find_entry,
    list_entries,
    load_gain_net,
    load_net,
    store,
    verified_path,
)
from unsquash.weights.manifest import MANIFEST, manifest_text, read_manifest
from unsquash.weights.tensors import read_metadata

REPOSITORY = Path(__file__).parents[2]
SHIPPED = read_manifest(MANIFEST)
PACKAGED = [entry for entry in SHIPPED if PackageSource() in entry.sources]
LIBRARY = sorted((REPOSITORY / "src").rglob("*.py"))


@pytest.mark.parametrize("entry", PACKAGED, ids=lambda entry: entry.name)
def test_manifest_card_and_file_agree(entry):
    path = verified_path(entry)
    assert path.stat().st_size == entry.bytes <= 5_000_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    metadata = read_metadata(path.read_bytes(), entry.name)
    assert json.loads(metadata["config"]) == dict(entry.config)
    assert metadata.get("network", "gain") == entry.network
    card = (REPOSITORY / "models" / entry.name / "README.md").read_text(encoding="utf-8")
    for fact in (entry.name, entry.sha256, entry.licence, f"{entry.bytes} bytes"):
        assert fact in card
    results = json.loads((REPOSITORY / "models" / entry.name / "results.json").read_text())
    assert results


@pytest.mark.parametrize("entry", PACKAGED, ids=lambda entry: entry.name)
def test_packaged_weights_travel_in_the_wheel(entry):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in ("model.safetensors", "README.md"):
        source = f"models/{entry.name}/{name}"
        assert included[source] == f"unsquash/{source}"


def test_the_manifest_is_written_as_it_is_read():
    assert MANIFEST.read_text(encoding="utf-8") == manifest_text(SHIPPED)


def test_the_default_is_packaged_so_that_no_network_is_needed():
    assert PackageSource() in find_entry(DEFAULT_MODEL).sources


def test_the_published_delimiter_keeps_its_sizes():
    entry = find_entry("delimiter-2023")
    assert dict(entry.config) == dataclasses.asdict(DelimiterConfig())
    assert isinstance(entry.sources[0], WheelSource)


def test_the_default_model_loads_ready_to_run():
    net = load_gain_net(DEFAULT_MODEL)
    assert not net.training
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_a_path_needs_no_entry():
    path = verified_path(find_entry(DEFAULT_MODEL))
    assert load_net(str(path)).config == load_net(DEFAULT_MODEL).config


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownModelError) as caught:
        load_net("gain-huge")
    assert DEFAULT_MODEL in caught.value.hint


def test_a_changed_package_is_noticed_and_left_in_place(tmp_path, monkeypatch):
    entry = find_entry(DEFAULT_MODEL)
    data = bytearray(verified_path(entry).read_bytes())
    data[-1] ^= 1
    path = tmp_path / entry.name / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(data)
    monkeypatch.setattr(store, "FOLDERS", (tmp_path,))
    with pytest.raises(WeightsCorruptError, match="promises") as caught:
        load_net(entry.name)
    assert "reinstall" in caught.value.hint
    assert path.is_file()


def test_a_missing_package_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FOLDERS", (tmp_path,))
    monkeypatch.setenv("UNSQUASH_MODEL_DIR", str(tmp_path / "cache"))
    with pytest.raises(WeightsUnavailableError, match=DEFAULT_MODEL) as caught:
        load_net(DEFAULT_MODEL)
    assert f"unsquash models pull {DEFAULT_MODEL}" in caught.value.hint


def test_only_the_import_function_opens_what_can_run_code():
    assert len(LIBRARY) > 40
    offenders = {
        path.name
        for path in LIBRARY
        if re.search(r"\bpickle\b|torch\.load\(|allow_pickle|joblib|dill|\bmarshal\b", path.read_text())
    }
    assert offenders == {"importing.py"}
    code = (REPOSITORY / "src/unsquash/weights/importing.py").read_text()
    assert len(re.findall(r"torch\.load\(", code)) == 1
    assert re.search(r"torch\.load\([^)]*\), map_location=\"cpu\", weights_only=True\)", code)


def test_shipped_names_are_unique_and_listed_first():
    names = [entry.name for entry in list_entries()]
    assert len(names) == len(set(names))
    assert names[: len(SHIPPED)] == [entry.name for entry in SHIPPED]
