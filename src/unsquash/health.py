"""What `unsquash doctor` reports."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from unsquash.parallel import cores

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "soundfile",
    "soxr",
    "torch",
    "safetensors",
    "huggingface_hub",
    "typer",
    "mutagen",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Versions, devices and the state of the models."""

    unsquash: str
    python: str
    system: str
    cores: int
    packages: dict[str, str]
    libsndfile: str
    devices: tuple[str, ...]
    models: dict[str, str]


def examine() -> Health:
    """Collect the report; a model that cannot be used is told, not raised."""
    import soundfile

    from unsquash.errors import ModelError
    from unsquash.nets.device import available_devices
    from unsquash.weights import list_entries, verified_path

    models = {}
    for entry in list_entries():
        try:
            verified_path(entry)
            models[entry.name] = "intact"
        except ModelError as error:
            models[entry.name] = f"{error}"
    return Health(
        unsquash=version("unsquash"),
        python=sys.version.split()[0],
        system=platform.platform(),
        cores=cores(),
        packages={name: _version(name) for name in _PACKAGES},
        libsndfile=soundfile.__libsndfile_version__,
        devices=tuple(available_devices()),
        models=models,
    )


def _version(package: str) -> str:
    """Return the version of a package; mutagen, which the extra `tags` brings, may be absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
