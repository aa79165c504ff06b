"""Excerpts of a recording, looked at once, of which any number of candidate compressors may be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from unsquash.analysis.candidates import candidate_curves_db, stepped_level
from unsquash.analysis.excerpts import Excerpt, read_excerpts
from unsquash.analysis.searching import Scorer
from unsquash.analysis.space import NOTHING
from unsquash.audio import AudioSource
from unsquash.dsp.compressor import CompressorParams
from unsquash.nets.profile import ProfileNet
from unsquash.nets.scoring import EncodedExcerpt
from unsquash.nets.timebase import Timebase
from unsquash.parallel import in_order, threads
from unsquash.units import Float64Array

Item = TypeVar("Item")

TEMPER = 0.6
"""Excerpts of one recording do not tell independent things; calibrated on held-out tracks."""


class Listener:
    """One excerpt.

    Attributes:
        excerpt: the excerpt itself.
        level: its level, as candidates' gain curves are computed from it.
    """

    def __init__(self, excerpt: Excerpt, net: ProfileNet) -> None:
        self.excerpt = excerpt
        self.level = stepped_level(np.abs(excerpt.samples).max(axis=0))
        self._encoded = EncodedExcerpt(excerpt.samples, net)
        self._states = (False, True) if excerpt.is_first else (False,)

    def log_ratios(self, candidates: Sequence[CompressorParams]) -> Float64Array:
        """Return ln p(excerpt | candidate) / p(excerpt | nothing done); shape `(K,)`."""
        views = []
        for from_rest in self._states:
            everything = [NOTHING, *candidates]
            curves = candidate_curves_db(self.level, everything, from_rest=from_rest, lead=self.excerpt.lead)
            state_known = from_rest or not self.excerpt.is_first
            scores = self._encoded.scores(curves, state_known=state_known)
            views.append(scores[1:] - scores[0])
        return np.asarray(np.logaddexp.reduce(views, axis=0) - np.log(len(views)))


def listen(source: AudioSource, net: ProfileNet) -> list[Listener]:
    """Listen to excerpts spread over a recording; there are none if it is too short or silent."""
    excerpts = read_excerpts(source, Timebase.between(source.info.sample_rate, net.config))
    return [Listener(excerpt, net) for excerpt in excerpts]


def pooled(listeners: Sequence[Listener]) -> Scorer:
    """Add up what several excerpts of one recording say."""

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        tempered = len(listeners) ** (TEMPER - 1.0)
        said = in_order(lambda one: one.log_ratios(candidates), listeners, threads())
        return np.asarray(tempered * np.sum(list(said), axis=0))

    return score


def middle_one(several: Sequence[Item]) -> Sequence[Item]:
    """Return the one that has to do for a first, quick look."""
    return several[len(several) // 2 :][:1]


def peak_dbfs(listeners: Sequence[Listener]) -> float:
    """Return the level of the largest sample of all excerpts."""
    peak = max(float(np.abs(one.excerpt.samples).max(initial=0.0)) for one in listeners)
    return float(20.0 * np.log10(peak + 1e-12))
