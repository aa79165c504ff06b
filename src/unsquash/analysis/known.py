"""Known compressors scored: as they are, and for a recording whose level was changed since.

The score of an offset is as narrow as what is heard is precise, so the better ones are looked at more and
more closely, and those few between which little is left to choose with exact gains. Some known compressors do
the same at different levels: then large changes are less likely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.analysis.population import Scorer, shifted, softmax
from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

OFFSETS_DB = tuple(float(offset) for offset in range(-24, 43, 3))
NEARER_DB = ((1.5, 2), (0.75, 1))
"""Steps between them, for so many offsets of each, before more than a little is listened to."""

BEGINNING_STEP_DB = 0.5
"""Where a compressor was at rest when the recording began, the score is a narrow peak on a broad one, which
need not have its top there: what the noise says of the beginning is asked for every such offset."""

PEAKS = 3
"""Offsets of each that come out higher there than those beside them, and so are looked at, too."""

CLOSER_STEPS_DB, CLOSER_STEPS = (0.25, 0.1, 0.02), (12, 2, 4)
"""The same for the best, either way."""

UNCHANGED_SHARE = 0.5
"""How probable it is, before looking, that the level was not changed since."""

USUAL_OFFSET_DB, RARER_DB, CELL_DB = 10.0, 8.0, 3.0
"""Changes up to this are as likely as each other, others e times less for every so many decibels more; and
the most that one of those looked at stands for."""

STAYED = 1.5
"""An unchanged level is named if another one explains hardly more than this, as a logarithm."""

KEPT, KEPT_CLOSELY = 36, (12, 4, 2)

FINE_FROM, NEAR = 20.0, (4, 25.0)
"""From this score on gains are computed sample by sample in the end, for so many known ones that are not
farther behind than this: with true settings, rough gains have cost 20 of 314."""

FINE_OFFSETS, FINE_STEPS_DB, FINE_STEPS = 8, (0.25, 0.1, 0.02), (2, 2, 4)
"""So many of the offsets of each, and closer to the best of them, as before."""

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


def score_known(
    known: Mapping[str, CompressorParams],
    beginning: Scorer,
    few: Scorer,
    all_of_them: Scorer,
    finely: Scorer,
) -> Known:
    """Score every known compressor as it is and with the level changed since, the better ones again.

    Args:
        known: settings by name.
        beginning: what the noise says of the recording's beginning, from rest.
        few: a quick scorer.
        all_of_them: the true one, but for gains computed roughly.
        finely: the true one.
    """
    wanted = [(name, offset) for name in known for offset in OFFSETS_DB if _shift(known[name], offset)]
    if not wanted:
        return Known(evidence=-np.inf, by_name={}, best={})

    def scored(ways: Sequence[tuple[str, float]], scorer: Scorer) -> dict[tuple[str, float], float]:
        possible = [(name, offset) for name, offset in dict.fromkeys(ways) if _shift(known[name], offset)]
        scores = scorer([shifted(known[name], offset) for name, offset in possible])
        return dict(zip(possible, map(float, scores), strict=True))

    fine_db = np.arange(OFFSETS_DB[0], OFFSETS_DB[-1] + BEGINNING_STEP_DB, BEGINNING_STEP_DB)
    for name in known:  # one by one: of a large set all at once would take much memory
        begun = scored([(name, float(offset)) for offset in fine_db], beginning)
        wanted += _best_of_each(_peaks(begun, BEGINNING_STEP_DB), PEAKS)
    rough = scored(wanted, few)
    for step_db, count in NEARER_DB:
        ahead = _best_of_each(rough, count)
        rough |= scored([(name, at + step) for name, at in ahead for step in (-step_db, step_db)], few)
    scores = scored([*_best_of_each(rough, 2)[:KEPT], *((name, 0.0) for name in known)], all_of_them)
    for kept, step_db, steps in zip(KEPT_CLOSELY, CLOSER_STEPS_DB, CLOSER_STEPS, strict=True):
        scores |= scored(_about(_best_of_each(scores, 1)[:kept], step_db, steps), all_of_them)
    if near := _near(scores):
        better = [way for way in _best_of_each(scores, FINE_OFFSETS) if way[0] in near]
        fine = scored([*better, *((name, 0.0) for name in near)], finely)
        for step_db, steps in zip(FINE_STEPS_DB, FINE_STEPS, strict=True):
            fine |= scored(_about(_best_of_each(fine, 1), step_db, steps), finely)
        scores = {way: score for way, score in scores.items() if way[0] not in near} | fine
    by_name: dict[str, float] = {}
    best: dict[str, tuple[float, CompressorParams]] = {}
    for name in known:
        asked = sorted((offset, score) for (other, offset), score in scores.items() if other == name)
        tried_db = np.array([offset for offset, _ in asked])
        by_name[name] = _evidence(tried_db, np.array([score for _, score in asked]))
        at, _ = max(asked, key=lambda one: one[1] + STAYED * (one[0] == 0.0))
        best[name] = (at, shifted(known[name], at))
    evidence = float(np.logaddexp.reduce(list(by_name.values())) - np.log(len(known)))
    return Known(evidence=evidence, by_name=by_name, best=best)


def _near(scores: Mapping[tuple[str, float], float]) -> list[str]:
    """Return those few names of which the best explains nearly as much as the best of all, and that much."""
    ahead = _best_of_each(scores, 1)
    top = scores[ahead[0]]
    return [way[0] for way in ahead[: NEAR[0]] if scores[way] >= max(top - NEAR[1], FINE_FROM)]


def _about(ways: Sequence[tuple[str, float]], step_db: float, steps: int) -> list[tuple[str, float]]:
    """Return so many offsets either way of each."""
    offsets_db = step_db * np.delete(np.arange(-steps, steps + 1), steps)
    return [(name, float(at + offset)) for name, at in ways for offset in offsets_db]


def _evidence(offsets_db: Float64Array, scores: Float64Array) -> float:
    """Weigh the offsets of one known compressor, ascending: how probable each is, what it stands for."""
    gaps_db = np.minimum(np.diff(offsets_db, prepend=-np.inf, append=np.inf), CELL_DB)
    widths_db = 0.5 * (gaps_db[:-1] + gaps_db[1:])
    rarity = np.exp(-np.maximum(0.0, np.abs(offsets_db) - USUAL_OFFSET_DB) / RARER_DB)
    density = (1.0 - UNCHANGED_SHARE) / (2.0 * (USUAL_OFFSET_DB + RARER_DB)) * rarity
    shares = widths_db * density + UNCHANGED_SHARE * (offsets_db == 0.0)
    return float(np.logaddexp.reduce(scores + np.log(shares)))


def _peaks(scores: Mapping[tuple[str, float], float], step_db: float) -> dict[tuple[str, float], float]:
    """Return those offsets that score higher than the next ones either way."""
    return {
        (name, at): score
        for (name, at), score in scores.items()
        if all(scores.get((name, at + step), -np.inf) < score for step in (-step_db, step_db))
    }


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
