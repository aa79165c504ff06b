"""`unsquash restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from unsquash.batch.names import DEFAULT_TEMPLATE, Naming
from unsquash.cli import flags, many
from unsquash.cli.logs import check_log, read_besides
from unsquash.cli.single import Beside, ends_of, restore_one
from unsquash.errors import OptionError
from unsquash.options import (
    DEFAULT_MODEL,
    PUBLISHED,
    RestoreOptions,
    is_position,
    parse_level,
    parse_position,
    parse_settings,
)

DEFAULT_PREVIEW = "30"


def restore(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT [OUTPUT]",
            help="A file, or - for stdin/stdout; with -o DIR any number of files and folders.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="The output; a folder for several inputs."),
    ] = None,
    suffix: flags.Suffix = "",
    template: flags.Template = DEFAULT_TEMPLATE,
    include: flags.Include = None,
    exclude: flags.Exclude = None,
    no_recursive: flags.NoRecursive = False,
    files_from: flags.FilesFrom = None,
    null: flags.Null = False,
    album: Annotated[
        bool, typer.Option("--album", help="Each folder is an album: one diagnosis, one level, no gaps.")
    ] = False,
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
    input_format: flags.InputFormat = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="90, 1:30, 1:30.5 or 44100s (samples).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Restore up to here.")] = None,
    preview: Annotated[
        str | None,
        typer.Option("--preview", metavar="[TIME]", help="Restore only the most squashed 30 s, or so long."),
    ] = None,
    ab: flags.Ab = None,
    blind: flags.Blind = False,
    save_gain: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the gain, to be applied again or taken back.")
    ] = None,
    apply_gain: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Apply a saved gain instead; needs no network.")
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take that gain back: restored in, squashed out.")
    ] = False,
    model: flags.Model = DEFAULT_MODEL,
    profile_set: flags.ProfileSet = PUBLISHED,
    model_dir: flags.ModelDir = None,
    offline: flags.Offline = False,
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
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave inputs whose output exists.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Redo only what is missing, changed or damaged in DIR.")
    ] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
    jobs: flags.Jobs = "auto",
    dry_run: flags.DryRun = False,
    json: flags.Json = False,
    json_lines: flags.JsonLines = False,
    progress: flags.ProgressStyle = "auto",
    no_progress: flags.NoProgress = False,
    log_file: flags.LogFile = None,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = 0,
) -> None:
    """Give a squashed recording its dynamics back.

    unsquash restore IN.wav OUT.wav, or unsquash restore FILES... -o DIR; with --profile or --set the
    compressor is inverted exactly, otherwise the recording is examined and either restored by a neural
    network or copied untouched.
    """
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
        profile_set=profile_set,
        device=device,
        seed=seed,
        tags=not no_tags,
        art=not no_art,
        replaygain=replaygain,
        keep_mtime=keep_mtime,
        input_format=input_format,
        apply_gain=apply_gain,
        undo=undo,
        preview=None if preview is None else parse_position(preview),
    )
    from unsquash.batch.expand import Selection
    from unsquash.batch.settings import BatchOptions
    from unsquash.live import Showing

    naming = Naming(template=template, suffix=suffix, container=output_format)
    selection = Selection(
        include=tuple(include or ()), exclude=tuple(exclude or ()), recursive=not no_recursive
    )
    batch = BatchOptions(
        overwrite=overwrite,
        skip_existing=skip_existing,
        resume=resume,
        dry_run=dry_run,
        fail_fast=fail_fast,
        album=album,
        jobs=many.parse_jobs(jobs),
    )
    showing = Showing(
        style=many.parse_style(progress, no_progress=no_progress),
        quiet=quiet,
        verbose=bool(verbose),
        log_file=log_file,
        results="json" if json else "json-lines" if json_lines else "none",
    )
    listed = many.listed_names(files_from, null=null)
    check_log(log_file, read_besides(options, files_from))
    for_many = {
        "--files-from": files_from is not None,
        "--album": album,
        "--resume": resume,
        "--include": bool(include),
        "--exclude": bool(exclude),
        "--no-recursive": no_recursive,
    }
    names = inputs or []
    shaped = any(for_many.values()) or naming.is_special or many.are_many(names)
    if output is not None and (shaped or many.is_folder_name(output, of_stream=names == ["-"])):
        if save_gain is not None or apply_gain is not None or ab is not None:
            raise OptionError(
                "gain files and pairs are for one file at a time", hint="unsquash restore IN.wav OUT.wav"
            )
        many.restore_many(
            names,
            listed,
            output,
            naming=naming,
            selection=selection,
            options=options,
            batch=batch,
            showing=showing,
        )
    else:
        given = [flag for flag, is_given in for_many.items() if is_given]
        source, target = ends_of(names, output, naming, for_many=given)
        restore_one(source, target, options, batch, showing, Beside(save_gain=save_gain, ab=ab, blind=blind))


class RestoreCommand(TyperCommand):
    """Lets `--preview` stand without its length."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare `--preview` its default."""
        given = list(args)
        for place, word in enumerate(given):
            if word == "--preview" and not is_position("".join(given[place + 1 : place + 2])):
                given[place] = f"--preview={DEFAULT_PREVIEW}"
        return super().parse_args(ctx, given)
