"""`unsquash models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unsquash.cli import flags
from unsquash.errors import ModelError

if TYPE_CHECKING:
    from unsquash.weights import WeightsEntry

app = typer.Typer(
    help="Network weights: what there is, where it is, whether it is intact.", no_args_is_help=True
)

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="See 'unsquash models list'.")]
Names: TypeAlias = Annotated[list[str], typer.Argument(metavar="NAME...", help="See 'unsquash models list'.")]


@app.callback()
def _models() -> None:
    """Network weights: what there is, where it is, whether it is intact."""


@app.command(name="list")
def list_models(json: flags.Json = False, model_dir: flags.ModelDir = None) -> None:
    """List every known model and where it is: packaged, cached or remote."""
    from unsquash import console
    from unsquash.weights import list_entries

    rows = [_described(entry) for entry in list_entries()]
    if json:
        console.print_json(rows)
    else:
        console.print_models(rows)


@app.command()
def pull(names: Names, offline: flags.Offline = False, model_dir: flags.ModelDir = None) -> None:
    """Fetch models, verify them and keep them; what is here already is only verified."""
    from unsquash import console, weights

    for entry in [weights.find_entry(name) for name in names]:
        if weights.status(entry).path is None:
            typer.echo(f"{entry.name}: fetching {entry.bytes / 1e6:.1f} MB", err=True)
        console.print_verified(entry.name, weights.pull(entry))


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="By default all that are here.")
    ] = None,
    model_dir: flags.ModelDir = None,
) -> None:
    """Check models on this machine against their SHA-256; a damaged one in a cache is removed."""
    from unsquash import console, weights

    entries = [weights.find_entry(name) for name in names or []]
    if not names:
        entries = [entry for entry in weights.list_entries() if weights.status(entry).path is not None]
    damaged: list[ModelError] = []
    for entry in entries:
        try:
            console.print_verified(entry.name, weights.verified_path(entry))
        except ModelError as error:
            damaged.append(error)
    for other in damaged[1:]:
        typer.echo(f"unsquash: {other}", err=True)
    if damaged:
        raise damaged[0]


@app.command()
def path(name: Name, model_dir: flags.ModelDir = None) -> None:
    """Print where a model's verified file is."""
    from unsquash.weights import find_entry, verified_path

    typer.echo(str(verified_path(find_entry(name))))


@app.command()
def rm(names: Names, model_dir: flags.ModelDir = None) -> None:
    """Remove models from this machine; shipped ones can be fetched again."""
    from unsquash import weights

    for entry in [weights.find_entry(name) for name in names]:
        for removed in weights.remove(entry):
            typer.echo(f"{entry.name}: removed {removed}")


@app.command(name="import")
def import_model(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".safetensors, De-limiter .pth (+ .json), or .toml.")
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call it.")] = None,
    model_dir: flags.ModelDir = None,
) -> None:
    """Bring a local file in under a name, converted once to safetensors."""
    from unsquash import weights

    for entry in weights.import_file(file, name):
        typer.echo(f"{entry.name}: {weights.status(entry).path or 'known; fetch it with models pull'}")


@app.command()
def info(name: Name, json: flags.Json = False, model_dir: flags.ModelDir = None) -> None:
    """Show a model's card and everything the manifest says."""
    from unsquash import console
    from unsquash.weights import card_of, find_entry

    entry = find_entry(name)
    shown = _described(entry) | {"card": card_of(entry)}
    if json:
        console.print_json(shown)
    else:
        console.print_model(shown)


def _described(entry: WeightsEntry) -> dict[str, object]:
    from unsquash import console
    from unsquash.weights import status

    found = status(entry)
    described: dict[str, object] = console.as_json(entry)
    described["sources"] = [{"kind": source.kind, **console.as_json(source)} for source in entry.sources]
    return described | {"place": found.place, "path": None if found.path is None else str(found.path)}
