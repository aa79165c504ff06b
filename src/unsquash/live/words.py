"""Outcomes in words."""

from __future__ import annotations

from typing import Any

from unsquash import console
from unsquash.audio.formats import BYTES_PER_SAMPLE
from unsquash.batch.names import shown
from unsquash.batch.settings import Summary
from unsquash.batch.tasks import Failure, Outcome
from unsquash.pipeline import FileRestoration


def describe(outcome: Outcome, *, verbose: bool = False) -> str:
    """Return an outcome as one line; verbose, with the reasons, or the trace of a fault."""
    names = shown(outcome.job.source)
    if outcome.job.target != outcome.job.source:
        names += f" -> {shown(outcome.job.target)}"
    if outcome.failure is not None:
        return f"{names}: failed: {_blame(outcome.failure, verbose=verbose)}"
    parts = [outcome.status]
    if outcome.note:
        parts.append(outcome.note)
    report = outcome.report
    if report is not None:
        parts.append(" ".join(["method", report.plan.method, *report.plan.models]))
    if isinstance(report, FileRestoration):
        if report.gain is not None:
            parts.append(f"gain {report.gain.mean_db:+.2f} dB on average")
        is_planned = outcome.status == "planned"
        parts.append(_size(report) if is_planned else f"level {report.level_gain_db:+.2f} dB")
        parts += [f"warning: {warning}" for warning in report.warnings]
    if verbose and report is not None:
        parts += [f"because {reason}" for reason in report.plan.reasons]
    return f"{names}: {', '.join(parts)}"


def count(summary: Summary, files: int) -> str:
    """Return what a batch came to, in a few words."""
    counts = [f"{number} {status}" for status, number in sorted(summary.counts.items())]
    if files > summary.files:
        counts.append(f"{files - summary.files} not tried")
    return ", ".join(counts)


def brief(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values for JSON."""
    report = outcome.report
    return {
        "input": str(outcome.job.source),
        "output": str(outcome.job.target),
        "status": outcome.status,
        "note": outcome.note,
        "error": console.as_json(outcome.failure),
        "seconds": round(outcome.work_s, 3),
        "method": None if report is None else report.plan.method,
    }


def record(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values for JSON, with all that was found and done."""
    return {**brief(outcome), "report": console.as_json(outcome.report)}


def _blame(failure: Failure, *, verbose: bool) -> str:
    hint = f" ({failure.hint})" if failure.hint else ""
    trace = f"\n{failure.trace}" if verbose and failure.trace else ""
    return f"{shown(failure.message)}{hint}{trace}"


def _size(report: FileRestoration) -> str:
    """Return what an output is going to be, and how large without its tags."""
    written, source = report.output_format, report.source
    if written.subtype not in BYTES_PER_SAMPLE:
        return f"{written.container} {written.subtype}"
    size_mb = source.frames * source.channels * BYTES_PER_SAMPLE[written.subtype] / 1e6
    return f"{written.container} {written.subtype}, at most {size_mb:.1f} MB"
