"""`unsquash squash`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unsquash.cli import flags
from unsquash.errors import OptionError
from unsquash.options import parse_level, parse_settings


def squash(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A file.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="What to write.")],
    profile: flags.Profile = None,
    settings: flags.Settings = None,
    link: flags.Link = None,
    drive: Annotated[float, typer.Option(metavar="DB", help="Constant gain before the processing.")] = 0.0,
    limit: Annotated[
        float | None,
        typer.Option(metavar="DBFS", help="Ceiling of a look-ahead limiter after the compressor."),
    ] = None,
    lookahead: Annotated[float, typer.Option(metavar="MS", help="Look-ahead of the limiter.")] = 5.0,
    release: Annotated[float, typer.Option(metavar="MS", help="Release of the limiter.")] = 50.0,
    level: flags.Level = "auto",
    bit_depth: flags.BitDepth = "same",
    dither: flags.Dither = "auto",
    seed: flags.Seed = 0,
    overwrite: flags.Overwrite = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Compress and limit a recording, to make test material whose original is known."""
    from unsquash import console
    from unsquash.forward import SquashOptions, squash_file

    if "-" in (str(source), str(target)):
        raise OptionError("squash works on files only", hint="unsquash squash IN.wav OUT.wav")
    options = SquashOptions(
        drive_db=drive,
        profile=profile,
        settings=parse_settings(settings or []),
        link=link,  # type: ignore[arg-type]  # validated by the compressor
        ceiling_db=limit,
        lookahead_ms=lookahead,
        release_ms=release,
    )
    if options.profile is None and not options.settings and limit is None:
        raise OptionError("nothing to do", hint="give --profile, --set or --limit")
    with console.progress(quiet=quiet) as progress:
        report = squash_file(
            source,
            target,
            options,
            level=parse_level(level),
            bit_depth=bit_depth,  # type: ignore[arg-type]  # validated by the writer
            dither=dither,  # type: ignore[arg-type]
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        console.print_json(report)
    elif not quiet:
        console.print_squash(report)
