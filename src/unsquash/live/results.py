"""What a batch found and did, on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from rich import table

from unsquash import console
from unsquash.batch import events
from unsquash.batch.events import Event
from unsquash.batch.jobs import Job
from unsquash.batch.names import shown
from unsquash.batch.tasks import Outcome
from unsquash.console import Console
from unsquash.live.words import record
from unsquash.pipeline import FileAnalysis
from unsquash.spreadsheet import Sheet


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


class CsvRows:
    """A row for each file that was examined: the unreadable first, then all others as they were listed.

    Args:
        stream: where to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._sheet = Sheet(stream)
        self._names: Iterator[str] = iter(())
        self._next: str | None = None
        self._waiting: dict[str, Outcome] = {}

    def __call__(self, event: Event) -> None:
        """Take in what happened; write the rows whose turn has come."""
        match event:
            case events.Planned(lengths_s=lengths_s):
                self._names = iter(lengths_s)
                self._next = next(self._names, None)
            case events.Finished(outcome=outcome) if self._next is None:
                self._add(outcome)
            case events.Finished(outcome=outcome):
                self._waiting[outcome.job.name] = outcome
                while self._next in self._waiting:
                    self._add(self._waiting.pop(self._next))
                    self._next = next(self._names, None)

    def _add(self, outcome: Outcome) -> None:
        report = outcome.report if isinstance(outcome.report, FileAnalysis) else None
        self._sheet.add(str(outcome.job.source), report, outcome.failure)


class Table:
    """A row for each file that was examined, once all is over."""

    _TITLES = (
        "file",
        "verdict",
        "confidence",
        "mean GR dB",
        "max GR dB",
        "dBFS",
        "LUFS",
        "PLR dB",
        "restore",
    )
    _WORDS = ("file", "verdict", "restore")

    def __init__(self) -> None:
        self._rows: list[tuple[str, ...]] = []

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        if isinstance(event, events.Finished) and isinstance(event.outcome.report, FileAnalysis):
            self._rows.append(self._row(event.outcome.job, event.outcome.report))
        elif isinstance(event, events.Closed):
            drawn = table.Table(box=None, pad_edge=False)
            for title in self._TITLES:
                drawn.add_column(title, justify="left" if title in self._WORDS else "right")
            for row in sorted(self._rows):
                drawn.add_row(*row)
            Console(highlight=False, markup=False, width=console.TABLE_WIDTH).print(drawn)

    @staticmethod
    def _row(job: Job, report: FileAnalysis) -> tuple[str, ...]:
        levels, dynamics = report.diagnosis.levels, report.diagnosis.dynamics
        amounts = (
            (None, None)
            if dynamics is None
            else (dynamics.mean_gain_reduction_db, dynamics.max_gain_reduction_db)
        )
        numbers = (*amounts, levels.sample_peak_dbfs, levels.integrated_lufs, levels.plr_db)
        return (
            shown(job.source),
            ", ".join(report.verdict),
            "-" if dynamics is None else f"{dynamics.confidence:.2f}",
            *("-" if number is None else f"{number:.1f}" for number in numbers),
            report.plan.method,
        )
