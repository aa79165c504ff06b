"""Batches of examples, and how well a network does on held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unsquash.nets.features import SUBFRAMES
from unsquash.nets.gain import COARSE_FRAMES, VERDICTS, GainNet
from unsquash.training.examples import NetExample

CAP_DB = 40.0
"""SI-SDR beyond which nothing is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples stacked.

    Shape:
        features: `(B, F, n)`; reduction_db, energy: `(B, 4n)`; verdict: `(B,)`; amount_db: `(B, 3)`.
    """

    features: torch.Tensor
    reduction_db: torch.Tensor
    energy: torch.Tensor
    verdict: torch.Tensor
    amount_db: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Move to a device, as 32-bit floats."""
        return Batch(
            features=self.features.to(device, torch.float32),
            reduction_db=self.reduction_db.to(device, torch.float32),
            energy=self.energy.to(device),
            verdict=self.verdict.to(device),
            amount_db=self.amount_db.to(device),
        )

    def cropped(self, frames: int, rng: np.random.Generator) -> Batch:
        """Cut one window of `frames` at a random place, the same for all examples."""
        spare = (self.features.shape[2] - frames) // COARSE_FRAMES
        start = COARSE_FRAMES * int(rng.integers(spare + 1))
        fine = slice(SUBFRAMES * start, SUBFRAMES * (start + frames))
        return Batch(
            features=self.features[:, :, start : start + frames],
            reduction_db=self.reduction_db[:, fine],
            energy=self.energy[:, fine],
            verdict=self.verdict,
            amount_db=self.amount_db,
        )


def collate(examples: Sequence[NetExample]) -> Batch:
    """Stack examples into a batch."""
    return Batch(
        features=torch.from_numpy(np.stack([e.features for e in examples])),
        reduction_db=torch.from_numpy(np.stack([e.reduction_db for e in examples])),
        energy=torch.from_numpy(np.stack([e.energy for e in examples])),
        verdict=torch.tensor([e.verdict for e in examples]),
        amount_db=torch.from_numpy(np.stack([e.amount_db for e in examples])),
    )


def si_sdr_db(error_db: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
    """Compute the SI-SDR of a signal whose gain is wrong by `error_db`; at most `CAP_DB`.

    Shape:
        error_db, energy: `(B, 4n)`; result: `(B,)`.
    """
    factor = 10.0 ** (error_db / 20.0)
    kept = (energy * factor).sum(1).square()
    total = (energy * factor.square()).sum(1) * energy.sum(1)
    return -10.0 * torch.log10((1.0 - kept / total.clamp_min(1e-9)).clamp_min(10.0 ** (-CAP_DB / 10.0)))


@torch.inference_mode()
def validate(net: GainNet, examples: Sequence[NetExample], device: torch.device) -> dict[str, float]:
    """Compute the SI-SDR gain by verdict, the share harmed, and how often verdicts are right."""
    gains, befores, verdicts, guesses = [], [], [], []
    for first in range(0, len(examples), 8):
        batch = collate(examples[first : first + 8]).to(device)
        conditioning = net.pool(net.embed(batch.features))
        estimate_db = net(batch.features, conditioning)
        before = si_sdr_db(-batch.reduction_db, batch.energy)
        gains.append(si_sdr_db(estimate_db - batch.reduction_db, batch.energy) - before)
        befores.append(before)
        verdicts.append(batch.verdict)
        guesses.append(net.assess(conditioning).logits.argmax(1))
    gain, before = torch.cat(gains), torch.cat(befores)
    verdict, guess = torch.cat(verdicts), torch.cat(guesses)
    result = {
        f"gain_{name}_db": round(float(gain[verdict == index].mean()), 3)
        for index, name in enumerate(VERDICTS)
        if (verdict == index).any()
    }
    squashed = verdict > 0
    result["gain_db"] = round(float(gain[squashed].mean()), 3)
    result["harmed"] = round(float((gain[squashed] < -0.1).float().mean()), 3)
    result["verdict_right"] = round(float((guess == verdict).float().mean()), 3)
    result["squashed_right"] = round(float(((guess > 0) == squashed).float().mean()), 3)
    return result
