"""Was this file squashed, and how much? A bounded number of looks, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from unsquash.audio import AudioSource
from unsquash.errors import OptionError
from unsquash.nets.gain import VERDICTS, GainNet
from unsquash.nets.timebase import Timebase
from unsquash.units import Float64Array

Verdict = Literal["none", "limited", "compressed"]

WINDOW_S = 8.0
WINDOWS = 12

SQUASHED_PROBABILITY = 0.95
NOTICEABLE_DEVIATION_DB = 1.0
"""Below either a file is left alone; calibrated on artists the network never heard, see docs/training.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What was done to a file's dynamics.

    `confidence` is the probability of the verdict, 0…1; the gain reductions are relative to where least was
    done.
    """

    verdict: Verdict
    confidence: float
    mean_gain_reduction_db: float
    max_gain_reduction_db: float

    def __post_init__(self) -> None:
        """Check the verdict and the ranges."""
        amounts = (self.mean_gain_reduction_db, self.max_gain_reduction_db)
        if self.verdict not in get_args(Verdict) or not 0 <= self.confidence <= 1 or min(amounts) < 0:
            raise OptionError("impossible dynamics", hint="Confidence is 0 to 1, gain reductions are ≥ 0 dB.")


def survey(source: AudioSource, peak: float, net: GainNet) -> tuple[Dynamics, Float64Array]:
    """Look at up to `WINDOWS` windows spread over a file; judge, and pool what conditions the gain network.

    Args:
        source: The file.
        peak: Largest absolute sample of the whole file, linear, > 0.
        net: The gain network.

    Shape:
        conditioning: `(2·E,)`.
    """
    timebase = Timebase.between(source.info.sample_rate, net.config)
    device = next(net.parameters()).device
    with torch.inference_mode():
        sums = torch.zeros((1, 1 + net.conditioning_size), dtype=torch.float64, device=device)
        for start, stop in _windows(source.info.frames, source.info.sample_rate, timebase):
            heard = torch.from_numpy(timebase.to_net(source.read(start, stop) / peak)).to(device)
            sums += net.embed(net.features(heard[None])).double()
        conditioning = net.pool(sums).float()
        assessment = net.assess(conditioning)
        probabilities = torch.softmax(assessment.logits[0], dim=0).double().cpu().numpy()
        mean_db, maximum_db, deviation_db = map(float, assessment.reduction_db[0].cpu())
    return _judge(probabilities, mean_db, maximum_db, deviation_db), _flat(conditioning)


def _judge(probabilities: Float64Array, mean_db: float, maximum_db: float, deviation_db: float) -> Dynamics:
    """Call a file squashed only when that is sure and the gain moved enough to be worth moving back."""
    squashed = 1.0 - float(probabilities[VERDICTS.index("none")])
    verdict: Verdict = "none"
    confidence = 1.0 - squashed
    if squashed >= SQUASHED_PROBABILITY and deviation_db >= NOTICEABLE_DEVIATION_DB:
        limited = float(probabilities[VERDICTS.index("limited")])
        verdict, confidence = ("limited" if limited >= squashed / 2 else "compressed"), squashed
    return Dynamics(
        verdict=verdict,
        confidence=min(1.0, max(0.0, confidence)),
        mean_gain_reduction_db=mean_db,
        max_gain_reduction_db=max(mean_db, maximum_db),
    )


def _windows(frames: int, sample_rate: int, timebase: Timebase) -> list[tuple[int, int]]:
    """Cut a short file into windows; spread `WINDOWS` of them evenly over a long one, ends included."""
    length = timebase.quantum_samples * round(WINDOW_S * sample_rate / timebase.quantum_samples)
    if frames <= WINDOWS * length:
        return [(start, min(frames, start + length)) for start in range(0, frames, length)]
    starts = np.linspace(0, frames - length, WINDOWS).astype(int)
    return [(int(start), int(start) + length) for start in starts]


def _flat(conditioning: torch.Tensor) -> Float64Array:
    return np.asarray(conditioning[0].double().cpu().numpy())
