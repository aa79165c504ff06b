"""`unsquash presets`."""

from __future__ import annotations

import typer

from unsquash.cli import flags

app = typer.Typer(help="Compressor profiles that --profile knows.", no_args_is_help=True)


@app.callback()
def _presets() -> None:
    """Compressor profiles that --profile knows."""


@app.command(name="list")
def list_presets(json: flags.Json = False) -> None:
    """List every profile with its settings."""
    from unsquash import console
    from unsquash.dsp.profiles import load_profile, profile_names

    profiles = {name: load_profile(name) for name in profile_names()}
    if json:
        console.print_json(profiles)
    else:
        console.print_profiles(profiles)
