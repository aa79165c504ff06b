"""`unsquash restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from unsquash.cli import flags
from unsquash.errors import OptionError
from unsquash.options import DEFAULT_MODEL, RestoreOptions, parse_level, parse_position, parse_settings


def restore(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT [OUTPUT]", help="A file, or - for stdin/stdout.")
    ],
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="PATH", help="The output.")] = None,
    method: Annotated[
        str, typer.Option(metavar="auto|neural|model|none", help="'auto' leaves a healthy recording alone.")
    ] = "auto",
    profile: flags.Profile = None,
    settings: flags.Settings = None,
    strength: Annotated[float, typer.Option(metavar="0..1", help="Scales the gain in dB.")] = 1.0,
    max_gain: Annotated[
        float | None,
        typer.Option(metavar="DB", help="Limit of the gain; 12 by default where the gain is estimated."),
    ] = None,
    link: flags.Link = None,
    level: flags.Level = "auto",
    bit_depth: flags.BitDepth = "same",
    output_format: Annotated[
        str | None,
        typer.Option("--format", metavar="wav|flac|…", help="Container; by default from OUTPUT's name."),
    ] = None,
    dither: flags.Dither = "auto",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="90, 1:30, 1:30.5 or 44100s (samples).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Restore up to here.")] = None,
    model: flags.Model = DEFAULT_MODEL,
    device: flags.Device = "auto",
    seed: flags.Seed = 0,
    no_tags: Annotated[
        bool, typer.Option("--no-tags", help="Leave the input's tags behind, and add none.")
    ] = False,
    no_art: Annotated[bool, typer.Option("--no-art", help="Leave cover art behind.")] = False,
    replaygain: Annotated[
        bool, typer.Option("--replaygain", help="Add fresh ReplayGain fields (R128 for Opus).")
    ] = False,
    keep_mtime: Annotated[
        bool, typer.Option("--keep-mtime", help="Give the output the input's modification time.")
    ] = False,
    overwrite: flags.Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Examine and plan, write nothing.")
    ] = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = 0,
) -> None:
    """Give a squashed recording its dynamics back.

    unsquash restore IN.wav OUT.wav; with --profile or --set the compressor is inverted exactly, otherwise
    the recording is examined and either restored by a neural network or copied untouched.
    """
    source, target = _ends(inputs, output)
    options = RestoreOptions(
        method=method,  # type: ignore[arg-type]  # validated by RestoreOptions
        profile=profile,
        settings=parse_settings(settings or []),
        strength=strength,
        max_gain_db=max_gain,
        link=link,  # type: ignore[arg-type]
        level=parse_level(level),
        bit_depth=bit_depth,  # type: ignore[arg-type]
        container=output_format,
        dither=dither,  # type: ignore[arg-type]
        start=None if start is None else parse_position(start),
        end=None if end is None else parse_position(end),
        model=model,
        device=device,
        seed=seed,
        tags=not no_tags,
        art=not no_art,
        replaygain=replaygain,
        keep_mtime=keep_mtime,
    )
    if json and target == "-" and not dry_run:
        raise OptionError(
            "stdout cannot carry both audio and JSON", hint="give the output a name, or drop --json"
        )
    from unsquash import console
    from unsquash.pipeline import restore_file

    with console.progress(quiet=quiet) as progress:
        report = restore_file(
            _reader(source),
            _writer(target, dry_run=dry_run),
            options,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )
    if json:
        console.print_json(report)
    elif not quiet:
        console.print_restoration(report, verbose=verbose)


def _ends(inputs: list[str], output: str | None) -> tuple[str, str]:
    if output is None and len(inputs) == 2:
        return inputs[0], inputs[1]
    if output is not None and len(inputs) == 1:
        return inputs[0], output
    if len(inputs) == 1:
        raise OptionError("no output was named", hint="unsquash restore IN.wav OUT.wav")
    raise OptionError(f"{len(inputs)} files were named", hint="one input and one output at a time")


def _reader(name: str) -> Path | BinaryIO:
    return sys.stdin.buffer if name == "-" else Path(name)


def _writer(name: str, *, dry_run: bool) -> Path | BinaryIO:
    if name != "-":
        return Path(name)
    if sys.stdout.isatty() and not dry_run:
        raise OptionError(
            "audio does not belong on a terminal", hint="name an output file, or pipe stdout onwards"
        )
    return sys.stdout.buffer
