"""Where weights lie on this machine, and the check that they are what the manifest promises."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unsquash.errors import ModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.weights import sources
from unsquash.weights.manifest import (
    HubSource,
    PackageSource,
    WeightsEntry,
    cached_path,
    local_manifest,
)

FOLDERS = (Path(__file__).parents[1] / "models", Path(__file__).parents[3] / "models")
"""Where packaged weights lie: in the installed package, or in the repository it is developed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where an entry's file is: in the package, in a cache, or not here."""

    place: Literal["packaged", "cached", "remote"]
    path: Path | None = None


def status(entry: WeightsEntry) -> Status:
    """Find an entry's file without touching the network, and without checking it."""
    if PackageSource() in entry.sources:
        for folder in FOLDERS:
            path = folder / entry.name / "model.safetensors"
            if path.is_file():
                return Status(place="packaged", path=path)
    path = cached_path(entry)
    if path.is_file():
        return Status(place="cached", path=path)
    for source in entry.sources:
        if isinstance(source, HubSource) and (found := sources.in_hub_cache(source)) is not None:
            return Status(place="cached", path=found)
    return Status(place="remote")


def verified_path(entry: WeightsEntry) -> Path:
    """Find an entry's file on this machine and check every byte; a cached impostor is removed.

    Raises:
        WeightsUnavailableError: it is not here.
        WeightsCorruptError: it is not what the manifest promises.
    """
    return _verified(entry)[0]


def obtain(entry: WeightsEntry) -> bytes:
    """Return the verified bytes of an entry's file; only where there is none, fetch it first.

    Raises:
        WeightsUnavailableError: it is not here and cannot be fetched.
        WeightsCorruptError: what is here, or what was fetched, is not what the manifest promises.
    """
    if status(entry).path is None:
        sources.fetch(entry, cached_path(entry), lambda: status(entry).path is not None)
    return _verified(entry)[1]


def pull(entry: WeightsEntry) -> Path:
    """Return an entry's verified file, fetched where it is missing or, with a network, damaged.

    Raises:
        WeightsUnavailableError: it cannot be fetched.
        WeightsCorruptError: what was fetched is not what the manifest promises.
    """
    try:
        return verified_path(entry)
    except WeightsUnavailableError:
        obtain(entry)
    except WeightsCorruptError:
        if sources.is_offline():
            raise
        obtain(entry)
    return verified_path(entry)


def remove(entry: WeightsEntry) -> list[Path]:
    """Remove what this machine keeps of an entry, and an entry that was added here; return what went.

    Raises:
        ModelError: the file is a part of the installed package.
    """
    removed = []
    while (found := status(entry)).path is not None:
        if found.place == "packaged":
            raise ModelError(
                f"'{entry.name}' is a part of unsquash itself", hint="it goes when unsquash is uninstalled"
            )
        sources.discard(found.path)
        removed.append(found.path)
    manifest = local_manifest(entry.name)
    if entry.local and manifest.is_file():
        manifest.unlink()
        removed.append(manifest)
    return removed


def card_of(entry: WeightsEntry) -> str | None:
    """Return the model card that lies beside packaged weights."""
    path = status(entry).path
    card = None if path is None else path.with_name("README.md")
    return card.read_text(encoding="utf-8") if card is not None and card.is_file() else None


def _verified(entry: WeightsEntry) -> tuple[Path, bytes]:
    found = status(entry)
    if found.path is None:
        raise WeightsUnavailableError(
            f"the weights '{entry.name}' are not on this machine ({cached_path(entry)} is missing)",
            hint=f"fetch them with: unsquash models pull {entry.name}",
        )
    try:
        data = found.path.read_bytes()
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot read {found.path}: {error}", hint="check its permissions"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest == entry.sha256:
        return found.path, data
    problem = (
        f"{len(data)} bytes instead of {entry.bytes}" if len(data) != entry.bytes else f"SHA-256 is {digest}"
    )
    if found.place == "packaged":
        raise WeightsCorruptError(
            f"{found.path} is not what the manifest promises: {problem}", hint="reinstall unsquash"
        )
    sources.discard(found.path)
    raise WeightsCorruptError(
        f"{found.path} is not what the manifest promises ({problem}); it was removed",
        hint=f"fetch it again with: unsquash models pull {entry.name}",
    )
