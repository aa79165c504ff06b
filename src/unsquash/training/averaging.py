"""Average a network and what became of it: `python -m unsquash.training.averaging A B --out FILE`.

A network that was trained on in other conditions gains there and forgets some of what it knew; between both,
on the straight line, it may know both.

Source:
    Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from unsquash.errors import WeightsCorruptError
from unsquash.nets.gain import GainNet
from unsquash.training.checkpoint import load_net, save_net
from unsquash.training.commands import positive_float, run


def averaged(before: GainNet, after: GainNet, share: float) -> GainNet:
    """Return the network `share` of the way from one to the other; `after` is changed and returned.

    Raises:
        WeightsCorruptError: They are of different sizes.
    """
    if before.config != after.config:
        raise WeightsCorruptError("the networks differ in size", hint="average a network and its successor")
    with torch.no_grad():
        for old, new in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
            if new.is_floating_point():
                new.copy_(torch.lerp(old, new, share))
    return after


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.averaging", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--share", type=positive_float, default=0.5, help="of the second")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    save_net(averaged(load_net(options.before), load_net(options.after), options.share), options.out)


if __name__ == "__main__":
    run(main)
