"""Fit the verdict of a trained network anew, on many more files than a batch holds.

`python -m unsquash.training.assess MODEL RECIPE --audio DIR --cache DIR --out FILE` pools fresh excerpts of
the training artists with the network as it is, and fits only the head that says what was done to a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch

from unsquash.nets.gain import GainNet
from unsquash.nets.gain_loss import assessment_loss
from unsquash.training.checkpoint import save_net
from unsquash.training.codecs import available_plugins
from unsquash.training.examples import NetExample, Source
from unsquash.training.recipe import load_recipe
from unsquash.weights import load_gain_net

FIRST_NUMBER = 2_000_000
"""Far from the examples that the network was trained on."""

HELD_OUT_SHARE = 0.2


def fit_assessor(net: GainNet, examples: Iterable[NetExample], *, seed: int, steps: int = 400) -> float:
    """Fit the head on all examples at once, keep it as it was when best on a held-out share.

    Returns that lowest loss.
    """
    vectors, verdicts, amounts_db = _pooled(net, examples)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(vectors), generator=generator)
    held_out = order[: round(HELD_OUT_SHARE * len(order))]
    fitted = order[len(held_out) :]
    torch.manual_seed(seed)
    for layer in net.assessor:
        if isinstance(layer, torch.nn.Linear):
            layer.reset_parameters()
    optimizer = torch.optim.AdamW(net.assessor.parameters(), lr=5e-3, weight_decay=0.1)
    best, lowest = net.assessor.state_dict(), float("inf")
    for _ in range(steps):
        loss = assessment_loss(net.assess(vectors[fitted]), verdicts[fitted], amounts_db[fitted])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            assessment = net.assess(vectors[held_out])
            unseen = float(assessment_loss(assessment, verdicts[held_out], amounts_db[held_out]))
        if unseen < lowest:
            lowest = unseen
            best = {name: value.clone() for name, value in net.assessor.state_dict().items()}
    net.assessor.load_state_dict(best)
    return lowest


@torch.no_grad()
def _pooled(net: GainNet, examples: Iterable[NetExample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    vectors, verdicts, amounts_db = [], [], []
    for example in examples:
        features = torch.from_numpy(example.features).float()[None]
        vectors.append(net.pool(net.embed(features)))
        verdicts.append(example.verdict)
        amounts_db.append(torch.from_numpy(example.amount_db))
    return torch.cat(vectors), torch.tensor(verdicts), torch.stack(amounts_db)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.assess", description=__doc__)
    parser.add_argument("model", help="name in the manifest, or a .safetensors file")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, required=True, help="folder with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--examples", type=int, default=2000)
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    source = Source.of(recipe, options.audio, options.cache, available_plugins())
    net = load_gain_net(options.model)
    examples = islice(source.generate("train", FIRST_NUMBER, 1), options.examples)
    print(f"held-out loss {fit_assessor(net, examples, seed=recipe.seed):.3f}")
    save_net(net, options.out)


if __name__ == "__main__":
    main()
