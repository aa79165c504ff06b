"""From a trained checkpoint to what is shipped: weights, card, results and manifest entry, in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unsquash.errors import WeightsUnavailableError
from unsquash.weights.manifest import (
    MANIFEST,
    TASKS,
    PackageSource,
    Source,
    WeightsEntry,
    manifest_text,
    read_manifest,
)
from unsquash.weights.tensors import build, from_bytes, to_bytes, write_whole


def export(
    checkpoint: Path,
    folder: Path,
    *,
    description: str,
    results: Mapping[str, Any],
    licence: str = "MIT",
    attribution: str = "the unsquash contributors",
    sources: tuple[Source, ...] = (PackageSource(),),
    manifest: Path = MANIFEST,
) -> WeightsEntry:
    """Write `model.safetensors`, `README.md` and `results.json` into a folder and its entry into a manifest.

    Args:
        checkpoint: a trained network as training saves it.
        folder: the model's own; its last part is the model's name.
        description: the card's prose: what it was trained on, what it is good and bad at.
        results: figures, as JSON.
        licence: of the weights.
        attribution: whose they are.
        sources: where users will find them.
        manifest: what to add the entry to, or replace it in.

    Raises:
        WeightsUnavailableError: there is no such checkpoint.
        WeightsCorruptError: the checkpoint is damaged or fits no network.
    """
    try:
        stored = from_bytes(checkpoint.read_bytes(), str(checkpoint))
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot read {checkpoint}: {error.strerror}", hint="check the path"
        ) from error
    build(stored, str(checkpoint))
    data = to_bytes(stored)
    config = json.loads(stored.config_json)
    entry = WeightsEntry(
        name=folder.name,
        task=TASKS[stored.network],
        network=stored.network,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        sample_rate=int(config["sample_rate"]),
        licence=licence,
        attribution=attribution,
        sources=sources,
        config=config,
    )
    entries = {known.name: known for known in read_manifest(manifest)} if manifest.exists() else {}
    entries[entry.name] = entry
    write_whole(folder / "model.safetensors", data)
    write_whole(folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    write_whole(folder / "README.md", card(entry, description, results).encode())
    write_whole(manifest, manifest_text(entries.values()).encode())
    return entry


def card(entry: WeightsEntry, description: str, results: Mapping[str, Any]) -> str:
    """Write a model card: prose, facts that must match the file, figures."""
    facts = {
        "task": entry.task,
        "network": entry.network,
        "hears": f"{entry.sample_rate} Hz",
        "size": f"{entry.bytes} bytes",
        "SHA-256": f"`{entry.sha256}`",
        "licence": entry.licence,
        "by": entry.attribution,
    }
    lines = [f"# {entry.name}", "", description.strip(), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "## Results", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_figure(value)} |" for name, value in _flat(results).items()]
    return "\n".join(lines) + "\n"


def _flat(results: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in results.items():
        flat |= (
            _flat(value, f"{before}{name} · ") if isinstance(value, Mapping) else {f"{before}{name}": value}
        )
    return flat


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
