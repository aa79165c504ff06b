"""Many files: from the words of the command line to a batch, and from its outcome to an exit code."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from unsquash import errors
from unsquash.batch.names import exists, is_folder
from unsquash.cli.exits import CODES, FAILED, PARTLY, SQUASHED
from unsquash.cli.logs import check_log
from unsquash.cli.streams import standard_input
from unsquash.errors import OptionError

if TYPE_CHECKING:
    from unsquash.batch.events import Listener
    from unsquash.batch.expand import Selection
    from unsquash.batch.names import Naming
    from unsquash.batch.settings import BatchOptions, Summary
    from unsquash.live import Showing, Style
    from unsquash.options import RestoreOptions


def parse_jobs(text: str) -> int | None:
    """Read a number of jobs; `auto` is None."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"'{text}' is no number of jobs", hint="give 1 or more, or auto")
    return int(text)


def parse_style(progress: str | None, *, no_progress: bool) -> Style:
    """Read how progress is to be shown."""
    if no_progress or progress == "none":
        return "plain"
    if progress is None or progress == "auto":
        return "auto"
    if progress == "json":
        return "json"
    raise OptionError(f"no progress is called '{progress}'", hint="choose auto, json or none")


def listed_names(path: str | None, *, null: bool) -> list[str]:
    """Read the names in a list, `-` for stdin."""
    if path is None:
        if null:
            raise OptionError("-0 says how a list is written", hint="name the list with --files-from")
        return []
    from unsquash.batch.expand import read_list

    if path == "-":
        return read_list(standard_input(), null=null)
    try:
        with Path(path).open("rb") as file:
            return read_list(file, null=null)
    except OSError as error:
        raise errors.AudioReadError(
            f"the list '{path}' cannot be read: {error.strerror}", hint="check the path"
        ) from error


def are_many(inputs: list[str]) -> bool:
    """Return whether the inputs are, or may be, more than one file."""
    from unsquash.batch.expand import is_wildcard

    return len(inputs) != 1 or is_folder(inputs[0]) or is_wildcard(inputs[0])


def is_folder_name(output: str, *, of_stream: bool) -> bool:
    """Return whether the output of one input is meant as a folder: it is one, ends like one, or looks so."""
    if output.endswith(("/", os.sep)) or is_folder(output):
        return True
    return not (of_stream or output == "-" or Path(output).suffix or exists(output))


def restore_many(
    inputs: list[str],
    listed: list[str],
    output: str,
    *,
    naming: Naming,
    selection: Selection,
    options: RestoreOptions,
    batch: BatchOptions,
    showing: Showing,
) -> None:
    """Restore files into a folder; exit with a code that says how it went."""
    from unsquash.audio.atomic import output_errors
    from unsquash.batch.expand import expand
    from unsquash.batch.jobs import plan_jobs
    from unsquash.batch.ledger import LEDGER_NAME, Ledger
    from unsquash.batch.run import run_batch

    if "-" in inputs or output == "-":
        raise OptionError("a stream is one file", hint="unsquash restore - - < IN.wav > OUT.wav")
    folder = Path(output)
    with output_errors(f"'{folder}'"):
        is_no_folder = folder.exists() and not folder.is_dir()
    if is_no_folder:
        raise OptionError(f"'{output}' is a file", hint="several files need a folder: -o DIR")
    ledger = Ledger(folder)
    expansion = expand(inputs, listed, selection, output_folder=folder, is_output=ledger.wrote_file)
    jobs = plan_jobs(expansion.found, folder, naming)
    ends = (end for job in jobs for end in (job.source, job.target))
    check_log(showing.log_file, (folder, folder / LEDGER_NAME, *ends))
    with _told(showing, expansion.unsupported) as listener:
        summary = run_batch(jobs, ledger, options, batch, listener)
    _exit(summary, len(jobs))


def analyze_many(
    inputs: list[str],
    listed: list[str],
    *,
    selection: Selection,
    options: RestoreOptions,
    jobs: int | None,
    showing: Showing,
    check: bool,
) -> None:
    """Examine files; exit with a code that says how it went, or with `check` that one is squashed."""
    from unsquash.batch.examine import examine_many
    from unsquash.batch.expand import expand

    if "-" in inputs:
        raise OptionError("a stream is one file", hint="unsquash analyze - < IN.wav")
    expansion = expand(inputs, listed, selection)
    check_log(showing.log_file, (found.path for found in expansion.found))
    with _told(showing, expansion.unsupported) as listener:
        summary = examine_many(expansion.found, options, jobs=jobs, listener=listener)
    _exit(summary, len(expansion.found))
    if check and summary.squashed:
        raise typer.Exit(SQUASHED)


@contextmanager
def _told(showing: Showing, unsupported: Counter[str]) -> Iterator[Listener]:
    """Give a listener that tells the user everything."""
    from unsquash.batch.events import Remark
    from unsquash.live import batch_display

    with batch_display(showing) as listener:
        if unsupported:
            kinds = ", ".join(f"{count} {extension}" for extension, count in unsupported.most_common())
            listener(Remark(text=f"passed over, as they cannot be read: {kinds}"))
        yield listener


def _exit(summary: Summary, files: int) -> None:
    """Exit with a single file's own code, 1 where nothing succeeded, 3 where some failed, or not at all."""
    if summary.last_failure is None:
        return
    if files == 1:
        kind = getattr(errors, summary.last_failure.kind, errors.UnsquashError)
        raise typer.Exit(next(code for known, code in CODES if issubclass(kind, known)))
    raise typer.Exit(FAILED if summary.failures == summary.files else PARTLY)
