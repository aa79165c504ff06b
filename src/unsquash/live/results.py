"""What a batch found and did, on stdout."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from rich import table
from rich.console import Console

from unsquash import console
from unsquash.batch import events
from unsquash.batch.events import Event
from unsquash.batch.names import shown
from unsquash.batch.tasks import Outcome
from unsquash.live.words import record


class JsonDocument:
    """One JSON document once all is over.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._files: list[Any] = []

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case events.Finished(outcome=outcome):
                self._files.append(record(outcome))
            case events.Closed(summary=summary):
                document = {
                    "schema": console.JSON_SCHEMA,
                    "counts": dict(summary.counts),
                    "files": self._files,
                }
                self._stream.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


class JsonRecords:
    """One JSON object a line, as files are finished.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        if isinstance(event, events.Finished):
            line = {"schema": console.JSON_SCHEMA, **record(event.outcome)}
            self._stream.write(json.dumps(line, allow_nan=False) + "\n")
            self._stream.flush()


class Table:
    """A row for each file that was examined, once all is over."""

    _TITLES = ("file", "method", "verdict", "LUFS", "dBTP", "PLR dB", "LRA LU", "clipped")

    def __init__(self) -> None:
        self._rows: list[tuple[str, ...]] = []

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        if isinstance(event, events.Finished) and event.outcome.report is not None:
            self._rows.append(self._row(event.outcome))
        elif isinstance(event, events.Closed):
            drawn = table.Table(box=None, pad_edge=False)
            for title in self._TITLES:
                drawn.add_column(
                    title, justify="right" if title not in ("file", "method", "verdict") else "left"
                )
            for row in sorted(self._rows):
                drawn.add_row(*row)
            width = None if sys.stdout.isatty() else 80 + max((len(row[0]) for row in self._rows), default=0)
            Console(highlight=False, markup=False, width=width).print(drawn)

    @staticmethod
    def _row(outcome: Outcome) -> tuple[str, ...]:
        if outcome.report is None:
            raise TypeError("a failure has no row")
        diagnosis = outcome.report.diagnosis
        levels, dynamics = diagnosis.levels, diagnosis.dynamics
        numbers = (levels.integrated_lufs, levels.true_peak_dbtp, levels.plr_db, levels.loudness_range_lu)
        return (
            shown(outcome.job.source),
            outcome.report.plan.method,
            "-" if dynamics is None else f"{dynamics.verdict} {dynamics.confidence:.2f}",
            *("-" if number is None else f"{number:.1f}" for number in numbers),
            f"{100.0 * diagnosis.clipping.fraction:.3f} %",
        )
