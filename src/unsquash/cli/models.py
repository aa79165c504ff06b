"""`unsquash models`."""

from __future__ import annotations

import typer

from unsquash.cli import flags

app = typer.Typer(
    help="Network weights: what there is, where it is, whether it is intact.", no_args_is_help=True
)


@app.callback()
def _models() -> None:
    """Network weights: what there is, where it is, whether it is intact."""


@app.command(name="list")
def list_models(json: flags.Json = False) -> None:
    """List every known model."""
    from unsquash import console
    from unsquash.weights import list_entries

    entries = list_entries()
    if json:
        console.print_json(entries)
    else:
        console.print_models(entries)


@app.command()
def verify() -> None:
    """Check every model on this machine against its SHA-256."""
    from unsquash import console
    from unsquash.weights import list_entries, verified_path

    for entry in list_entries():
        console.print_verified(entry.name, verified_path(entry))
