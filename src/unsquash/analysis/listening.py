"""Excerpts of a recording, looked at once, of which any number of candidate compressors may be asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from unsquash.analysis.candidates import FRAME_STEPS, LINKS, candidate_curves_db, stepped_levels
from unsquash.analysis.excerpts import Excerpt, read_excerpts
from unsquash.analysis.noise import NoiseLevels
from unsquash.analysis.searching import Scorer
from unsquash.audio import AudioSource
from unsquash.dsp.compressor import CompressorParams, Link
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.nets.profile import ProfileNet
from unsquash.nets.scoring import EncodedExcerpt
from unsquash.nets.timebase import Timebase
from unsquash.parallel import in_order, threads
from unsquash.units import Float64Array

Item = TypeVar("Item")

TEMPER = 0.6
"""Excerpts of one recording do not tell independent things; calibrated on held-out tracks."""

NOTHING_LOG_ODDS = 4.8
"""What the evidence of one excerpt has to make up for: releases that count as untouched were compressed
somewhere. For several it grows as their evidence does. Calibrated on held-out artists, docs/training.md."""

SIDE_BY_SIDE = 32
"""Candidates whose gains are computed together; more are no faster."""

ALIKE = 1e-3
"""Channels whose magnitudes differ by no more than this share of the peak are alike."""

BEHIND = 30.0
"""Of candidates that are so far behind by what the noise says, the network need not be asked."""


class Listener:
    """One excerpt.

    Attributes:
        excerpt: the excerpt itself.
        levels: its level as each of `LINKS` sees it, from which candidates' gain curves are computed.
    """

    def __init__(self, excerpt: Excerpt, net: ProfileNet) -> None:
        self.excerpt = excerpt
        self.levels = stepped_levels(excerpt.samples)
        self._encoded = EncodedExcerpt(excerpt.samples, net)
        self._noise = NoiseLevels(excerpt.samples, excerpt.rounding_power)

    def curves_db(
        self, candidates: Sequence[CompressorParams], *, from_rest: bool = False, at_once: int = 1
    ) -> Float32Array:
        """Return the candidates' gains, begun in the state that what came before leads to, or guessed.

        Args:
            candidates: compressors.
            from_rest: begun at rest instead.
            at_once: how many threads may work on it; the result is the same.

        Shape:
            result: `(K, n)`, per frame.
        """
        rows = np.array([LINKS.index(one.link) if one.link in LINKS else 0 for one in candidates], dtype=int)
        places = [np.flatnonzero(rows == row) for row in range(len(LINKS))]
        parts = [(row, here[part]) for row, here in enumerate(places) for part in _parts(here.size)]

        def some_db(part: tuple[int, npt.NDArray[np.intp]]) -> Float32Array:
            row, here = part
            some, lead = [candidates[place] for place in here], self.excerpt.lead[row]
            return candidate_curves_db(self.levels[row], some, from_rest=from_rest, lead=lead)

        curves_db = np.empty((len(candidates), self.levels.shape[1] // FRAME_STEPS), dtype=np.float32)
        for (_, here), some in zip(parts, in_order(some_db, parts, at_once), strict=True):
            curves_db[here] = some
        return curves_db

    def log_ratios(
        self,
        candidates: Sequence[CompressorParams],
        curves_db: Float32Array | None = None,
        *,
        at_once: int = 1,
    ) -> Float64Array:
        """Return ln p(excerpt | candidate) / p(excerpt | nothing done).

        Args:
            candidates: compressors.
            curves_db: as from the method of that name, where they are at hand.
            at_once: how many threads may work on it.

        Shape:
            curves_db: `(K, n)`; result: `(K,)`.
        """
        led_db = self.curves_db(candidates, at_once=at_once) if curves_db is None else curves_db
        views = [self._ratios(candidates, led_db, self.excerpt.lead_s, at_once)]
        if self.excerpt.is_first:
            rested_db = self.curves_db(candidates, from_rest=True, at_once=at_once)
            views.append(self._ratios(candidates, rested_db, math.inf, at_once))
        return np.asarray(np.logaddexp.reduce(views, axis=0) - np.log(len(views)))

    def noise_log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int = 1) -> Float64Array:
        """Return ln p(noise | candidate) / p(noise | nothing done), without the network.

        Shape:
            result: `(K,)`.
        """
        led_db = self.curves_db(candidates, at_once=at_once)
        views = [self._noise_ratios(candidates, led_db, self.excerpt.lead_s, at_once)]
        if self.excerpt.is_first:
            rested_db = self.curves_db(candidates, from_rest=True, at_once=at_once)
            views.append(self._noise_ratios(candidates, rested_db, math.inf, at_once))
        return np.asarray(np.logaddexp.reduce(views, axis=0) - np.log(len(views)))

    def proofs(
        self, params: CompressorParams, estimate_db: Float64Array, shares: Sequence[float]
    ) -> Float64Array:
        """Return ln p(noise | gain) / p(noise | nothing done) for gains from an estimate to a compressor's.

        Args:
            params: the compressor.
            estimate_db: the estimate, as a reduction.
            shares: of the compressor's gain, 0…1, where the estimate has the rest.

        Shape:
            estimate_db: `(n,)`, per frame; result: `(len(shares),)`.
        """
        weights = np.array(shares, dtype=np.float32)[:, None]
        estimated_db = -estimate_db[None].astype(np.float32)

        def view(known_s: float, *, from_rest: bool) -> Float64Array:
            curve_db = self.curves_db([params], from_rest=from_rest)
            mixed_db = weights * curve_db + (np.float32(1.0) - weights) * estimated_db
            return self._noise.log_ratios([params] * len(shares), mixed_db, known_s)

        views = [view(self.excerpt.lead_s, from_rest=False)]
        if self.excerpt.is_first:
            views.append(view(math.inf, from_rest=True))
        mixed = np.logaddexp.reduce(views, axis=0) - np.log(len(views))
        alone = self._noise.log_ratios([params], estimated_db, math.inf)  # it is in no state
        return np.where(weights[:, 0] > 0.0, mixed, alone)

    def _noise_ratios(
        self, candidates: Sequence[CompressorParams], curves_db: Float32Array, known_s: float, at_once: int
    ) -> Float64Array:
        def some(part: slice) -> Float64Array:
            return self._noise.log_ratios(candidates[part], curves_db[part], known_s)

        return np.concatenate([*in_order(some, _parts(len(candidates)), at_once)])

    def _ratios(
        self,
        candidates: Sequence[CompressorParams],
        curves_db: Float32Array,
        known_s: float,
        at_once: int,
    ) -> Float64Array:
        noise = self._noise_ratios(candidates, curves_db, known_s, at_once)
        near = noise >= noise.max(initial=0.0) - BEHIND
        nothing_db = np.zeros((1, curves_db.shape[1]), dtype=np.float32)
        asked_db = np.concatenate([nothing_db, curves_db[near]])
        scores = self._encoded.scores(asked_db, state_known=known_s > 0.0, at_once=at_once)
        scores -= scores[0]
        music = np.full(len(candidates), scores.min())
        music[near] = scores[1:]
        return np.asarray(music + noise)


def listen(source: AudioSource, net: ProfileNet) -> list[Listener]:
    """Listen to excerpts spread over a recording; there are none if it is too short or silent."""
    excerpts = read_excerpts(source, Timebase.between(source.info.sample_rate, net.config))
    return [Listener(excerpt, net) for excerpt in excerpts]


def pooled(listeners: Sequence[Listener]) -> Scorer:
    """Add up what several excerpts of one recording say."""
    each = threads_each(len(listeners))

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        looked = in_order(lambda one: one.log_ratios(candidates, at_once=each), listeners, threads())
        return added([*looked])

    return score


def quick(listeners: Sequence[Listener]) -> Scorer:
    """Ask one excerpt, out of the middle, and the noise where the recording begins, maybe from rest."""
    middle = middle_one(listeners)
    full = pooled(middle)

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        ratios = full(candidates)
        if listeners[0] in middle:
            return ratios
        return ratios + listeners[0].noise_log_ratios(candidates, at_once=threads())

    return score


def by_noise(listeners: Sequence[Listener]) -> Scorer:
    """Add up what the noise of several excerpts says."""

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        said = in_order(lambda one: one.noise_log_ratios(candidates), listeners, threads())
        return np.asarray(np.sum([*said], axis=0))

    return score


def threads_each(excerpts: int) -> int:
    """Return how many threads each of so many excerpts may use while all are looked at side by side."""
    return max(1, threads() // max(1, excerpts))


def added(log_ratios: Sequence[Float64Array]) -> Float64Array:
    """Add what excerpts of one recording say, which is less than if each knew something of its own."""
    return np.asarray(len(log_ratios) ** (TEMPER - 1.0) * np.sum(log_ratios, axis=0))


def log_odds_of(evidence: float, excerpts: int) -> float:
    """Return the log odds that a compressor was at work, from the evidence for it in so many excerpts.

    Args:
        evidence: ln of how much more likely they are if it was, as from `added`.
        excerpts: their number.
    """
    return evidence - NOTHING_LOG_ODDS * float(excerpts**TEMPER)


def _parts(count: int) -> list[slice]:
    """Divide so many candidates among threads: the same way for any number of these."""
    return [slice(start, start + SIDE_BY_SIDE) for start in range(0, max(1, count), SIDE_BY_SIDE)]


def links_of(listeners: Sequence[Listener]) -> tuple[Link, ...]:
    """Return what a gain may have followed: one is as good as another where all channels are alike."""
    levels = (np.abs(one.excerpt.samples) for one in listeners)
    alike = all(np.ptp(level, axis=0).max() <= ALIKE * level.max() for level in levels)
    return LINKS[:1] if alike else LINKS


def middle_one(several: Sequence[Item]) -> Sequence[Item]:
    """Return the one that has to do for a first, quick look."""
    return several[len(several) // 2 :][:1]


def peak_dbfs(listeners: Sequence[Listener]) -> float:
    """Return the level of the largest sample of all excerpts."""
    peak = max(float(np.abs(one.excerpt.samples).max(initial=0.0)) for one in listeners)
    return float(20.0 * np.log10(peak + 1e-12))
