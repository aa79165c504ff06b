"""What the trainings of both networks share: the steps of an optimizer, its schedule, a running average.

The convolutions within gated blocks, four fifths of the weights, take orthogonalized steps (Muon); the rest
is left to AdamW. What that gains is in docs/training.md.

Source:
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; here torch's own.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from torch import nn

from unsquash.errors import ModelError
from unsquash.nets.gain import GatedBlock
from unsquash.training.checkpoint import STATE, Net, Progress, load_state, save_net, save_state

LARGEST_GRADIENT = 1.0


class Optimizer:
    """Muon for the convolutions of gated blocks, AdamW for the rest.

    Args:
        net: The network, on the device where it is trained.
        rate: Learning rate of AdamW.
        block_rate: Learning rate of Muon.
        weight_decay: Of both.

    Attributes:
        state: what either remembers of each parameter of the network; to be stored and restored.
    """

    def __init__(self, net: nn.Module, *, rate: float, block_rate: float, weight_decay: float) -> None:
        blocks = {id(weight) for weight in _block_weights(net)}
        self._weights = [weight for weight in net.parameters() if id(weight) in blocks]
        others = [parameter for parameter in net.parameters() if id(parameter) not in blocks]
        # Muon wants matrices: each shares its storage with the weight
        self._matrices = [nn.Parameter(weight.detach().view(len(weight), -1)) for weight in self._weights]
        self._muon = torch.optim.Muon(self._matrices, lr=block_rate, weight_decay=weight_decay)
        self._adamw = torch.optim.AdamW(others, lr=rate, weight_decay=weight_decay)
        self._rates = (block_rate, rate)
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {
            weight: self._muon.state[matrix]
            for weight, matrix in zip(self._weights, self._matrices, strict=True)
        }
        self.state |= {parameter: self._adamw.state[parameter] for parameter in others}

    def step(self, share: float) -> None:
        """Go one step along the gradients, at `share` of the learning rates."""
        for optimizer, rate in zip((self._muon, self._adamw), self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = share * rate
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.reshape(matrix.shape)
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adamw.step()


class Learner(Generic[Net]):
    """A network, its running average, its optimizer, and how far it is.

    Args:
        net: What is trained.
        rate: Learning rate at its height.
        block_rate: The same for the convolutions within gated blocks.
        weight_decay: Of both.
        warmup_steps: The steps over which the rates rise; after them they fall like half a cosine.
        ema_decay: Of the running average, which is what is kept in the end.
    """

    def __init__(
        self,
        net: Net,
        *,
        rate: float,
        block_rate: float,
        weight_decay: float,
        warmup_steps: int,
        ema_decay: float,
    ) -> None:
        self.net: Net = net
        self.average: Net = copy.deepcopy(net).eval()
        self.optimizer = Optimizer(net, rate=rate, block_rate=block_rate, weight_decay=weight_decay)
        self.progress = Progress()
        self._warmup_steps, self._ema_decay = warmup_steps, ema_decay

    def descend(self, loss: torch.Tensor, done: float) -> float:
        """Take one step down a loss, `done` (0…1) of the schedule being over; returns the loss."""
        step = self.progress.step
        warm = min(1.0, (step + 1) / self._warmup_steps)
        self.net.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if torch.isfinite(nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)):
            self.optimizer.step(warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))
        self.progress.step = step = step + 1
        decay = min(self._ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, current in zip(
                self.average.state_dict().values(), self.net.state_dict().values(), strict=True
            ):
                if average.is_floating_point():
                    average.lerp_(current, 1.0 - decay)
        return float(loss.detach())

    def begin_with(self, weights: dict[str, torch.Tensor]) -> None:
        """Start from given weights.

        Raises:
            ModelError: They are those of a network of other sizes.
        """
        try:
            self.net.load_state_dict(weights)
            self.average.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(
                "the weights to begin with do not fit the recipe's [net]", hint="Give the recipe they are of."
            ) from error

    def save(self, path: Path) -> None:
        """Write everything a resumed training needs."""
        save_state(self.net, self.average, self.optimizer.state, self.progress, path)

    def record(self, losses: Sequence[float], figures: Mapping[str, float], out: Path) -> None:
        """Save, and append a line to the log in `out`: the losses since the last one, and these figures."""
        row = {
            "step": self.progress.step,
            "minutes": round(self.progress.elapsed_s / 60.0, 2),
            "examples": self.progress.examples,
            "loss": round(float(np.mean(losses)), 5),
            **figures,
        }
        save_net(self.average, out / "model.safetensors")
        self.save(out / STATE)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def load(self, path: Path) -> None:
        """Go on where `save` left."""
        self.progress = load_state(self.net, self.average, self.optimizer.state, path)


def _block_weights(net: nn.Module) -> Iterable[nn.Parameter]:
    for module in net.modules():
        if isinstance(module, GatedBlock):
            yield module.get_parameter("conv.weight")
            yield module.get_parameter("out.weight")
