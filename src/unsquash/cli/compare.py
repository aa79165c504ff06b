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
    json: flags.Json = False,
) -> None:
    """Measure how far two recordings of equal length are apart."""
    from unsquash import console
    from unsquash.audio import open_audio
    from unsquash.metrics import compare_sources

    with open_audio(before) as reference, open_audio(after) as estimate:
        comparison = compare_sources(reference, estimate)
    if json:
        console.print_json(comparison)
    else:
        console.print_comparison(str(before), str(after), comparison)
