"""Turn a trained checkpoint into a model to ship: weights, card, results and manifest entry in one step.

`python -m unsquash.training.export CHECKPOINT models/NAME --description card.md --results results.json`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unsquash.errors import OptionError
from unsquash.training.commands import run
from unsquash.weights import export
from unsquash.weights.manifest import MANIFEST


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Export a trained network.")
    parser.add_argument("checkpoint", type=Path, help="model.safetensors as training leaves it")
    parser.add_argument("folder", type=Path, help="the model's own folder; its name becomes the model's")
    parser.add_argument("--description", type=Path, required=True, help="the card's prose, in Markdown")
    parser.add_argument("--results", type=Path, required=True, help="figures, as JSON")
    parser.add_argument("--licence", default="MIT", help="of the weights (MIT)")
    parser.add_argument("--attribution", default="the unsquash contributors", help="whose weights they are")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help="by default the shipped one")
    chosen = parser.parse_args(arguments)
    entry = export(
        chosen.checkpoint,
        chosen.folder,
        description=_text(chosen.description),
        results=_results(chosen.results),
        licence=chosen.licence,
        attribution=chosen.attribution,
        manifest=chosen.manifest,
    )
    print(f"{entry.name}: {entry.bytes} bytes, SHA-256 {entry.sha256}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"cannot read {path}: {error}", hint="It has to be text in UTF-8.") from error


def _results(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise OptionError(f"{path} is not JSON: {error}", hint="Figures by name.") from error
    if not isinstance(results, dict):
        raise OptionError(f"{path} holds no figures by name", hint="The outermost of it has to be {…}.")
    return results


if __name__ == "__main__":
    run(main)
