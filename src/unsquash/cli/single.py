"""`unsquash restore` of one file, or of a stream."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unsquash.batch.names import Naming, exists, is_folder
from unsquash.cli import streams
from unsquash.cli.logs import check_log, logged
from unsquash.errors import AudioReadError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unsquash.batch.settings import BatchOptions
    from unsquash.live import Showing
    from unsquash.options import RestoreOptions

_USAGE = "unsquash restore IN.wav OUT.wav, or FILES -o DIR"


class Beside(NamedTuple):
    """What is to be written beside one output."""

    save_gain: Path | None
    ab: Path | None
    blind: bool


def ends_of(
    inputs: list[str], output: str | None, naming: Naming, *, for_many: Sequence[str]
) -> tuple[str, str]:
    """Return the input and the output of a single file.

    Args:
        inputs: what was named.
        output: what `-o` named.
        naming: how outputs are called.
        for_many: flags that were given and need an output folder.

    Raises:
        OptionError: it is not one input and one output that were named.
        AudioReadError: the input is a folder.
    """
    if for_many:
        raise OptionError(f"{', '.join(for_many)}: only with an output folder", hint="name it with -o DIR")
    if len(inputs) > 2:
        raise OptionError("several files need an output folder", hint="name it with -o DIR")
    if not inputs:
        raise OptionError("no input was named", hint=_USAGE)
    if is_folder(inputs[0]):
        raise AudioReadError(f"'{inputs[0]}' is a folder", hint="name the folder of the outputs with -o DIR")
    if len(inputs) == 2 and naming.is_special:  # the second may have been meant as an input, too
        raise OptionError(
            f"--suffix and --template name outputs, but '{inputs[1]}' was named as one",
            hint="leave them out; for several files name an output folder with -o DIR",
        )
    if len(inputs) == 2:
        return inputs[0], inputs[1]
    if output is None and naming.is_special and inputs[0] != "-":
        return inputs[0], str(naming.beside(Path(inputs[0])))
    if output is None:
        raise OptionError("no output was named", hint=_USAGE)
    return inputs[0], output


def restore_one(
    source: str,
    target: str,
    options: RestoreOptions,
    batch: BatchOptions,
    showing: Showing,
    beside: Beside,
) -> None:
    """Restore one file, and say what was done."""
    from unsquash import console
    from unsquash.audition import choose_pair
    from unsquash.live import file_display
    from unsquash.pipeline import restore_file

    if showing.results != "none" and target == "-" and not batch.dry_run:
        raise OptionError(
            "stdout cannot carry both audio and JSON", hint="give the output a name, or drop --json"
        )
    reader = streams.standard_input() if source == "-" else Path(source)
    writer = streams.standard_output(dry_run=batch.dry_run) if target == "-" else Path(target)
    pair = choose_pair(reader, writer, beside.ab, blind=beside.blind)
    paired = () if pair is None else pair.paths
    check_log(showing.log_file, (Path(source), Path(target), beside.save_gain, *paired))
    with logged(showing, source, target) as enter:
        if batch.skip_existing and target != "-" and exists(target):
            report = _skipped(source, target, options)
            enter("skipped", None, "the output exists")
            if showing.results == "none":
                console.print_skipped(target, quiet=showing.quiet)
            else:
                console.print_json(report, one_line=showing.results == "json-lines")
            return
        with file_display(showing.style, quiet=showing.quiet) as progress:
            done = restore_file(
                reader,
                writer,
                options,
                overwrite=batch.overwrite,
                dry_run=batch.dry_run,
                progress=progress,
                **beside._asdict(),
            )
        enter(done.status, done)
    if showing.results != "none":
        console.print_json(done, one_line=showing.results == "json-lines")
    elif not showing.quiet:
        console.print_restoration(done, verbose=int(showing.verbose))


def _skipped(source: str, target: str, options: RestoreOptions) -> dict[str, Any]:
    """Return the report of a file whose output exists: with all fields, but little to fill them.

    Raises:
        InputError: the input cannot be used.
    """
    from unsquash.audio import open_audio
    from unsquash.pipeline import FileRestoration, raw_format

    info = None
    if source != "-":
        with open_audio(Path(source), raw_format(options)) as audio:
            info = audio.info
    return {
        **dict.fromkeys(field.name for field in dataclasses.fields(FileRestoration)),
        "input": source,
        "output": target,
        "status": "skipped",
        "source": info,
        "warnings": (),
        "beside": (),
    }
