"""How far a batch is."""

from __future__ import annotations

import time
from datetime import timedelta

from unsquash.batch import events
from unsquash.batch.events import Event
from unsquash.batch.jobs import Unit
from unsquash.batch.tasks import Progress

# Where in the work on a file a phase begins, and its share.
_PHASES = {"analyze": (0.0, 0.3), "trace": (0.3, 0.7), "restore": (0.3, 0.6), "write": (0.9, 0.1)}


class Clock:
    """How much of the audio is done, and when the rest will be."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._lengths_s: dict[str, float] = {}
        self._finished_s = 0.0
        self._active: dict[str, float] = {}
        self._began = time.monotonic()

    def take(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case events.Planned(lengths_s=lengths_s):
                self._lengths_s = dict(lengths_s)
                self.total_s = sum(lengths_s.values())
                self._began = time.monotonic()
            case events.Progressed(unit=unit, progress=progress):
                self._active[unit.jobs[0].name] = fraction(progress) * self._length_s(unit)
            case events.Finished(outcome=outcome):
                self._active.pop(outcome.job.name, None)
                self._finished_s += self._lengths_s.get(outcome.job.name, 0.0)

    @property
    def done_s(self) -> float:
        """Seconds of audio that are done."""
        return self._finished_s + sum(self._active.values())

    @property
    def elapsed(self) -> timedelta:
        """Time since the work began, in whole seconds."""
        return timedelta(seconds=round(time.monotonic() - self._began))

    @property
    def left_s(self) -> float | None:
        """Seconds until all will be done, as far as can be told."""
        elapsed_s = time.monotonic() - self._began
        return (self.total_s - self.done_s) * elapsed_s / self.done_s if self.done_s > 0.0 else None

    def __str__(self) -> str:
        done, total = (timedelta(seconds=round(value)) for value in (self.done_s, self.total_s))
        left = "" if self.left_s is None else f", {timedelta(seconds=round(self.left_s))} left"
        return f"{done} of {total} of audio{left}"

    def _length_s(self, unit: Unit) -> float:
        return sum(self._lengths_s.get(job.name, 0.0) for job in unit.jobs)


def fraction(progress: Progress) -> float:
    """Return how much of the work on a unit is done, 0 to 1."""
    begin, share = _PHASES.get(progress.phase, (0.0, 1.0))
    return begin + share * progress.done / max(1, progress.total)
