"""Excerpts of a recording, looked at once, of which any number of candidate compressors may be asked."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unsquash.analysis.candidates import (
    CURVE_RATE,
    FRAME_SAMPLES,
    LEAD_S,
    LINKS,
    STEP_SAMPLES,
    candidate_curves_db,
    followed_levels,
    rows_of,
    stepped,
)
from unsquash.analysis.excerpts import Excerpt, read_excerpts
from unsquash.analysis.noise import NoiseLevels
from unsquash.audio import AudioSource
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.nets.profile import ProfileNet
from unsquash.nets.scoring import EncodedExcerpt
from unsquash.nets.timebase import Timebase
from unsquash.parallel import in_order
from unsquash.units import Float64Array

SIDE_BY_SIDE = 32
"""Candidates whose gains are computed together; more are no faster."""

BEHIND = 30.0
"""Of candidates that are so far behind by what the noise says, the network need not be asked."""


class Listener:
    """One excerpt.

    Attributes:
        excerpt: the excerpt itself.
        levels: as from `followed_levels` and `stepped`, from which candidates' gain curves are computed.
        leads: those of what came before.
    """

    def __init__(self, excerpt: Excerpt, net: ProfileNet) -> None:
        self.excerpt = excerpt
        self._finer: Listener | None = None
        self._take(STEP_SAMPLES)
        self._encoded = EncodedExcerpt(excerpt.samples, net)
        self._noise = NoiseLevels(excerpt.samples, excerpt.rounding_power)

    def _take(self, step_samples: int) -> None:
        self._step_samples = step_samples
        self.levels = stepped(followed_levels(self.excerpt.samples), step_samples)
        self.leads = stepped(self.excerpt.lead, step_samples)

    def finer(self) -> Listener:
        """Return one that computes gains sample by sample: four times as slow, and nearly exact."""
        if self._finer is None:
            fine = copy.copy(self)
            fine._take(1)
            self._finer = fine
        return self._finer

    def gains_db(
        self,
        candidates: Sequence[CompressorParams],
        *,
        from_rest: bool = False,
        lead_s: float = LEAD_S,
        at_once: int = 1,
    ) -> Float32Array:
        """Return the candidates' gains, begun in the state that what came before leads to, or guessed.

        Args:
            candidates: compressors.
            from_rest: begun at rest instead.
            lead_s: how much of what came before counts.
            at_once: how many threads may work on it; the result is the same.

        Shape:
            result: `(K, C, n)`, per frame; `(K, 1, n)` if every candidate has one gain for all channels.
        """
        channels = self.excerpt.samples.shape[0]
        leads = self.leads[:, -max(1, round(lead_s * CURVE_RATE / self._step_samples)) :]
        driven = [rows_of(one.link, channels) for one in candidates]
        parts = []
        for row in range(len(self.levels)):
            here = np.array([k for k, rows in enumerate(driven) if row in rows], dtype=int)
            parts += [(row, here[part]) for part in _parts(here.size) if here.size]

        def some_db(part: tuple[int, npt.NDArray[np.intp]]) -> Float32Array:
            row, here = part
            some = [candidates[place] for place in here]
            return candidate_curves_db(
                self.levels[row], some, from_rest=from_rest, lead=leads[row], step_samples=self._step_samples
            )

        apart = any(len(rows) > 1 for rows in driven)
        frames = self.levels.shape[1] * self._step_samples // FRAME_SAMPLES
        shape = (len(candidates), channels if apart else 1, frames)
        curves_db = np.empty(shape, dtype=np.float32)
        for (row, here), some in zip(parts, in_order(some_db, parts, at_once), strict=True):
            if row < len(LINKS):
                curves_db[here] = some[:, None]
            else:
                curves_db[here, row - len(LINKS)] = some
        return curves_db

    def curves_db(
        self, candidates: Sequence[CompressorParams], *, from_rest: bool = False, at_once: int = 1
    ) -> Float32Array:
        """Return one gain for each candidate, the mean in dB where each channel has its own.

        Shape:
            result: `(K, n)`, per frame.
        """
        return np.asarray(self.gains_db(candidates, from_rest=from_rest, at_once=at_once).mean(axis=1))

    def log_ratios(
        self,
        candidates: Sequence[CompressorParams],
        gains_db: Float32Array | None = None,
        *,
        at_once: int = 1,
    ) -> Float64Array:
        """Return ln p(excerpt | candidate) / p(excerpt | nothing done).

        Args:
            candidates: compressors.
            gains_db: as from the method of that name, where they are at hand.
            at_once: how many threads may work on it.

        Shape:
            gains_db: `(K, C, n)`; result: `(K,)`.
        """
        led_db = self.gains_db(candidates, at_once=at_once) if gains_db is None else gains_db
        views = [self._ratios(candidates, led_db, self.excerpt.lead_s, at_once)]
        if self.excerpt.is_first:
            views.append(self.rested_log_ratios(candidates, at_once=at_once))
        return np.asarray(np.logaddexp.reduce(views, axis=0) - np.log(len(views)))

    def rested_log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int = 1) -> Float64Array:
        """Return the same if a compressor began here, at rest or as it says.

        Shape:
            result: `(K,)`.
        """
        rested_db = self.gains_db(candidates, from_rest=True, at_once=at_once)
        return self._ratios(candidates, rested_db, math.inf, at_once)

    def noise_log_ratios(self, candidates: Sequence[CompressorParams], *, at_once: int = 1) -> Float64Array:
        """Return ln p(noise | candidate) / p(noise | nothing done), without the network.

        Shape:
            result: `(K,)`.
        """
        return self.noise_and_depth(candidates, at_once=at_once)[0]

    def noise_and_depth(
        self, candidates: Sequence[CompressorParams], *, lead_s: float = LEAD_S, at_once: int = 1
    ) -> tuple[Float64Array, Float64Array]:
        """Return the same, and the greatest reduction of each candidate in dB.

        Args:
            candidates: compressors.
            lead_s: how much of what came before counts.
            at_once: how many threads may work on it.

        Shape:
            results: `(K,)`.
        """
        if not self._noise.knows:
            return np.zeros(len(candidates)), np.zeros(len(candidates))
        led_db = self.gains_db(candidates, lead_s=lead_s, at_once=at_once)
        views = [self._noise_ratios(candidates, led_db, min(lead_s, self.excerpt.lead_s), at_once)]
        if self.excerpt.is_first:
            views.append(self.rested_noise_log_ratios(candidates, at_once=at_once))
        ratios = np.logaddexp.reduce(views, axis=0) - np.log(len(views))
        return np.asarray(ratios), np.asarray(-led_db.min(axis=(1, 2)).astype(np.float64))

    def rested_noise_log_ratios(
        self, candidates: Sequence[CompressorParams], *, at_once: int = 1
    ) -> Float64Array:
        """Return what the noise says if the recording, and a compressor at rest, begin here; else nothing.

        Shape:
            result: `(K,)`.
        """
        if not (self._noise.knows and self.excerpt.is_first):
            return np.zeros(len(candidates))
        rested_db = self.gains_db(candidates, from_rest=True, at_once=at_once)
        return self._noise_ratios(candidates, rested_db, math.inf, at_once)

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
        weights = np.array(shares, dtype=np.float32)[:, None, None]
        estimated_db = -estimate_db[None, None].astype(np.float32)

        def view(known_s: float, *, from_rest: bool) -> Float64Array:
            exact_db = self.gains_db([params], from_rest=from_rest)
            mixed_db = weights * exact_db + (np.float32(1.0) - weights) * estimated_db
            return self._noise.log_ratios([params] * len(shares), mixed_db, known_s)

        views = [view(self.excerpt.lead_s, from_rest=False)]
        if self.excerpt.is_first:
            views.append(view(math.inf, from_rest=True))
        mixed = np.logaddexp.reduce(views, axis=0) - np.log(len(views))
        alone = self._noise.log_ratios([params], estimated_db, math.inf)  # it is in no state
        return np.where(weights[:, 0, 0] > 0.0, mixed, alone)

    def _noise_ratios(
        self, candidates: Sequence[CompressorParams], gains_db: Float32Array, known_s: float, at_once: int
    ) -> Float64Array:
        def some(part: slice) -> Float64Array:
            return self._noise.log_ratios(candidates[part], gains_db[part], known_s)

        return np.concatenate([*in_order(some, _parts(len(candidates)), at_once)])

    def _ratios(
        self,
        candidates: Sequence[CompressorParams],
        gains_db: Float32Array,
        known_s: float,
        at_once: int,
    ) -> Float64Array:
        noise = self._noise_ratios(candidates, gains_db, known_s, at_once)
        near = noise >= noise.max(initial=0.0) - BEHIND
        nothing_db = np.zeros((1, gains_db.shape[2]), dtype=np.float32)
        asked_db = np.concatenate([nothing_db, gains_db[near].mean(axis=1)])
        scores = self._encoded.scores(asked_db, state_known=known_s > 0.0, at_once=at_once)
        scores -= scores[0]
        music = np.full(len(candidates), scores.min())
        music[near] = scores[1:]
        return np.asarray(music + noise)


def listen(source: AudioSource, net: ProfileNet) -> list[Listener]:
    """Listen to excerpts spread over a recording; there are none if it is too short or silent."""
    excerpts = read_excerpts(source, Timebase.between(source.info.sample_rate, net.config))
    return [Listener(excerpt, net) for excerpt in excerpts]


def _parts(count: int) -> list[slice]:
    """Divide so many candidates among threads: the same way for any number of these."""
    return [slice(start, start + SIDE_BY_SIDE) for start in range(0, max(1, count), SIDE_BY_SIDE)]
