"""Findings as CSV (RFC 4180, UTF-8): one header, one row per file."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import BinaryIO, TypeAlias

from unsquash.analysis.ranges import settings_of
from unsquash.batch.tasks import Failure
from unsquash.pipeline import FileAnalysis

COLUMNS = (
    "file",
    "verdict",
    "squashed",
    "confidence",
    "mean_gain_reduction_db",
    "max_gain_reduction_db",
    "clipping_ceiling_dbfs",
    "clipped_fraction",
    "sample_peak_dbfs",
    "true_peak_dbtp",
    "rms_dbfs",
    "crest_db",
    "integrated_lufs",
    "loudness_range_lu",
    "plr_db",
    "dr_db",
    "bandwidth_hz",
    "method",
    "reasons",
    "container",
    "subtype",
    "sample_rate",
    "channels",
    "duration_s",
    "error",
    "compressor_agreement",
    "compressor_threshold_db",
    "compressor_ratio",
    "compressor_attack_ms",
    "compressor_release_ms",
    "profile",
    "profile_probability",
    "compressor_detector",
    "compressor_link",
)
"""New ones will be added at the end only."""

Value: TypeAlias = str | float | bool | None


class Sheet:
    """Writes rows as they come.

    Args:
        stream: where to; gets the header at once.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._write(COLUMNS)

    def add(self, name: str, report: FileAnalysis | None, failure: Failure | None = None) -> None:
        """Write the row of a file: what was found in it, or why nothing was."""
        values: dict[str, Value] = {"file": name}
        if report is not None:
            values |= _findings(report)
        if failure is not None:
            values["error"] = failure.message
        self._write([_text(values.get(column)) for column in COLUMNS])

    def _write(self, row: list[str] | tuple[str, ...]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line).writerow(row)
        self._stream.write(line.getvalue().encode("utf-8", "backslashreplace"))  # names may be no Unicode
        self._stream.flush()


def _findings(report: FileAnalysis) -> dict[str, Value]:
    diagnosis, info = report.diagnosis, report.source
    clipping, dynamics = diagnosis.clipping, diagnosis.dynamics
    values: dict[str, Value] = {
        "verdict": ", ".join(report.verdict),
        "squashed": report.squashed,
        "clipping_ceiling_dbfs": clipping.ceiling_dbfs,
        "clipped_fraction": clipping.fraction,
        **asdict(diagnosis.levels),
        "bandwidth_hz": diagnosis.bandwidth_hz,
        "method": report.plan.method,
        "reasons": "; ".join(report.plan.reasons),
        "container": info.container,
        "subtype": info.subtype,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "duration_s": info.duration_s,
    }
    if dynamics is not None:
        values["confidence"] = dynamics.confidence
        values["mean_gain_reduction_db"] = dynamics.mean_gain_reduction_db
        values["max_gain_reduction_db"] = dynamics.max_gain_reduction_db
    if diagnosis.compressor is not None:
        values["compressor_agreement"] = diagnosis.compressor.agreement
        for setting, value in settings_of(diagnosis.compressor.params).items():
            values[f"compressor_{setting}"] = value
        values["compressor_detector"] = diagnosis.compressor.params.detector
        values["compressor_link"] = diagnosis.compressor.params.link
    if diagnosis.identification is not None and diagnosis.identification.profile is not None:
        values["profile"] = diagnosis.identification.profile
        values["profile_probability"] = diagnosis.identification.probability
    return values


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
