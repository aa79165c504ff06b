"""`unsquash analyze`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unsquash.batch.names import exists
from unsquash.cli import flags, many
from unsquash.cli.exits import SQUASHED
from unsquash.cli.logs import check_log, logged, read_besides
from unsquash.cli.streams import standard_input
from unsquash.errors import OptionError
from unsquash.options import DEFAULT_MODEL, PUBLISHED, RestoreOptions

if TYPE_CHECKING:
    from unsquash.live import Results
    from unsquash.pipeline import FileAnalysis


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
    profile_set: flags.ProfileSet = PUBLISHED,
    model_dir: flags.ModelDir = None,
    offline: flags.Offline = False,
    device: flags.Device = "auto",
    jobs: flags.Jobs = "auto",
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 10 if a file is limited, compressed or clipped.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png",
            help="Draw level, gain and static curve of one file; needs matplotlib.",
        ),
    ] = None,
    overwrite: flags.Overwrite = False,
    json: flags.Json = False,
    json_lines: flags.JsonLines = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV on stdout: a header, and a row for every file.")
    ] = False,
    progress: flags.ProgressStyle = "auto",
    no_progress: flags.NoProgress = False,
    log_file: flags.LogFile = None,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = 0,
) -> None:
    """Examine recordings and say what restore would do; writes nothing but the plot."""
    from unsquash.batch.expand import Selection
    from unsquash.console import print_written
    from unsquash.live import Showing, file_display
    from unsquash.pipeline import analyze_file

    results = _results(json=json, json_lines=json_lines, csv=csv)
    options = RestoreOptions(model=model, profile_set=profile_set, device=device, input_format=input_format)
    selection = Selection(
        include=tuple(include or ()), exclude=tuple(exclude or ()), recursive=not no_recursive
    )
    showing = Showing(
        style=many.parse_style(progress, no_progress=no_progress),
        quiet=quiet,
        verbose=bool(verbose),
        log_file=log_file,
        results=results,
    )
    at_once = many.parse_jobs(jobs)
    listed = many.listed_names(files_from, null=null)
    check_log(log_file, (plot, *read_besides(options, files_from)))
    names = inputs or []
    if not names and not listed:
        raise OptionError("no input was named", hint="unsquash analyze IN.wav, or a folder")
    is_one = not (listed or selection != Selection() or many.are_many(names))
    if plot is not None:
        _check_plot(plot, names, is_one=is_one, overwrite=overwrite)
    elif overwrite:
        raise OptionError("there is no plot to overwrite", hint="give --plot FILE.png with --overwrite")
    if not is_one:
        many.analyze_many(
            names,
            listed,
            selection=selection,
            options=options,
            jobs=at_once,
            showing=showing,
            check=check,
        )
        return
    (name,) = names
    source = standard_input() if name == "-" else Path(name)
    check_log(log_file, (Path(name),))
    with logged(showing, name, name) as enter:
        with file_display(showing.style, quiet=quiet) as shown:
            report = analyze_file(source, options, progress=shown, trace=plot is not None)
        if plot is not None:
            from unsquash.plotting import write_plot

            write_plot(plot, report, overwrite=overwrite)
        enter("analyzed", report)
    _print(report, results)
    if plot is not None and not quiet:
        print_written([str(plot)], ())
    if check and report.squashed:
        raise typer.Exit(SQUASHED)


def _results(*, json: bool, json_lines: bool, csv: bool) -> Results:
    """Return the form of what goes to stdout."""
    if csv and (json or json_lines):
        raise OptionError("stdout cannot carry both CSV and JSON", hint="give --csv, --json or --json-lines")
    return "csv" if csv else "json" if json else "json-lines" if json_lines else "table"


def _check_plot(plot: Path, names: list[str], *, is_one: bool, overwrite: bool) -> None:
    """Refuse, before any work, a plot that could not be drawn or written in the end."""
    if not is_one:
        raise OptionError("a plot shows one file", hint="unsquash analyze IN.wav --plot OUT.png")
    if plot.suffix.lower() != ".png":
        raise OptionError(f"'{plot}' is no name of a PNG file", hint="let it end in .png")
    from unsquash.audio import check_separate, check_target
    from unsquash.plotting import require_matplotlib

    require_matplotlib()
    if names[0] != "-" and exists(names[0]):
        check_separate(Path(names[0]), plot)
    check_target(plot, overwrite=overwrite)


def _print(report: FileAnalysis, results: Results) -> None:
    from unsquash import console

    if results == "csv":
        from unsquash.spreadsheet import Sheet

        Sheet(sys.stdout.buffer).add(report.input, report)
    elif results == "table":
        console.print_analysis(report)
    else:
        console.print_json(report, one_line=results == "json-lines")
