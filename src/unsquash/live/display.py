"""The display that fits: what the user asked for, and where stderr goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from rich.progress import BarColumn, Progress, TextColumn

from unsquash import console
from unsquash.audio.atomic import output_errors
from unsquash.batch.events import Event, Listener
from unsquash.console import Console
from unsquash.errors import OutputError
from unsquash.live.drawn import Drawn
from unsquash.live.lines import JsonLines, PlainLines
from unsquash.live.results import CsvRows, JsonDocument, JsonRecords, Table

Style = Literal["auto", "plain", "json"]
Results = Literal["json", "json-lines", "csv", "table", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What the user wants to see.

    Attributes:
        style: of the progress on stderr; `auto` draws on a terminal and writes plain lines elsewhere.
        quiet: show failures only.
        verbose: say more of every file.
        log_file: gets every line too, with the time.
        results: what goes to stdout: one JSON document, one JSON object a line, CSV, a table, or nothing.
    """

    style: Style = "auto"
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None
    results: Results = "none"


@contextmanager
def batch_display(showing: Showing) -> Iterator[Listener]:
    """Give a listener that shows a batch, tells its results, and keeps its log.

    Raises:
        OutputError: the log cannot be written.
    """
    with ExitStack() as stack:
        listeners: list[Listener] = [stack.enter_context(log_listener(showing))]
        results = _results_listeners(showing.results)  # while stdout is not yet redirected by the bars
        if showing.style == "json":
            listeners.append(JsonLines(sys.stderr))
        elif showing.quiet or showing.style == "plain" or not _can_draw(showing.results):
            failures_only = showing.quiet or (showing.results == "table" and not showing.verbose)
            listeners.append(PlainLines(sys.stderr, failures_only=failures_only, verbose=showing.verbose))
        else:
            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[note]}"))
            bars = Progress(*columns, console=Console(stderr=True), transient=True)
            listeners.append(Drawn(stack.enter_context(bars), verbose=showing.verbose))
        listeners += results  # last: once all is over, the bars are gone before there is a table

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield tell


@contextmanager
def log_listener(showing: Showing) -> Iterator[Listener]:
    """Give a listener that keeps the log, if there is to be one.

    Raises:
        OutputError: the log cannot be written.
    """
    if showing.log_file is None:
        yield lambda _event: None
        return
    with _log(showing.log_file) as log:
        lines = PlainLines(log, verbose=showing.verbose, stamped=True)

        def enter(event: Event) -> None:
            with output_errors(f"the log '{showing.log_file}'"):
                lines(event)

        yield enter


@contextmanager
def file_display(style: Style, *, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Give a progress function for a single file."""
    if style == "json":
        yield JsonLines(sys.stderr).phase
        return
    with console.progress(quiet=quiet or style == "plain") as drawn:
        yield drawn


def _results_listeners(results: Results) -> list[Listener]:
    match results:
        case "json":
            return [JsonDocument(sys.stdout)]
        case "json-lines":
            return [JsonRecords(sys.stdout)]
        case "csv":
            return [CsvRows(sys.stdout.buffer)]
        case "table":
            return [Table()]
        case "none":
            return []


def _can_draw(results: Results) -> bool:
    """Return whether stderr is a terminal on which bars can move, without rows of results in between."""
    if results in ("json-lines", "csv") and sys.stdout.isatty():
        return False
    return sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal


@contextmanager
def _log(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the log '{path}' cannot be written: {error.strerror}", hint="choose another"
        ) from error
    try:
        yield file
    finally:
        with output_errors(f"the log '{path}'"):  # what did not fit is tried once more
            file.close()
