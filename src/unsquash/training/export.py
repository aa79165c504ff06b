"""Turn a trained checkpoint into a model to ship: weights, card, results and manifest entry in one step.

`python -m unsquash.training.export CHECKPOINT models/NAME --description card.md --results results.json`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

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
        description=chosen.description.read_text(encoding="utf-8"),
        results=json.loads(chosen.results.read_text(encoding="utf-8")),
        licence=chosen.licence,
        attribution=chosen.attribution,
        manifest=chosen.manifest,
    )
    print(f"{entry.name}: {entry.bytes} bytes, SHA-256 {entry.sha256}")


if __name__ == "__main__":
    main()
