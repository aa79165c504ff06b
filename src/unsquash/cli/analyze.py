"""`unsquash analyze`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unsquash.cli import flags
from unsquash.options import DEFAULT_MODEL, RestoreOptions


def analyze(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file, or - for stdin.")],
    model: flags.Model = DEFAULT_MODEL,
    device: flags.Device = "auto",
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Examine a recording and say what restore would do; writes nothing."""
    from unsquash import console
    from unsquash.pipeline import analyze_file

    options = RestoreOptions(model=model, device=device)
    with console.progress(quiet=quiet) as progress:
        report = analyze_file(sys.stdin.buffer if source == "-" else Path(source), options, progress=progress)
    if json:
        console.print_json(report)
    else:
        console.print_analysis(report)
