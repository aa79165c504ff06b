"""Was this file squashed, and how much? A bounded number of looks, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from unsquash.analysis.fitting import Heard
from unsquash.audio import AudioSource
from unsquash.errors import OptionError
from unsquash.nets.gain import GainNet
from unsquash.nets.judge import file_statistics
from unsquash.nets.timebase import Timebase
from unsquash.units import Float64Array

Verdict = Literal["none", "limited", "compressed"]

WINDOW_S = 8.0
WINDOWS = 12
FITTED_WINDOWS = 3

HELPS_PROBABILITY = 0.85
NOTICEABLE_DEVIATION_DB = 0.3
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What the neural engine needs to know about the whole file.

    Attributes:
        conditioning: the network's summary, shape `(2·E,)`.
        amount: the multiple of the network's estimate that is to be given back.
    """

    conditioning: Float64Array
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the looks at a file gave; `windows` are those from which a compressor may be fitted."""

    dynamics: Dynamics
    hearing: Hearing
    windows: tuple[Heard, ...]


def survey(source: AudioSource, peak: float, net: GainNet) -> Survey:
    """Look at up to `WINDOWS` windows spread over a file; judge, and pool what conditions the gain network.

    Args:
        source: The file.
        peak: Largest absolute sample of the whole file, linear, > 0.
        net: The gain network.
    """
    timebase = Timebase.between(source.info.sample_rate, net.config)
    device = next(net.parameters()).device
    places = _windows(source.info.frames, source.info.sample_rate, timebase)
    fitted = {int(i) for i in np.linspace(0, len(places) - 1, FITTED_WINDOWS + 2)[1:-1].round()}
    with torch.inference_mode():
        sums = torch.zeros((1, 1 + net.conditioning_size), dtype=torch.float64, device=device)
        features, magnitudes = [], {}
        for index, (start, stop) in enumerate(places):
            samples = timebase.to_net(source.read(start, stop) / peak)
            if index in fitted:
                magnitudes[index] = np.abs(samples).max(axis=0)
            features.append(net.features(torch.from_numpy(samples).to(device)[None]))
            sums += net.embed(features[-1]).double()
        conditioning = net.pool(sums).float()
        curves = [net(piece, conditioning) for piece in features]
        statistics = file_statistics(torch.cat(features, dim=2), torch.cat(curves, dim=1))
        judgement = net.judge(statistics)
    amount = float(judgement.amount[0])
    deviation_db, mean_db, _, _, maximum_db = (amount * (statistics[0, :5].exp() - 0.05)).double().tolist()
    hearing = Hearing(conditioning=np.asarray(conditioning[0].double().cpu().numpy()), amount=amount)
    heard = [
        Heard(
            magnitude=peak * magnitude.astype(np.float64),
            reduction_db=amount * curves[index][0].double().cpu().numpy(),
        )
        for index, magnitude in magnitudes.items()
    ]
    return Survey(
        dynamics=_judge(
            float(torch.sigmoid(judgement.helps[0])),
            bool(judgement.limited[0] > 0.0),
            max(0.0, mean_db),
            max(0.0, maximum_db),
            deviation_db,
        ),
        hearing=hearing,
        windows=tuple(heard),
    )


def _judge(helps: float, limited: bool, mean_db: float, maximum_db: float, deviation_db: float) -> Dynamics:
    """Call a file squashed only when that is sure and the gain moved enough to be worth moving back."""
    verdict: Verdict = "none"
    confidence = 1.0 - helps
    if helps >= HELPS_PROBABILITY and deviation_db >= NOTICEABLE_DEVIATION_DB:
        verdict, confidence = ("limited" if limited else "compressed"), helps
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
