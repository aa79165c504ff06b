"""Find where to draw the line between "leave alone" and "restore", on artists the network never heard.

`python -m unsquash.training.calibrate MODEL RECIPE --audio DIR --cache DIR` prints, for each threshold on the
probability that an excerpt was squashed: how many untouched excerpts are left alone, how many squashed
ones are missed, the mean SI-SDR gain over the squashed, and how many of all are harmed.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from unsquash.nets.gain import GainNet
from unsquash.training.codecs import available_plugins
from unsquash.training.commands import counted, positive_int, run
from unsquash.training.examples import NetExample, Source
from unsquash.training.recipe import load_recipe
from unsquash.training.validate import collate, si_sdr_db
from unsquash.units import Float64Array
from unsquash.weights import load_gain_net

FIRST_NUMBER = 1_000_000
"""Far from the examples that training was watched on."""

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995)
HARM_DB = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the network made of excerpts.

    Shape:
        all: `(N,)`; `squashed` is the truth, `probability` the belief, `gain_db` what restoring gains.
    """

    squashed: Float64Array
    probability: Float64Array
    gain_db: Float64Array


@torch.inference_mode()
def judge(net: GainNet, examples: Sequence[NetExample]) -> Judged:
    """Assess and restore examples."""
    rows = []
    for example in examples:
        batch = collate([example]).to(torch.device("cpu"))
        conditioning = net.pool(net.embed(batch.features))
        estimate_db = net(batch.features, conditioning)
        judgement = net.judge(net.statistics(batch.features, estimate_db, conditioning))
        estimate_db = judgement.amount[:, None] * estimate_db
        before_db = si_sdr_db(-batch.reduction_db, batch.energy)
        after_db = si_sdr_db(estimate_db - batch.reduction_db, batch.energy)
        rows.append(
            (
                float(example.verdict > 0),
                float(torch.sigmoid(judgement.squashed)),
                float(after_db - before_db),
            )
        )
    squashed, probability, gain_db = np.array(rows).T
    return Judged(squashed=squashed, probability=probability, gain_db=gain_db)


def table(judged: Judged) -> str:
    """Write a Markdown table, one row per threshold."""
    lines = [
        "| threshold | untouched left alone | squashed missed | gain, squashed | harmed, of all |",
        "|---|---|---|---|---|",
    ]
    squashed = judged.squashed > 0
    for threshold in THRESHOLDS:
        restored = judged.probability >= threshold
        gain_db = np.where(restored, judged.gain_db, 0.0)
        lines.append(
            f"| {threshold:.3f} | {100 * (~restored[~squashed]).mean():.1f} % "
            f"| {100 * (~restored[squashed]).mean():.1f} % | {gain_db[squashed].mean():+.2f} dB "
            f"| {100 * (gain_db < -HARM_DB).mean():.1f} % |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.calibrate", description=__doc__)
    parser.add_argument("model", help="name in the manifest, or a .safetensors file")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--examples", type=positive_int, default=400)
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    of_recipe = Source.of(recipe, options.audio, options.cache, available_plugins())
    source = dataclasses.replace(of_recipe, moved_share=0.0)
    net = load_gain_net(options.model)
    examples = islice(source.generate("validation", FIRST_NUMBER, 1), options.examples)
    print(table(judge(net, list(counted("excerpts", examples)))))


if __name__ == "__main__":
    run(main)
