"""What a worker does with a unit."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsquash.audio import choose_format
from unsquash.batch.album import restore_album
from unsquash.batch.identity import Identity, Stamp, digest, identify, stamp
from unsquash.batch.jobs import Job, Unit
from unsquash.errors import AudioReadError, OutputError, UnsquashError, memory_errors
from unsquash.options import RestoreOptions
from unsquash.pipeline import FileAnalysis, FileRestoration, analyze_file, restore_file

_REPORT_INTERVAL_S = 0.1
Report = Callable[[Any], None]
PhaseReport = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a unit is in a phase of its work, in samples."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a file was not restored.

    Attributes:
        kind: name of the error's class.
        message, hint: for the user.
        trace: of a fault in the program, for its authors.
    """

    kind: str
    message: str
    hint: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: the job.
        status: `restored`, `unchanged`, `planned`, `skipped`, `analyzed` or `failed`.
        failure: why it failed.
        report: what was found and done.
        identity: what the input was.
        output_sha256, output_size: of what was written.
        work_s: how long it took; tracks of an album share it evenly.
        note: why it was skipped.
    """

    job: Job
    status: str
    failure: Failure | None = None
    report: FileRestoration | FileAnalysis | None = None
    identity: Identity | None = None
    output_sha256: str = ""
    output_size: int = 0
    work_s: float = 0.0
    note: str = ""


def failed(job: Job, error: UnsquashError) -> Outcome:
    """Return the outcome of a job that an error ended."""
    failure = Failure(kind=type(error).__name__, message=str(error), hint=error.hint)
    return Outcome(job=job, status="failed", failure=failure)


def died(unit: Unit, reason: str) -> tuple[Outcome, ...]:
    """Return the outcomes of a unit whose worker died."""
    error = UnsquashError(
        f"the process that worked on it died ({reason})",
        hint="if memory ran out, work on fewer files at once with --jobs",
    )
    return tuple(failed(job, error) for job in unit.jobs)


def restore_unit(unit: Unit, report: Report, options: RestoreOptions) -> tuple[Outcome, ...]:
    """Restore a file, or an album; an input that changed meanwhile fails, and its output is withdrawn."""
    began = time.monotonic()
    with _failures(unit) as outcomes:
        before = [(stamp(job.source), identify(job.source)) for job in unit.jobs]
        for folder in sorted({job.target.parent for job in unit.jobs}):
            make_folder(folder)
        if unit.is_album:
            restorations = restore_album(unit.jobs, options, _phases(report))
        else:
            (job,) = unit.jobs
            restorations = [
                restore_file(
                    job.source, job.target, options, overwrite=job.overwrite, progress=_phases(report)
                )
            ]
        for job, (was, _) in zip(unit.jobs, before, strict=True):
            _require_unchanged(job, was)
        work_s = (time.monotonic() - began) / len(unit.jobs)
        outcomes += [
            Outcome(
                job=job,
                status=done.status,
                report=done,
                identity=identity,
                output_sha256=digest(job.target),
                output_size=job.target.stat().st_size,
                work_s=work_s,
            )
            for job, done, (_, identity) in zip(unit.jobs, restorations, before, strict=True)
        ]
    return tuple(outcomes)


def plan_unit(unit: Unit, report: Report, options: RestoreOptions) -> tuple[Outcome, ...]:
    """Examine a file, or an album, and say what would be done; write nothing."""
    with _failures(unit) as outcomes:
        if unit.is_album:
            plans = restore_album(unit.jobs, options, _phases(report), dry_run=True)
        else:
            (job,) = unit.jobs
            plans = [_planned(job, analyze_file(job.source, options, progress=_phases(report)), options)]
        outcomes += [
            Outcome(job=job, status="planned", report=plan)
            for job, plan in zip(unit.jobs, plans, strict=True)
        ]
    return tuple(outcomes)


def analyze_unit(unit: Unit, report: Report, options: RestoreOptions) -> tuple[Outcome, ...]:
    """Examine a file."""
    with _failures(unit) as outcomes:
        for job in unit.jobs:
            found = analyze_file(job.source, options, progress=_phases(report))
            outcomes.append(Outcome(job=job, status="analyzed", report=found))
    return tuple(outcomes)


def _planned(job: Job, found: FileAnalysis, options: RestoreOptions) -> FileRestoration:
    output_format = choose_format(
        found.source,
        job.target,
        container=options.container,
        bit_depth=options.bit_depth,
        frames=found.source.frames,
    )
    return FileRestoration(
        input=str(job.source),
        output=str(job.target),
        status="planned",
        source=found.source,
        output_format=output_format,
        diagnosis=found.diagnosis,
        plan=found.plan,
        gain=None,
        level_gain_db=0.0,
        levels=None,
        warnings=found.plan.warnings,
    )


def _require_unchanged(job: Job, was: Stamp) -> None:
    try:
        if stamp(job.source) == was:
            return
    except AudioReadError:
        pass
    job.target.unlink(missing_ok=True)
    raise AudioReadError(
        f"'{job.source}' changed while it was being restored", hint="run again with --resume"
    )


def make_folder(folder: Path) -> None:
    """Make an output folder where it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder '{folder}' cannot be made: {error.strerror}", hint="choose another with -o"
        ) from error


@contextmanager
def _failures(unit: Unit) -> Iterator[list[Outcome]]:
    """Turn what ends the work on a unit into outcomes of its jobs."""
    outcomes: list[Outcome] = []
    try:
        with memory_errors():
            yield outcomes
        return
    except UnsquashError as error:
        failure = Failure(kind=type(error).__name__, message=str(error), hint=error.hint)
    except Exception as error:  # noqa: BLE001 (a fault on one file must not end the night for the others)
        message = f"{type(error).__name__}: {error}"
        failure = Failure(kind="Exception", message=message, trace=traceback.format_exc())
    outcomes[:] = [Outcome(job=job, status="failed", failure=failure) for job in unit.jobs]


def _phases(report: Report) -> PhaseReport:
    """Return a progress function that reports seldom enough to cost nothing."""
    last = (float("-inf"), "")

    def progress(phase: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if phase != last[1] or now - last[0] >= _REPORT_INTERVAL_S or done >= total:
            last = (now, phase)
            report(Progress(phase=phase, done=done, total=total))

    return progress
