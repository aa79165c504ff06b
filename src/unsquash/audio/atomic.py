"""Outputs that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import BinaryIO

from unsquash.errors import AudioReadError, OutputError, OutputExistsError

_MAX_NAME_BYTES = 255
_COPY_BYTES = 2**20
_HINTS = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EFBIG: "this file system cannot hold a file of this size; write to another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextlib.contextmanager
def atomic_output(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a temporary file beside `target`; on a clean exit it becomes `target`, else it vanishes.

    Args:
        target: the output.
        overwrite: replace an existing file.

    Raises:
        OutputExistsError: `target` exists, or appeared meanwhile, and `overwrite` is off.
        OutputError: it cannot be written: no such folder, no permission, no space, not a file.
    """
    check_target(target, overwrite=overwrite)
    temporary = _temporary_name(target)
    file: BinaryIO | None = None
    try:  # from here on an interrupt can come anywhere
        with output_errors(f"'{target}'"):
            file = temporary.open("x+b")
        yield file
        with output_errors(f"'{target}'"):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            _commit(temporary, target, overwrite=overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def copy_file(
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    finish: Callable[[BinaryIO], None] | None = None,
) -> None:
    """Copy a file bit for bit, as atomically as any output; `finish` may change the copy in the end.

    Raises:
        AudioReadError: the source cannot be read.
        OutputError: as `atomic_output`.
    """
    try:
        reading = source.open("rb")
    except OSError as error:
        raise AudioReadError(
            f"'{source}' cannot be read: {error.strerror}", hint="check that it still exists"
        ) from error
    with reading, atomic_output(target, overwrite=overwrite) as writing, output_errors(f"'{target}'"):
        shutil.copyfileobj(reading, writing, _COPY_BYTES)
        if finish is not None:
            finish(writing)


def write_all(stream: BinaryIO | io.RawIOBase, data: bytes) -> None:
    """Write all of `data`, also to an unbuffered stream, which may take only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) or 0 :]


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a target that could not be written in the end.

    Raises:
        OutputExistsError: it exists and `overwrite` is off.
        OutputError: it is a folder or device, or its folder is missing or closed to us.
    """
    with output_errors(f"'{target}'"):
        exists = target.exists() or target.is_symlink()
        is_folder = target.is_dir()
        is_file = target.is_file()
        has_folder = target.parent.is_dir()
    if is_folder:
        raise OutputError(
            f"'{target}' is a folder", hint="name a file in it, or give several files with -o DIR"
        )
    if exists and not is_file:
        raise OutputError(f"'{target}' is not a regular file", hint="give - and redirect standard output")
    if exists and not overwrite:
        raise _exists(target)
    if not has_folder:
        raise OutputError(f"the folder '{target.parent}' does not exist", hint="create it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into '{target.parent}'", hint=_HINTS[errno.EACCES])
    if len(os.fsencode(target.name)) > _MAX_NAME_BYTES:
        raise OutputError(f"the name '{target.name}' is too long", hint=_HINTS[errno.ENAMETOOLONG])


def check_separate(source: Path, *targets: Path) -> None:
    """Refuse to write over an input, or two outputs into one file.

    Raises:
        OutputExistsError: two of them name the same file.
        OutputError: one cannot be a file's name, or its folder is closed to us.
    """
    for target in targets:
        with output_errors(f"'{target}'"):
            is_source = target.exists() and source.samefile(target)
        if is_source:
            raise OutputExistsError(
                f"input and output are the same file: {target}",
                hint="inputs are never touched; choose another name",
            )
    for earlier, later in combinations(targets, 2):
        if earlier.resolve() == later.resolve():
            raise OutputExistsError(f"two outputs are the same file: {later}", hint="choose another name")


def _temporary_name(target: Path) -> Path:
    """Return a free name in the folder: `NAME.tmp-PID-MACHINE-RANDOM`, NAME cut where it gets too long."""
    suffix = f".tmp-{os.getpid()}-{machine_id()}-{secrets.token_hex(4)}"
    stem = target.name
    while len(os.fsencode(stem)) > _MAX_NAME_BYTES - len(suffix):
        stem = stem[:-1]
    return target.with_name(stem + suffix)


@lru_cache(maxsize=1)
def machine_id() -> str:
    """Return eight hexadecimal digits for the machine, or container, whose process numbers are known here."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(parts).encode(errors="replace")).hexdigest()[:8]


def _commit(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Rename `temporary` to `target`; unless overwriting, lose no file that appeared meanwhile."""
    if overwrite:
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except (OSError, NotImplementedError):  # a file system without hard links
        if target.exists():
            raise _exists(target) from None
        temporary.replace(target)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename durable where the system can do so for folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exists(target: Path) -> OutputExistsError:
    return OutputExistsError(
        f"'{target}' exists",
        hint="choose another name, or replace it with --overwrite; for several files use -o DIR",
    )


@contextlib.contextmanager
def output_errors(name: str) -> Iterator[None]:
    """Turn the system's errors while `name` is written into `OutputError`; a broken pipe passes as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"{name} cannot be written: {reason}",
            hint=_HINTS.get(error.errno or 0, "check the disk and the path"),
        ) from error
