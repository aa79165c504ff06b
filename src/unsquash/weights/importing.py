"""Weights from elsewhere, brought in once; the only place that opens what is not safetensors."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from unsquash.errors import InputError, ModelError, OptionError, WeightsCorruptError
from unsquash.weights.manifest import (
    TASKS,
    WeightsEntry,
    cached_path,
    find_entry,
    local_manifest,
    manifest_text,
    model_dir,
    read_manifest,
)
from unsquash.weights.tensors import Stored, build, from_bytes, to_bytes, write_whole

if TYPE_CHECKING:
    from unsquash.nets.delimiter import DelimiterConfig

UNKNOWN_LICENCE = "unknown"


def import_file(path: Path, name: str | None = None) -> list[WeightsEntry]:
    """Bring a local file in under a name of its own, so that it stays, verified, and can be named.

    Args:
        path: a `.safetensors` file of ours; a De-limiter checkpoint `.pth` with its `.json` beside it; or a
            `.toml` of manifest entries, which only makes their names known.
        name: what to call it; by default after the file or, for a plain `model.safetensors`, its folder.

    Raises:
        ModelError: it is damaged, of another kind, or the name is taken.
        InputError: there is no such file.
    """
    data = _read(path)
    if path.suffix == ".toml":
        entries = read_manifest(path, local=True)
        if not entries:
            raise WeightsCorruptError(
                f"{path} names no model", hint="see docs/models.md for what it should say"
            )
        for entry in entries:
            _refuse_shipped(entry.name)
        for entry in entries:
            _note(entry)
        return entries
    if path.suffix == ".pth":
        stored = _stored_checkpoint(data, path)
    elif path.suffix == ".safetensors":
        stored = from_bytes(data, str(path))
    else:
        raise WeightsCorruptError(
            f"{path} is of no kind that can be imported", hint="a .safetensors, a .pth or a manifest's .toml"
        )
    name = name or (path.parent.name if path.stem == "model" else path.stem).lower().replace("_", "-")
    return [_adopt(stored, name)]


def convert_checkpoint(data: bytes, config: Mapping[str, Any], name: str) -> bytes:
    """Turn the authors' De-limiter checkpoint into our sealed safetensors.

    Args:
        data: the checkpoint.
        config: our names of the network's sizes.
        name: what to call it in messages.

    Raises:
        WeightsCorruptError: it is no such checkpoint.
    """
    from unsquash.nets.delimiter import DelimiterConfig

    return to_bytes(_delimiter(data, DelimiterConfig.from_json(json.dumps(dict(config))), name))


def _stored_checkpoint(data: bytes, path: Path) -> Stored:
    from unsquash.nets.published import published_config

    beside = [file for file in (path.with_suffix(".json"), path.with_name("args.json")) if file.is_file()]
    if not beside:
        raise WeightsCorruptError(
            f"the settings of {path} are missing",
            hint=f"put the authors' {path.with_suffix('.json').name} beside it",
        )
    try:
        settings = json.loads(beside[0].read_bytes())
        config = published_config(settings)
    except (ValueError, RecursionError) as error:
        raise WeightsCorruptError(f"{beside[0]} is not JSON: {error}") from error
    return _delimiter(data, config, str(path))


def _delimiter(data: bytes, config: DelimiterConfig, name: str) -> Stored:
    from unsquash.nets.published import published_tensors

    tensors = {key: item.detach() for key, item in published_tensors(_load_checkpoint(data, name)).items()}
    stored = Stored(network="delimiter", config_json=config.to_json(), tensors=tensors)
    build(stored, name)
    return stored


def _load_checkpoint(data: bytes, name: str) -> dict[str, Any]:
    """Open a checkpoint with torch's restricted reader, which builds tensors and runs nothing."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about odd formats, which are then refused
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError, IndexError,
        TypeError, AttributeError, OSError, AssertionError,
    ) as error:  # fmt: skip
        raise WeightsCorruptError(
            f"{name} is not a checkpoint of tensors: {str(error).splitlines()[0] if str(error) else error!r}",
            hint="a checkpoint that wants to run code is not opened",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(item, torch.Tensor) for item in found.values()):
        raise WeightsCorruptError(f"{name} is not a checkpoint of tensors")
    return found


def _adopt(stored: Stored, name: str) -> WeightsEntry:
    """Put tensors that fit their network into the cache, and their entry into the local manifest."""
    data = to_bytes(stored)
    build(stored, name)
    config = json.loads(stored.config_json)
    try:
        entry = WeightsEntry(
            name=name,
            task=TASKS[stored.network],
            network=stored.network,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            sample_rate=int(config["sample_rate"]),
            licence=UNKNOWN_LICENCE,
            attribution="imported on this machine",
            config=MappingProxyType(config),
            local=True,
        )
    except OptionError as error:
        raise ModelError(str(error), hint="choose a name with --name") from error
    _refuse_shipped(name)
    _write(cached_path(entry), data)
    _note(entry)
    return entry


def _note(entry: WeightsEntry) -> None:
    """Write an entry down; the file of another that had its name goes."""
    before = _refuse_shipped(entry.name)
    _write(local_manifest(entry.name), manifest_text([entry]).encode())
    if before is not None and before.sha256 != entry.sha256:
        with contextlib.suppress(OSError):
            cached_path(before).unlink()


def _refuse_shipped(name: str) -> WeightsEntry | None:
    """Return what a name stands for on this machine so far."""
    try:
        known = find_entry(name)
    except ModelError:
        return None
    if not known.local:
        raise ModelError(f"'{name}' is the name of a shipped model", hint="choose another with --name")
    return known


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}", hint="check the path") from error


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise ModelError(
            f"cannot write into {model_dir()}: {error}", hint="choose another folder with --model-dir"
        ) from error
