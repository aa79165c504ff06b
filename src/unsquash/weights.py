"""Network weights: a manifest of names and digests, and safetensors files that must match it."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unsquash.errors import UnknownModelError, WeightsCorruptError, WeightsUnavailableError

if TYPE_CHECKING:
    from unsquash.nets.gain import GainNet

MANIFEST = Path(__file__).with_name("weights.toml")
FOLDERS = (Path(__file__).with_name("models"), Path(__file__).parents[2] / "models")
"""Where weights lie: in the installed package, or in the repository the package is developed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsEntry:
    """One line of the manifest: what a name stands for."""

    name: str
    task: str
    sha256: str
    bytes: int
    sample_rate: int
    licence: str


def list_entries() -> list[WeightsEntry]:
    """Read the manifest."""
    manifest = tomllib.loads(MANIFEST.read_text())
    return [WeightsEntry(name=name, **values) for name, values in manifest.items()]


def verified_path(entry: WeightsEntry) -> Path:
    """Find an entry's file and check that it is what the manifest promises.

    Raises:
        WeightsUnavailableError: The file is not there.
        WeightsCorruptError: It is another file.
    """
    for folder in FOLDERS:
        path = folder / entry.name / "model.safetensors"
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
                hint = "Reinstall unsquash."
                raise WeightsCorruptError(f"{path} is not what the manifest promises", hint=hint)
            return path
    raise WeightsUnavailableError(f"the weights of {entry.name} are missing", hint="Reinstall unsquash.")


def load_gain_net(model: str) -> GainNet:
    """Load a gain network by its name in the manifest, or a `.safetensors` file by its path.

    Raises:
        UnknownModelError: No such name.
        WeightsUnavailableError: No such file.
        WeightsCorruptError: The file is damaged or holds something else.
    """
    return read_gain_net(weights_path(model))


def weights_path(model: str) -> Path:
    """Find the file of a gain network, by its name in the manifest or its own path.

    Raises:
        UnknownModelError: No such name.
        WeightsUnavailableError: No such file.
        WeightsCorruptError: The file of that name is another than the manifest's.
    """
    if not model.endswith(".safetensors"):
        return verified_path(_entry(model))
    if not Path(model).is_file():
        hint = "Check the path, or give the name of a model."
        raise WeightsUnavailableError(f"there is no file {model}", hint=hint)
    return Path(model)


def read_gain_net(path: Path) -> GainNet:
    """Read a gain network out of a safetensors file with the network's sizes in its metadata.

    Raises:
        WeightsUnavailableError: No such file.
        WeightsCorruptError: The file is damaged or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    from unsquash.nets.gain import build_gain_net

    try:
        with safe_open(path, framework="pt") as file:
            config = (file.metadata() or {}).get("config", "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except OSError as error:
        hint = "Check the path, or give the name of a model."
        raise WeightsUnavailableError(f"cannot read {path}: {error}", hint=hint) from error
    except SafetensorError as error:
        raise WeightsCorruptError(f"{path} is not a safetensors file", hint="Get it again.") from error
    return build_gain_net(config, tensors)


def digest_of(model: str) -> str:
    """Return the SHA-256 of a model's file, in hexadecimal.

    Raises:
        UnknownModelError: No such name.
        WeightsUnavailableError: No such file.
    """
    if not model.endswith(".safetensors"):
        return _entry(model).sha256
    try:
        with Path(model).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        hint = "Check the path, or give the name of a model."
        raise WeightsUnavailableError(f"cannot read {model}: {error}", hint=hint) from error


def _entry(name: str) -> WeightsEntry:
    entries = list_entries()
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries)
    raise UnknownModelError(f"no model is called {name}", hint=f"Known: {known}.")
