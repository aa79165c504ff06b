"""`unsquash analyze`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unsquash.cli import flags, many
from unsquash.errors import OptionError
from unsquash.options import DEFAULT_MODEL, RestoreOptions


def analyze(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT...", help="Files and folders, or - for stdin.")
    ] = None,
    include: flags.Include = None,
    exclude: flags.Exclude = None,
    no_recursive: flags.NoRecursive = False,
    files_from: flags.FilesFrom = None,
    null: flags.Null = False,
    input_format: flags.InputFormat = None,
    model: flags.Model = DEFAULT_MODEL,
    model_dir: flags.ModelDir = None,
    offline: flags.Offline = False,
    device: flags.Device = "auto",
    jobs: flags.Jobs = "auto",
    json: flags.Json = False,
    json_lines: flags.JsonLines = False,
    progress: flags.ProgressStyle = "auto",
    no_progress: flags.NoProgress = False,
    log_file: flags.LogFile = None,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = 0,
) -> None:
    """Examine recordings and say what restore would do; writes nothing."""
    from unsquash import console
    from unsquash.batch.expand import Selection
    from unsquash.live import Showing, file_display
    from unsquash.pipeline import analyze_file

    options = RestoreOptions(model=model, device=device, input_format=input_format)
    style = many.parse_style(progress, no_progress=no_progress)
    listed = many.listed_names(files_from, null=null)
    names = inputs or []
    if not names and not listed:
        raise OptionError("no input was named", hint="unsquash analyze IN.wav, or a folder")
    if listed or many.are_many(names):
        many.analyze_many(
            names,
            listed,
            selection=Selection(
                include=tuple(include or ()), exclude=tuple(exclude or ()), recursive=not no_recursive
            ),
            options=options,
            jobs=many.parse_jobs(jobs),
            showing=Showing(
                style=style,
                quiet=quiet,
                verbose=bool(verbose),
                log_file=log_file,
                results="json" if json else "json-lines" if json_lines else "table",
            ),
        )
        return
    (name,) = names
    with file_display(style, quiet=quiet) as shown:
        report = analyze_file(sys.stdin.buffer if name == "-" else Path(name), options, progress=shown)
    if json or json_lines:
        console.print_json(report, one_line=json_lines)
    else:
        console.print_analysis(report)
