"""What happens in the course of a batch, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from unsquash.batch.jobs import Unit
from unsquash.batch.settings import Summary
from unsquash.batch.tasks import Outcome, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """So many of the units were looked at before the work."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """These files, by name and length in seconds, are to be done, so many at once."""

    lengths_s: Mapping[str, float]
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something the user should know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Work begins on a unit."""

    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """Work on a unit goes on."""

    unit: Unit
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A file is done, for better or worse."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """All is over: what it came to, and how many files there were to begin with."""

    summary: Summary
    files: int


Event: TypeAlias = Checked | Planned | Remark | Started | Progressed | Finished | Closed
Listener: TypeAlias = Callable[[Event], None]
