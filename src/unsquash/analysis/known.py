"""Known compressors scored: as they are, and for a recording whose level was changed since.

The score of an offset is as narrow as what is heard is precise, so the better ones are looked at more and
more closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.searching import Scorer, shifted, softmax
from unsquash.dsp.compressor import CompressorParams

OFFSETS_DB = tuple(float(offset) for offset in range(-24, 43, 3))
NEARER_DB, LEADING = (1.5, 0.75), 16
"""Steps between them, for so many known compressors, before more than a little is listened to."""

CLOSER_OFFSETS_DB = (
    (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0),
    (-0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4),
    (-0.08, -0.06, -0.04, -0.02, 0.02, 0.04, 0.06, 0.08),
)
UNCHANGED_SHARE = 0.8
"""How probable it is, before looking, that the level was not changed since."""

KEPT, KEPT_CLOSELY = 36, (6, 4, 2)

LEAST_SHARE = 1e-3
"""Of what the most probable known one has; below it another one is not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Evidence for all that is known, and of each its own with its best offset and settings."""

    evidence: float
    by_name: Mapping[str, float]
    best: Mapping[str, tuple[float, CompressorParams]]

    def shares(self, known: float) -> dict[str, float]:
        """Divide the probability that it was any of them, 0…1, among them, best first."""
        if not self.by_name:
            return {}
        within = softmax(np.array(list(self.by_name.values())))
        order = np.argsort(-within, kind="stable")
        names, least = list(self.by_name), LEAST_SHARE * float(within.max())
        return {names[i]: known * float(within[i]) for i in order if within[i] >= least}


def score_known(known: Mapping[str, CompressorParams], few: Scorer, all_of_them: Scorer) -> Known:
    """Score every known compressor as it is and with the level changed since, the better ones twice."""
    wanted = [(name, offset) for name in known for offset in OFFSETS_DB if _shift(known[name], offset)]
    if not wanted:
        return Known(evidence=-np.inf, by_name={}, best={})

    def scored(ways: Sequence[tuple[str, float]], scorer: Scorer) -> dict[tuple[str, float], float]:
        possible = [(name, offset) for name, offset in dict.fromkeys(ways) if _shift(known[name], offset)]
        scores = scorer([shifted(known[name], offset) for name, offset in possible])
        return dict(zip(possible, map(float, scores), strict=True))

    rough = scored(wanted, few)
    for step_db in NEARER_DB:
        ahead = _best_of_each(rough, 1)[:LEADING]
        rough |= scored([(name, at + step) for name, at in ahead for step in (-step_db, step_db)], few)
    scores = scored([*_best_of_each(rough, 2)[:KEPT], *((name, 0.0) for name in known)], all_of_them)
    for kept, offsets_db in zip(KEPT_CLOSELY, CLOSER_OFFSETS_DB, strict=True):
        ahead = _best_of_each(scores, 1)[:kept]
        scores |= scored([(name, at + offset) for name, at in ahead for offset in offsets_db], all_of_them)
    prior = {True: np.log(UNCHANGED_SHARE), False: np.log((1.0 - UNCHANGED_SHARE) / (len(OFFSETS_DB) - 1))}
    by_name: dict[str, float] = dict.fromkeys(known, -np.inf)
    best: dict[str, tuple[float, CompressorParams]] = {}
    top: dict[str, float] = {}
    for (name, offset), score in scores.items():
        weight = score + prior[offset == 0.0]
        by_name[name] = float(np.logaddexp(by_name[name], weight))
        if weight > top.get(name, -np.inf):
            top[name] = weight
            best[name] = (offset, shifted(known[name], offset))
    evidence = float(np.logaddexp.reduce(list(by_name.values())) - np.log(len(known)))
    return Known(evidence=evidence, by_name=by_name, best=best)


def _best_of_each(scores: Mapping[tuple[str, float], float], count: int) -> list[tuple[str, float]]:
    """Return the best so many offsets of each name, all in order."""
    chosen: dict[str, list[tuple[str, float]]] = {}
    order = sorted(scores, key=lambda way: -scores[way])
    for way in order:
        chosen.setdefault(way[0], []).append(way)
    kept = {way for ways in chosen.values() for way in ways[:count]}
    return [way for way in order if way in kept]


def _shift(params: CompressorParams, offset_db: float) -> bool:
    """Return whether a compressor's threshold, moved, still is a level."""
    return params.threshold_db + offset_db <= 0.0
