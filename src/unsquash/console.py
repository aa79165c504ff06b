"""What a person, or a script, sees. The only module that draws; data goes to stdout, the rest to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import console as rich_console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from unsquash.analysis.ranges import settings_of
from unsquash.analysis.verdict import verdict_of
from unsquash.batch.names import shown

if TYPE_CHECKING:
    from unsquash.analysis.diagnosis import Diagnosis
    from unsquash.analysis.identification import Identification
    from unsquash.dsp.compressor import CompressorParams
    from unsquash.forward import FileSquash
    from unsquash.health import Health
    from unsquash.metrics import Comparison
    from unsquash.pipeline import FileAnalysis, FileRestoration
    from unsquash.plan import Plan

JSON_SCHEMA = 1
TABLE_WIDTH = 10_000  # more than any has: a terminal that is narrower wraps the rows, and no cell is cut


class Console(rich_console.Console):
    """A console that leaves it to the command line what to do when its reader went away."""

    def on_broken_pipe(self) -> None:
        """Raise what rich would turn into exit code 1."""
        raise BrokenPipeError


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar on stderr while work goes on; nothing when stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(tasks[phase], completed=done)

        yield report


def as_json(value: Any) -> Any:
    """Return a value as plain JSON types: dataclasses by field, without arrays."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = (field for field in dataclasses.fields(value) if field.repr)
        return {field.name: as_json(getattr(value, field.name)) for field in told}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Print one JSON document on stdout, in UTF-8 whatever the locale, with the version of its schema."""
    content = as_json(value)
    document = {"schema": JSON_SCHEMA, **(content if isinstance(content, dict) else {"items": content})}
    text = json.dumps(document, indent=None if one_line else 2, allow_nan=False, ensure_ascii=False)
    sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "backslashreplace"))  # names may be no Unicode
    sys.stdout.buffer.flush()


def print_skipped(target: str, *, quiet: bool) -> None:
    """Say on stderr that an output exists and was left as it is."""
    if not quiet:
        sys.stderr.write(f"{shown(target)}: skipped, the output exists\n")


def print_restoration(report: FileRestoration, *, verbose: int) -> None:
    """Say on stderr what was done to a file."""
    out = Console(stderr=True, highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    out.print(f"{shown(report.input)} -> {shown(report.output)}: {report.status}", markup=False)
    _print_plan(out, report.plan)
    if report.gain is not None:
        out.print(f"  gain: {report.gain.mean_db:+.2f} dB on average, {report.gain.max_db:+.2f} dB at most")
    if report.status != "planned":
        out.print(f"  level: one constant gain of {report.level_gain_db:+.2f} dB")
    if report.end_s is not None and (report.start_s > 0.0 or report.end_s < report.source.duration_s):
        out.print(f"  part: {report.start_s:.3f} s to {report.end_s:.3f} s")
    _print_beside(out, report.beside)
    for warning in report.warnings:
        out.print(f"  warning: {shown(warning)}", markup=False)
    if report.output_format.container == "RF64" and not report.output.lower().endswith(".rf64"):
        out.print("  more than 4 GiB: written as RF64")
    if verbose:
        out.print(_levels_table(report.diagnosis))


def print_analysis(report: FileAnalysis) -> None:
    """Print what was found in a file as a table on stdout."""
    out = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    info = report.source
    length_s = info.frames / info.sample_rate
    kind = f"{info.container} {info.subtype}, {info.sample_rate} Hz, {info.channels} ch, {length_s:.1f} s"
    out.print(f"{shown(report.input)}: {kind}", markup=False)
    out.print(_levels_table(report.diagnosis))
    _print_plan(out, report.plan)
    for warning in report.plan.warnings:
        out.print(f"  warning: {shown(warning)}", markup=False)


def print_written(names: Sequence[str], remarks: Sequence[str]) -> None:
    """Say on stderr what was written beside a comparison."""
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    _print_beside(out, names)
    for remark in remarks:
        out.print(f"  warning: {shown(remark)}", markup=False)


def print_squash(report: FileSquash) -> None:
    """Say on stderr what was done to a file."""
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    out.print(f"{shown(report.input)} -> {shown(report.output)}: squashed", markup=False)
    out.print(f"  level: one constant gain of {report.level_gain_db:+.2f} dB")
    for warning in report.warnings:
        out.print(f"  warning: {shown(warning)}", markup=False)


def print_comparison(before: str, after: str, comparison: Comparison) -> None:
    """Print the distances between two files as a table on stdout."""
    table = _grid()
    for field in dataclasses.fields(comparison):
        value = getattr(comparison, field.name)
        table.add_row(*_named(field.name, value))
    out = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    out.print(f"{shown(before)} against {shown(after)}", markup=False)
    out.print(table)


def print_profiles(profiles: Mapping[str, CompressorParams]) -> None:
    """Print compressor profiles as a table on stdout."""
    table = Table(box=None, pad_edge=False)
    for title in ("name", "threshold", "ratio", "detector ms", "gain ms", "detector", "knee", "convention"):
        table.add_column(title, no_wrap=True)
    for name, p in profiles.items():
        table.add_row(
            name,
            f"{p.threshold_db:g} dB",
            f"{p.ratio:g}",
            f"{p.detector_attack_ms:g}/{p.detector_release_ms:g}",
            "-" if p.smoothing == "none" else f"{p.attack_ms:g}/{p.release_ms:g}",
            p.detector,
            f"{p.knee_db:.3g} dB",
            p.convention,
        )
    Console(highlight=False, width=TABLE_WIDTH).print(table)


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the known models as a table on stdout."""
    table = Table(box=None, pad_edge=False)
    for title in ("name", "task", "network", "licence", "size", "place"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f} MB"
        table.add_row(row["name"], row["task"], row["network"], row["licence"], size, row["place"])
    Console(highlight=False, width=TABLE_WIDTH).print(table)


def print_model(known: Mapping[str, Any]) -> None:
    """Print all that is known of a model on stdout, its card last."""
    out = Console(highlight=False, soft_wrap=True)
    for name, value in known.items():
        if name != "card":
            out.print(f"{name.replace('_', ' ')}: {'-' if value is None else value}", markup=False)
    if known["card"] is not None:
        out.print(f"\n{known['card']}", markup=False)


def print_verified(name: str, path: Path) -> None:
    """Say on stdout that a model's file is intact."""
    sys.stdout.write(f"{name}: intact, {path}\n")


def print_health(health: Health) -> None:
    """Print versions, devices and models on stdout."""
    out = Console(highlight=False, soft_wrap=True)
    for name, value in as_json(health).items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {item}" for key, item in value.items())
        else:
            text = ", ".join(value) if isinstance(value, list) else str(value)
        out.print(f"{name + ':':12}{text}", markup=False)


def _print_beside(out: Console, names: Sequence[str]) -> None:
    for name in names:
        out.print(f"  also written: {shown(name)}", markup=False)


def _print_plan(out: Console, plan: Plan) -> None:
    out.print(f"  method: {plan.method}")
    for reason in plan.reasons:
        out.print(f"  because: {shown(reason)}", markup=False)


def _levels_table(diagnosis: Diagnosis) -> Table:
    table = _grid()
    table.add_row("verdict", ", ".join(verdict_of(diagnosis)), "")
    parts = (diagnosis.dynamics, diagnosis.levels, diagnosis.clipping)
    for part in (part for part in parts if part is not None):
        values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        for name, value in values.items():
            if name == "is_artificial":
                if value:
                    table.add_row("artificial", "yes", "tones, clicks or noise as they were made")
            elif name != "verdict" and not isinstance(value, tuple):
                table.add_row(*_named(name, value))
    table.add_row(*_named("bandwidth_hz", diagnosis.bandwidth_hz))
    if diagnosis.compressor is not None:
        table.add_row(*_named("compressor_agreement", diagnosis.compressor.agreement))
        for setting, value in settings_of(diagnosis.compressor.params).items():
            name, text, unit = _named(f"compressor_{setting}", value)
            low, high = diagnosis.compressor.ranges[setting]
            table.add_row(name, text, f"{unit} ({low:.3g} to {high:.3g})".lstrip())
        table.add_row(*_named("compressor_detector", diagnosis.compressor.params.detector))
        table.add_row(*_named("compressor_link", diagnosis.compressor.params.link))
    if diagnosis.identification is not None:
        _add_identification(table, diagnosis.identification)
    return table


def _add_identification(table: Table, found: Identification) -> None:
    """Add the name of the best known compressor and its probability."""
    table.add_row(*_named("profile", found.profile))
    table.add_row(*_named("profile_probability", found.probability if found.profile else None))


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    return table


_UNITS = {
    "db": "dB",
    "dbfs": "dBFS",
    "dbtp": "dBTP",
    "lufs": "LUFS",
    "lu": "LU",
    "ms": "ms",
    "s": "s",
    "hz": "Hz",
    "samples": "samples",
}


def _named(field: str, value: Any) -> tuple[str, str, str]:
    """Return a field as (name, value, unit); the unit is the field's suffix."""
    stem, _, suffix = field.rpartition("_")
    name, unit = (stem, _UNITS[suffix]) if suffix in _UNITS else (field, "")
    if value is None:
        return name.replace("_", " "), "-", ""
    text = f"{value:.6g}" if suffix not in _UNITS and isinstance(value, float) else str(value)
    if isinstance(value, float) and suffix in _UNITS:
        text = f"{value:.2f}"
    return name.replace("_", " "), text, unit
