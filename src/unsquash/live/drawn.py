"""A batch as bars on a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.progress import Progress, TaskID

from unsquash.batch import events
from unsquash.batch.events import Event
from unsquash.batch.names import shown
from unsquash.live.clock import Clock, fraction
from unsquash.live.words import count, describe

_LABEL_CHARS = 40


class Drawn:
    """An overall bar, a line for each file that is worked on, failures as they happen.

    Args:
        bars: the display, already running.
        verbose: print a line for every finished file too.
    """

    def __init__(self, bars: Progress, *, verbose: bool) -> None:
        self._bars = bars
        self._verbose = verbose
        self._clock = Clock()
        self._overall = bars.add_task("looking", total=None, note="")
        self._lines: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self._clock.take(event)
        match event:
            case events.Checked(done=done, total=total):
                self._bars.update(self._overall, total=total, completed=done, note=f"{done} of {total} files")
            case events.Planned():
                self._bars.update(self._overall, description="all", total=max(1e-3, self._clock.total_s))
            case events.Remark(text=text):
                self._print(f"note: {text}")
            case events.Started(unit=unit):
                label = shown(unit.jobs[0].name)
                label = label if len(label) <= _LABEL_CHARS else "…" + label[1 - _LABEL_CHARS :]
                label += f" and {len(unit.jobs) - 1} more" if len(unit.jobs) > 1 else ""
                self._lines[unit.jobs[0].name] = self._bars.add_task(escape(label), total=1.0, note="")
            case events.Progressed(unit=unit, progress=progress):
                self._bars.update(
                    self._lines[unit.jobs[0].name], completed=fraction(progress), note=progress.phase
                )
                self._bars.update(self._overall, completed=self._clock.done_s, note=str(self._clock))
            case events.Finished(outcome=outcome):
                if outcome.job.name in self._lines:
                    self._bars.remove_task(self._lines.pop(outcome.job.name))
                if outcome.failure is not None or self._verbose:
                    line = describe(outcome, verbose=self._verbose)
                    self._print(line, "red" if outcome.failure is not None else None)
            case events.Closed(summary=summary, files=files):
                self._print(f"{count(summary, files)}, in {self._clock.elapsed}")
                self._bars.stop()

    def _print(self, line: str, style: str | None = None) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True, style=style)
