"""The command line: parse, call, map errors to exit codes; no numerics, nothing heavy at import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unsquash.cli import analyze, compare, doctor, models, presets, restore, squash
from unsquash.cli.exits import exit_codes
from unsquash.cli.streams import replace_closed
from unsquash.parallel import share_one_heap


class _Group(TyperGroup):
    """A command group whose every error ends in the documented exit code."""

    def make_context(self, *arguments: Any, **keywords: Any) -> Any:
        with _told():  # --help and --version print here
            return super().make_context(*arguments, **keywords)

    def invoke(self, ctx: Any) -> Any:
        with _told():
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    with exit_codes():
        try:
            yield
        finally:
            sys.stdout.flush()  # a reader that went away is noticed here at the latest


app = typer.Typer(
    name="unsquash",
    cls=_Group,
    help="Gives squashed recordings their dynamics back.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 some failed, 4 unreadable, 5 model, 6 output exists; "
    "10 squashed (analyze --check).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start-up time, and pipes and logs stay clean
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="restore", cls=restore.RestoreCommand)(restore.restore)
app.command(name="analyze")(analyze.analyze)
app.command(name="squash")(squash.squash)
app.command(name="compare")(compare.compare)
app.add_typer(models.app, name="models")
app.add_typer(presets.app, name="presets")
app.command(name="doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"unsquash {version('unsquash')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("-V", "--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Gives squashed recordings their dynamics back."""


def main() -> None:
    """Run the command line."""
    replace_closed()
    share_one_heap()
    app()
