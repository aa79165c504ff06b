"""Is it still the same file, the same settings, the same network?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path

from unsquash.errors import AudioReadError
from unsquash.options import RestoreOptions

_READ_BYTES = 2**20
_NO_EFFECT = ("device",)  # devices differ in the last digits only


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a file was when it was looked at."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What the system says of a file: cheap, and different once the file was replaced or written to."""

    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    number: int


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file.

    Raises:
        AudioReadError: it is gone, or closed to us.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _gone(path) from error
    return Stamp(
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        device=status.st_dev,
        number=status.st_ino,
    )


def identify(path: Path) -> Identity:
    """Return the identity of a file, its content included.

    Raises:
        AudioReadError: it is gone, or cannot be read.
    """
    found = stamp(path)
    return Identity(size=found.size, mtime_ns=found.mtime_ns, sha256=digest(path))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        AudioReadError: it cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise _gone(path) from error


def same_content(path: Path, known: Identity) -> bool:
    """Return whether a file still is what it was; its bytes are compared only if its times differ."""
    try:
        found = stamp(path)
        if found.size != known.size:
            return False
        return found.mtime_ns == known.mtime_ns or digest(path) == known.sha256
    except AudioReadError:
        return False


def settings_digest(options: RestoreOptions, *also: object) -> str:
    """Return a hash of everything in the options that changes what is written, and of `also`.

    What is as by default does not enter, so that options yet to come change no old hash.
    """
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    values["settings"] = dict(options.settings)
    default = RestoreOptions()
    chosen = {name: value for name, value in values.items() if value != getattr(default, name)}
    for name in _NO_EFFECT:
        chosen.pop(name, None)
    if options.profile_set.lower().endswith(".csv"):
        chosen["profile_set"] = digest(Path(options.profile_set))  # what is in it, not what it is called
    text = json.dumps([chosen, *also], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _gone(path: Path) -> AudioReadError:
    return AudioReadError(f"'{path}' cannot be read", hint="check that it still exists, and its permissions")
