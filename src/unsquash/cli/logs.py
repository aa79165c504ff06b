"""The log that `--log-file` names: what it must not be, and what a single file adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unsquash.batch.names import collision_key
from unsquash.errors import OutputExistsError, UnsquashError, memory_errors

if TYPE_CHECKING:
    from unsquash.live import Showing
    from unsquash.options import RestoreOptions
    from unsquash.pipeline import FileAnalysis, FileRestoration

Enter: TypeAlias = Callable[..., None]


def check_log(log: Path | None, others: Iterable[Path | None]) -> None:
    """Refuse a log that would go into a recording, or into another file that is read or written.

    Raises:
        OutputExistsError: it would.
    """
    if log is None:
        return
    key = collision_key(log.resolve())
    for other in others:
        if other is not None and (_is_same(log, other) or collision_key(other.resolve()) == key):
            raise OutputExistsError(
                f"the log would be written into '{other}'", hint="give --log-file another name"
            )


def read_besides(options: RestoreOptions, files_from: str | None) -> list[Path]:
    """Return the files that are read beside the recordings."""
    return [*options.files, *([] if files_from is None else [Path(files_from)])]


@contextmanager
def logged(showing: Showing, source: str, target: str) -> Iterator[Enter]:
    """Give a function that enters status, report and note of a single file; an error is entered, too."""
    from unsquash.batch.events import Finished
    from unsquash.batch.jobs import Job
    from unsquash.batch.tasks import Outcome, failed
    from unsquash.live import log_listener

    job = Job(name=target, source=Path(source), target=Path(target))
    with log_listener(showing) as listener:

        def enter(status: str, report: FileRestoration | FileAnalysis | None, note: str = "") -> None:
            listener(Finished(outcome=Outcome(job=job, status=status, report=report, note=note)))

        try:
            with memory_errors():
                yield enter
        except UnsquashError as error:
            listener(Finished(outcome=failed(job, error)))
            raise
        except KeyboardInterrupt:
            enter("failed", None, "interrupted")
            raise


def _is_same(log: Path, other: Path) -> bool:
    try:
        return log.samefile(other)
    except OSError:  # one does not exist, or cannot
        return False
