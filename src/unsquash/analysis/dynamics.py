"""Was this file squashed, and how much? A bounded number of looks, whatever its length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch

from unsquash.analysis.excerpts import Excerpt
from unsquash.analysis.noise import PROOF, NoiseLevels, corroborated
from unsquash.analysis.space import NOTHING
from unsquash.audio import AudioSource
from unsquash.errors import OptionError
from unsquash.nets.device import operations_in
from unsquash.nets.features import SUBFRAMES
from unsquash.nets.gain import GainNet
from unsquash.nets.judge import level_spread_db
from unsquash.nets.timebase import Timebase
from unsquash.parallel import in_order, pieces_at_once, threads
from unsquash.units import Float64Array, FloatArray

Verdict = Literal["none", "limited", "compressed"]

WINDOW_S = 8.0
WINDOWS = 12

SQUASHED_PROBABILITY = 0.99
NOTICEABLE_DEVIATION_DB = 0.3
"""Below either a file is left alone; calibrated on artists the network never heard, see docs/training.md."""

ARTIFICIAL_LOG_ODDS = -1.1
"""From here on a file is taken for tones, clicks or noise as they were made, and left alone."""

ARTIFICIAL_PROOF = 15.0
"""What the noise must say for a compressor of such a file to be believed. Of 60 sounds that nobody played it
said 11 for one, of a recording taken for such a sound 25."""

STEADY_DB = 0.3
"""Whose level moves less is no music either: of 144 recordings, 20 s each, a drone moves by 0.4 dB, others by
1.5 dB and more."""

MULTIPLES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4)
"""Of the amount of the estimate that the judge finds, among which the noise chooses."""

USUAL_ERROR = 0.4
"""Of that amount, as a natural logarithm, before the noise is asked."""

FAINTEST = 1e-300
"""A peak whose inverse is still a number."""

MOST_SUPPORT = 5.0
"""How much the log odds of a compressor, as the profile network sees them, add at most to those that the file
was squashed: neither is believed where the other speaks against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What was done to a file's dynamics.

    `confidence` is the probability of the verdict, 0…1; the gain reductions are relative to where least was
    done. `is_artificial` tells tones, clicks and noise as they were made, of which the rest says nothing.
    """

    verdict: Verdict
    confidence: float
    mean_gain_reduction_db: float
    max_gain_reduction_db: float
    is_artificial: bool = False

    def __post_init__(self) -> None:
        """Check the verdict and the ranges."""
        amounts = (self.mean_gain_reduction_db, self.max_gain_reduction_db)
        if self.verdict not in get_args(Verdict) or not 0 <= self.confidence <= 1 or min(amounts) < 0:
            raise OptionError("impossible dynamics", hint="Confidence is 0 to 1, gain reductions are ≥ 0 dB.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What the neural engine needs to know about the whole file.

    Attributes:
        peak: the largest absolute sample, linear; levels are heard relative to it.
        conditioning: the network's summary, shape `(2·E,)`.
        amount: the multiple of the network's estimate that is to be given back.
    """

    peak: float
    conditioning: Float64Array
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the looks at a file gave.

    Attributes:
        squashed_log_odds: that something noticeable was done to the file.
        looks_limited: rather than compressed.
        artificial_log_odds: that it is no music or speech at all, but sounds that nobody played or squashed.
        level_spread_db: between what the level lies in nine of ten tenths of a second.
        mean_db, maximum_db, deviation_db: of the estimate, ≥ 0.
        hearing: what the neural engine needs.
        proof: what the noise says for the estimate, as from `weigh_by_noise`.
    """

    squashed_log_odds: float
    looks_limited: bool
    artificial_log_odds: float
    level_spread_db: float
    mean_db: float
    maximum_db: float
    deviation_db: float
    hearing: Hearing
    proof: float = 0.0

    @property
    def is_artificial(self) -> bool:
        """Whether what the networks know of music says nothing about this file, nor does its noise."""
        looks_so = self.artificial_log_odds >= ARTIFICIAL_LOG_ODDS or self.level_spread_db < STEADY_DB
        return looks_so and self.proof < PROOF

    @property
    def may_be_compressed(self) -> bool:
        """Whether the file is compressed if all else speaks for it."""
        most = self.dynamics(MOST_SUPPORT, NOTICEABLE_DEVIATION_DB)
        return not self.looks_limited and most.verdict == "compressed"

    def dynamics(
        self, compressor_log_odds: float = 0.0, compressor_db: float = 0.0, proof: float = 0.0
    ) -> Dynamics:
        """Call a file squashed only when that is sure and the gain moved enough to be worth moving back.

        Args:
            compressor_log_odds: from what else is known, that a compressor was at work. They can speak for
                restoring, not against it: there are other ways to squash.
            compressor_db: deviation of that compressor's gain, if it is known.
            proof: what the noise says for that compressor's gain; from `PROOF` on this, or what it says for
                the network's, is believed even where the judge speaks against it.
        """
        support = min(max(compressor_log_odds, 0.0), MOST_SUPPORT)
        proof = max(proof, self.proof)
        if proof >= PROOF:
            support = max(support, proof)
        squashed = float(1.0 / (1.0 + np.exp(-self.squashed_log_odds - support)))
        is_artificial = self.is_artificial and proof < PROOF
        if is_artificial:
            squashed = min(squashed, 0.5)
        verdict: Verdict = "none"
        confidence = 1.0 - squashed
        deviation_db = max(self.deviation_db, compressor_db)
        if squashed >= SQUASHED_PROBABILITY and deviation_db >= NOTICEABLE_DEVIATION_DB:
            is_limited = self.looks_limited and compressor_log_odds <= 0.0
            verdict, confidence = ("limited" if is_limited else "compressed"), squashed
        return Dynamics(
            verdict=verdict,
            confidence=min(1.0, max(0.0, confidence)),
            mean_gain_reduction_db=self.mean_db,
            max_gain_reduction_db=max(self.mean_db, self.maximum_db),
            is_artificial=is_artificial,
        )


def survey(source: AudioSource, peak: float, net: GainNet) -> Survey:
    """Look at up to `WINDOWS` windows spread over a file; judge, and pool what conditions the gain network.

    Args:
        source: The file.
        peak: Largest absolute sample of the whole file, linear, > 0.
        net: The gain network.
    """
    peak = max(peak, FAINTEST)
    timebase = Timebase.between(source.info.sample_rate, net.config)
    device = next(net.parameters()).device
    places = _windows(source.info.frames, source.info.sample_rate, timebase)
    at_once = pieces_at_once() if device.type == "cpu" else 1

    @torch.inference_mode()
    def heard(samples: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        features = timebase.features(samples, net.features, 1.0 / peak)
        return features, net.embed(features).cpu().double()

    @torch.inference_mode()
    def estimated(features: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(net(features, conditioning))

    apart = operations_in(threads() // at_once) if at_once > 1 else nullcontext()
    with torch.inference_mode(), apart:
        pieces = list(in_order(heard, (source.read(start, stop) for start, stop in places), at_once))
        features = [piece for piece, _ in pieces]
        conditioning = net.pool(torch.stack([sums for _, sums in pieces]).sum(dim=0)).float().to(device)
        curves = list(in_order(estimated, features, at_once))
        statistics = net.statistics(torch.cat(features, dim=2), torch.cat(curves, dim=1), conditioning)
        judgement, artificial = net.judge(statistics), net.judge.artificial(statistics)
        spread_db = level_spread_db(torch.cat(features, dim=2))
    amount = float(judgement.amount[0])
    deviation_db, mean_db, _, _, maximum_db = (amount * (statistics[0, :5].exp() - 0.05)).tolist()
    hearing = Hearing(peak=peak, conditioning=conditioning[0].cpu().numpy().astype(np.float64), amount=amount)
    return Survey(
        squashed_log_odds=float(judgement.squashed[0]),
        looks_limited=bool(judgement.limited[0] > 0.0),
        artificial_log_odds=float(artificial[0]),
        level_spread_db=float(spread_db[0]),
        mean_db=max(0.0, mean_db),
        maximum_db=max(0.0, maximum_db),
        deviation_db=max(0.0, deviation_db),
        hearing=hearing,
    )


def estimate(samples: FloatArray, hearing: Hearing, net: GainNet) -> Float64Array:
    """Estimate the gain reduction in a piece, per frame of the network.

    Shape:
        samples: `(C, n · QUANTUM_SAMPLES)`, at the network's rate, not scaled; result: in dB,
        `(T // FRAME_SAMPLES,)`.
    """
    device = next(net.parameters()).device
    scaled = torch.from_numpy(np.asarray(samples / hearing.peak, dtype=np.float32)).to(device)
    conditioning = torch.tensor(hearing.conditioning, dtype=torch.float32, device=device)[None]
    with torch.inference_mode():
        reduction_db = net(net.features(scaled[None]), conditioning)[0].cpu().numpy().astype(np.float64)
    return np.asarray(hearing.amount * reduction_db.reshape(-1, SUBFRAMES).mean(axis=1))


def weigh_by_noise(seen: Survey, excerpts: Sequence[Excerpt], net: GainNet) -> Survey:
    """Ask the noise by how much the network's estimate is too small or too large, and what speaks for it.

    Where the noise proves nothing, the amount stays as it is.
    """
    multiples = np.array(MULTIPLES)
    said = np.zeros((len(excerpts), multiples.size))
    for excerpt, ratios in zip(excerpts, said, strict=True):
        estimate_db = estimate(excerpt.samples, seen.hearing, net)
        gains_db = np.ascontiguousarray(-multiples[:, None] * estimate_db, dtype=np.float32)
        noise = NoiseLevels(excerpt.samples, excerpt.rounding_power)
        ratios[:] = noise.log_ratios([NOTHING] * multiples.size, gains_db, math.inf)
    ratios = corroborated(said)
    proof = float(ratios[MULTIPLES.index(1.0)])
    if proof < PROOF:
        return seen
    logarithms = np.log(multiples)
    weights = np.exp(ratios - ratios.max() - 0.5 * np.square(logarithms / USUAL_ERROR))
    multiple = float(np.exp(weights @ logarithms / weights.sum()))
    return replace(
        seen,
        mean_db=multiple * seen.mean_db,
        maximum_db=multiple * seen.maximum_db,
        deviation_db=multiple * seen.deviation_db,
        hearing=replace(seen.hearing, amount=multiple * seen.hearing.amount),
        proof=proof,
    )


def _windows(frames: int, sample_rate: int, timebase: Timebase) -> list[tuple[int, int]]:
    """Cut a short file into windows; spread `WINDOWS` of them evenly over a long one, ends included."""
    length = timebase.quantum_samples * round(WINDOW_S * sample_rate / timebase.quantum_samples)
    if frames <= WINDOWS * length:
        return [(start, min(frames, start + length)) for start in range(0, frames, length)]
    starts = np.linspace(0, frames - length, WINDOWS).astype(int)
    return [(int(start), int(start) + length) for start in starts]
