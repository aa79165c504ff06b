from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from unsquash.nets.gain import GatedBlock
from unsquash.training.learner import Learner, Optimizer


class Net(nn.Module):
    """A gated block and a layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.block = GatedBlock(12, 1)
        self.leave = nn.Conv2d(12, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape: `(B, 12, 1, n)` to `(B, 1, 1, n)`."""
        return torch.as_tensor(self.leave(self.block(x, None, None)))


def a_net() -> Net:
    torch.manual_seed(3)
    return Net()


def loss_of(net: nn.Module, seed: int) -> torch.Tensor:
    x = torch.randn(4, 12, 1, 50, generator=torch.Generator().manual_seed(seed))
    return torch.as_tensor(net(x)).sub(x[:, :1].abs()).square().mean()


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_the_convolutions_of_blocks_move_equally_in_all_directions(share: float) -> None:
    net = a_net()
    before = net.block.conv.weight.detach().clone()
    optimizer = Optimizer(net, rate=1e-3, block_rate=0.1, weight_decay=0.0)
    torch.autograd.backward(loss_of(net, 0))
    optimizer.step(share)
    moved = (net.block.conv.weight.detach() - before).flatten(1) / (0.1 * share)
    sizes = np.linalg.svd(moved.numpy(), compute_uv=False)
    assert sizes.max() < 1.3
    assert np.median(sizes) > 0.6


def test_the_rest_moves_as_with_adamw() -> None:
    net, twin = a_net(), a_net()
    optimizer = Optimizer(net, rate=1e-2, block_rate=0.0, weight_decay=0.1)
    others = [
        *twin.leave.parameters(),
        *twin.block.norm.parameters(),
        twin.block.conv.bias,
        twin.block.out.bias,
    ]
    plain = torch.optim.AdamW(others, lr=1e-2, weight_decay=0.1)
    for seed in range(3):
        for each in (net, twin):
            each.zero_grad()
            torch.autograd.backward(loss_of(each, seed))
        optimizer.step(1.0)
        plain.step()
    for parameter, other in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


def test_a_loss_that_is_no_number_changes_nothing() -> None:
    learner = Learner(a_net(), rate=1e-2, block_rate=1e-2, weight_decay=0.1, warmup_steps=1, ema_decay=0.9)
    before = [parameter.detach().clone() for parameter in learner.net.parameters()]
    learner.descend(loss_of(learner.net, 0) * float("nan"), 0.0)
    for parameter, was in zip(learner.net.parameters(), before, strict=True):
        assert torch.equal(parameter, was)


def test_a_learner_learns_and_its_average_follows() -> None:
    learner = Learner(a_net(), rate=1e-2, block_rate=2e-2, weight_decay=0.0, warmup_steps=3, ema_decay=0.9)
    before = float(loss_of(learner.net, 99).detach())
    for seed in range(120):
        learner.net.train()
        learner.descend(loss_of(learner.net, seed), seed / 120)
    assert float(loss_of(learner.net.eval(), 99).detach()) < 0.5 * before
    assert float(loss_of(learner.average, 99).detach()) < 0.5 * before
