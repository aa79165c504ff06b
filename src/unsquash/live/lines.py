"""A batch as lines: for people, or for programs."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any, TextIO

from unsquash.batch import events
from unsquash.batch.events import Event
from unsquash.batch.tasks import Progress
from unsquash.live.clock import Clock, fraction
from unsquash.live.words import brief, count, describe

_INTERVAL_S = 0.2


class PlainLines:
    """One line for each finished file.

    Args:
        stream: where to.
        failures_only: say nothing of what went well.
        verbose: say more of every file.
        stamped: begin every line with the time.
    """

    def __init__(
        self, stream: TextIO, *, failures_only: bool = False, verbose: bool = False, stamped: bool = False
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._failures_only = failures_only
        self._stamped = stamped

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case events.Finished(outcome=outcome):
                self._say(describe(outcome, verbose=self._verbose), matters=outcome.failure is not None)
            case events.Planned(lengths_s=lengths_s, jobs=jobs):
                length = timedelta(seconds=round(sum(lengths_s.values())))
                files = f"{len(lengths_s)} file{'' if len(lengths_s) == 1 else 's'}"
                self._say(f"{files}, {length} of audio, {jobs} at once")
            case events.Remark(text=text):
                self._say(f"note: {text}")
            case events.Closed(summary=summary, files=files):
                self._say(count(summary, files))

    def _say(self, line: str, *, matters: bool = False) -> None:
        if matters or not self._failures_only:
            stamp = f"{datetime.now().astimezone().isoformat(timespec='seconds')} " if self._stamped else ""
            self._stream.write(f"{stamp}{line}\n")
            self._stream.flush()


class JsonLines:
    """Everything that happens, one JSON object a line.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._clock = Clock()
        self._last = float("-inf")

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self._clock.take(event)
        match event:
            case events.Checked(done=done, total=total) if done == total or self._is_due():
                self._say("checked", done=done, total=total)
            case events.Planned(lengths_s=lengths_s, jobs=jobs):
                self._say("planned", files=len(lengths_s), audio_s=round(self._clock.total_s, 3), jobs=jobs)
            case events.Remark(text=text):
                self._say("remark", text=text)
            case events.Started(unit=unit):
                for job in unit.jobs:
                    self._say("started", input=str(job.source), output=str(job.target))
            case events.Progressed(unit=unit, progress=progress) if self._is_due():
                self._say(
                    "progress",
                    output=str(unit.jobs[0].target),
                    phase=progress.phase,
                    fraction=round(fraction(progress), 4),
                    audio_done_s=round(self._clock.done_s, 3),
                    audio_s=round(self._clock.total_s, 3),
                    left_s=None if self._clock.left_s is None else round(self._clock.left_s, 1),
                )
            case events.Finished(outcome=outcome):
                self._say("finished", **brief(outcome))
            case events.Closed(summary=summary, files=files):
                self._say("closed", files=files, counts=dict(summary.counts))

    def phase(self, phase: str, done: int, total: int) -> None:
        """Show how far the work on a single file is."""
        if done >= total or self._is_due():
            self._say(
                "progress",
                phase=phase,
                fraction=round(fraction(Progress(phase=phase, done=done, total=total)), 4),
            )

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < _INTERVAL_S:
            return False
        self._last = now
        return True

    def _say(self, event: str, **values: Any) -> None:
        self._stream.write(json.dumps({"event": event, **values}, allow_nan=False) + "\n")
        self._stream.flush()
