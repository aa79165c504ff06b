"""`unsquash compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unsquash.cli import flags


def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The reference, such as the original.")],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="What is judged, such as the restored file.")
    ],
    ab: flags.Ab = None,
    blind: flags.Blind = False,
    seed: flags.Seed = 0,
    overwrite: flags.Overwrite = False,
    json: flags.Json = False,
) -> None:
    """Measure how far two recordings of equal length are apart; write them equally loud with --ab."""
    from unsquash import console
    from unsquash.audio import check_separate, open_audio
    from unsquash.audition import choose_pair, write_pair
    from unsquash.metrics import compare_sources

    pair = choose_pair(before, after, ab, blind=blind)
    with open_audio(before) as reference, open_audio(after) as estimate:
        if pair is not None:
            check_separate(before, *pair.paths)
            check_separate(after, *pair.paths)
            pair.check(overwrite=overwrite)
        comparison = compare_sources(reference, estimate)
        if pair is not None:
            whole = (0, reference.info.frames)
            remarks = write_pair(pair, reference, whole, estimate, seed=seed, overwrite=overwrite)
            console.print_written(pair.names, remarks)
    if json:
        console.print_json(comparison)
    else:
        console.print_comparison(str(before), str(after), comparison)
