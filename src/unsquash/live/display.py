"""The display that fits: what the user asked for, and where stderr goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from unsquash import console
from unsquash.batch.events import Event, Listener
from unsquash.batch.settings import Summary
from unsquash.errors import OutputError
from unsquash.live.drawn import Drawn
from unsquash.live.lines import JsonLines, PlainLines

Style = Literal["auto", "plain", "json"]


@contextmanager
def batch_display(
    style: Style, *, quiet: bool, verbose: bool, log_file: Path | None = None
) -> Iterator[Listener]:
    """Give a listener that shows a batch on stderr, and writes it to a log if one is wanted.

    Args:
        style: `auto` draws on a terminal and writes plain lines elsewhere.
        quiet: show failures only.
        verbose: a line for every finished file, where it is drawn too.
        log_file: gets one line for every file, with the time.

    Raises:
        OutputError: the log cannot be written.
    """
    with ExitStack() as stack:
        listeners: list[Listener] = []
        if log_file is not None:
            listeners.append(PlainLines(stack.enter_context(_log(log_file)), stamped=True))
        if style == "json":
            listeners.append(JsonLines(sys.stderr))
        elif style == "plain" or quiet or not _is_terminal():
            listeners.append(PlainLines(sys.stderr, failures_only=quiet))
        else:
            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[note]}"))
            bars = Progress(*columns, console=Console(stderr=True), transient=True)
            listeners.append(Drawn(stack.enter_context(bars), verbose=verbose))

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield tell


@contextmanager
def file_display(style: Style, *, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Give a progress function for a single file."""
    if style != "json":
        with console.progress(quiet=quiet or style == "plain") as drawn:
            yield drawn
        return
    lines = JsonLines(sys.stderr)
    yield lines.phase


def print_summary(summary: Summary, *, planned: int, elapsed_s: float) -> None:
    """Say on stderr what a batch came to."""
    counts = [f"{count} {status}" for status, count in sorted(summary.counts.items()) if count]
    if planned > summary.files:
        counts.append(f"{planned - summary.files} not tried")
    sys.stderr.write(f"{', '.join(counts)} in {timedelta(seconds=round(elapsed_s))}\n")


def _is_terminal() -> bool:
    return sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal


@contextmanager
def _log(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the log '{path}' cannot be written: {error.strerror}", hint="choose another"
        ) from error
    with file:
        yield file
