"""Which compressors are drawn, and which are set beside the true one.

A training example is a recording, the compressor that made it, and others drawn in the same way: the network
cannot tell from the company which of them is the true one (contrastive ratio estimation).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unsquash.analysis.space import LOWEST, NOTHING, compressor_at
from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

Company = Literal["set", "shifted", "any", "near"]
COMPANIES: tuple[Company, ...] = ("set", "shifted", "any", "near")
"""A given set at its own thresholds; the same with thresholds moved; anything; anything near the true one."""

SHIFT_DB = 12.0
NOTHING_SHARE = 0.06
UNSMOOTHED_SHARE = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The true compressor of an example, and what its company is drawn like.

    Attributes:
        truth: the compressor that was applied.
        company: what its rivals are like.
        rivals: the set that it belongs to, itself and `NOTHING` included; empty for "any" and "near".
        centre, spread: of "near", in the coordinates of `unsquash.analysis.space`.
    """

    truth: CompressorParams
    company: Company
    rivals: tuple[CompressorParams, ...] = ()
    centre: Float64Array | None = None
    spread: float = 0.0


def draw(sets: Sequence[Sequence[CompressorParams]], rng: np.random.Generator) -> Drawn:
    """Draw a compressor, from one of the sets or from everywhere."""
    way = rng.random()
    if way < 0.88:
        rivals = (*sets[int(rng.integers(len(sets)))], NOTHING)
        truth = rivals[int(rng.integers(len(rivals)))]
        if way < 0.58:
            return Drawn(truth=truth, company="set", rivals=rivals)
        return Drawn(truth=_shifted(truth, rng), company="shifted", rivals=rivals)
    if way < 0.96:
        return Drawn(truth=_anything(rng), company="any")
    centre, spread = rng.random(LOWEST.size), float(10.0 ** rng.uniform(-1.2, -0.3))
    return Drawn(truth=_near(centre, spread, rng), company="near", centre=centre, spread=spread)


def candidates(drawn: Drawn, count: int, rng: np.random.Generator) -> list[CompressorParams]:
    """Return the true compressor, first, and `count` − 1 rivals drawn afresh."""
    rivals: list[CompressorParams] = []
    if drawn.company in ("set", "shifted"):
        order = rng.permutation(len(drawn.rivals))
        for index in order:
            rival = drawn.rivals[int(index)]
            if drawn.company == "shifted":
                for _ in range(2):
                    rivals.append(_shifted(rival, rng))
            elif rival != drawn.truth:
                rivals.append(rival)
    while len(rivals) < count - 1:
        near = drawn.centre is not None
        rivals.append(_near(drawn.centre, drawn.spread, rng) if near else _anything(rng))  # type: ignore[arg-type]
    chosen = [drawn.truth]
    for rival in rivals:
        if rival.ratio > 1.0 or all(other.ratio > 1.0 for other in chosen):
            chosen.append(rival)
    while len(chosen) < count:
        chosen.append(_anything(rng, nothing_share=0.0))
    return chosen[:count]


def _shifted(params: CompressorParams, rng: np.random.Generator) -> CompressorParams:
    shifted_db = params.threshold_db + rng.uniform(-SHIFT_DB, SHIFT_DB)
    return dataclasses.replace(params, threshold_db=min(0.0, shifted_db)) if params.ratio > 1.0 else params


def _anything(rng: np.random.Generator, nothing_share: float = NOTHING_SHARE) -> CompressorParams:
    if rng.random() < nothing_share:
        return NOTHING
    return compressor_at(rng.random(LOWEST.size), smoothed=rng.random() >= UNSMOOTHED_SHARE)


def _near(centre: Float64Array, spread: float, rng: np.random.Generator) -> CompressorParams:
    place = np.clip(centre + spread * rng.standard_normal(LOWEST.size), 0.0, 1.0)
    return compressor_at(place, smoothed=bool(centre[0] >= UNSMOOTHED_SHARE))
