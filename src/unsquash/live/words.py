"""Outcomes in words."""

from __future__ import annotations

from typing import Any

from unsquash import console
from unsquash.audio.formats import BYTES_PER_SAMPLE
from unsquash.batch.names import shown
from unsquash.batch.tasks import Outcome
from unsquash.pipeline import FileRestoration


def describe(outcome: Outcome) -> str:
    """Return an outcome as one line."""
    names = f"{shown(outcome.job.source)} -> {shown(outcome.job.target)}"
    if outcome.failure is not None:
        hint = f" ({outcome.failure.hint})" if outcome.failure.hint else ""
        return f"{names}: failed: {shown(outcome.failure.message)}{hint}"
    line = f"{names}: {outcome.status}"
    report = outcome.report
    if outcome.note:
        line += f", {outcome.note}"
    if isinstance(report, FileRestoration):
        line += f", method {report.plan.method}"
        if report.gain is not None:
            line += f", gain {report.gain.mean_db:+.2f} dB on average"
        if outcome.status == "planned":
            line += f", {_size(report)}"
        else:
            line += f", level {report.level_gain_db:+.2f} dB"
        line += "".join(f"; warning: {warning}" for warning in report.warnings)
    return line


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


def _size(report: FileRestoration) -> str:
    """Return what an output is going to be, and how large without its tags."""
    written, source = report.output_format, report.source
    if written.subtype not in BYTES_PER_SAMPLE:
        return f"{written.container} {written.subtype}"
    size_mb = source.frames * source.channels * BYTES_PER_SAMPLE[written.subtype] / 1e6
    return f"{written.container} {written.subtype}, at most {size_mb:.1f} MB"
