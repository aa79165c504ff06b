"""What is to be done: which file becomes which, decided and checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from unsquash.batch.expand import Found
from unsquash.batch.names import Naming, collision_key, shown
from unsquash.errors import OutputExistsError

_SHOWN_COLLISIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file to restore.

    Attributes:
        name: the output's place below the output folder, with `/`; what the ledger knows it by.
        source: the input.
        target: the output.
        overwrite: an existing target may be replaced.
    """

    name: str
    source: Path
    target: Path
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is worked on as a whole: one file, or one album."""

    jobs: tuple[Job, ...]
    is_album: bool = False


def plan_jobs(found: Sequence[Found], folder: Path, naming: Naming) -> tuple[Job, ...]:
    """Name every output, and refuse what would collide.

    Two outputs collide when any file system could take their names for the same, or one needs a folder
    where the other is a file; an output collides with an input when it is, or could be, the same file.

    Raises:
        OptionError: an output would lie outside `folder`.
        OutputExistsError: outputs collide.
    """
    jobs = []
    for item in found:
        name = naming.name(item.relative)
        jobs.append(Job(name=str(name), source=item.path, target=folder / name))
    _refuse_collisions(jobs, folder)
    return tuple(jobs)


def albums(jobs: Iterable[Job]) -> tuple[Unit, ...]:
    """Return one unit per input folder, its tracks in the order of their names."""
    ordered = sorted(jobs, key=lambda job: job.source.parent.as_posix())  # stable: tracks stay in order
    return tuple(
        Unit(jobs=tuple(tracks), is_album=True)
        for _, tracks in groupby(ordered, key=lambda job: job.source.parent.as_posix())
    )


def _refuse_collisions(jobs: Sequence[Job], folder: Path) -> None:
    collisions: list[str] = []
    seen: dict[str, Job] = {}
    folders = {collision_key(parent) for job in jobs for parent in PurePosixPath(job.name).parents}
    root = folder.resolve()
    inputs = {collision_key(job.source.resolve()): job.source for job in jobs}
    files = {_file_number(job.source): job.source for job in jobs}
    files.pop(None, None)
    for job in jobs:
        key = collision_key(PurePosixPath(job.name))
        if key in seen:
            first = seen[key]
            collisions.append(
                f"'{shown(first.source)}' and '{shown(job.source)}' would both become '{shown(job.name)}'"
            )
        elif key in folders:
            collisions.append(f"'{shown(job.name)}' would be a file and a folder")
        seen[key] = job
        taken = inputs.get(collision_key(root / job.name)) or files.get(_file_number(job.target))
        if taken is not None:
            collisions.append(f"'{shown(job.name)}' would replace the input '{shown(taken)}'")
    if collisions:
        more = len(collisions) - _SHOWN_COLLISIONS
        tail = f"; and {more} more" if more > 0 else ""
        raise OutputExistsError(
            "outputs would collide: " + "; ".join(collisions[:_SHOWN_COLLISIONS]) + tail,
            hint="choose another folder with -o, or other names with --suffix or --template",
        )


def _file_number(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever its name; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None
