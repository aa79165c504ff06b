"""What candidate compressors are scored by: one excerpt or several, all that is heard or the noise alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from unsquash.analysis.candidates import LEAD_S, LINKS, MOST_APART
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import alike, corroborated
from unsquash.analysis.population import Scorer
from unsquash.dsp.compressor import CompressorParams, Link
from unsquash.parallel import in_order, threads
from unsquash.units import Float64Array

Item = TypeVar("Item")

TEMPER = 0.6
"""Excerpts of one recording do not tell independent things; calibrated on held-out tracks."""

NOTHING_LOG_ODDS = 4.8
"""What the evidence of one excerpt has to make up for: releases that count as untouched were compressed
somewhere. For several it grows as their evidence does. Calibrated on held-out artists, docs/training.md."""

DEEPEST_DB, PER_ABSURD_DB = 30.0, 2.0
"""Who compresses by more than this, as a mean of a few milliseconds, is so much less probable per decibel."""

BRIEF_LEAD_S = 4.0
"""How much of what came before an excerpt has to do for a quick look."""


def pooled(listeners: Sequence[Listener], *, finely: bool = False) -> Scorer:
    """Add up what several excerpts of one recording say, if asked with gains computed sample by sample."""
    each = threads_each(len(listeners))

    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        def ratios(one: Listener) -> Float64Array:
            return (one.finer() if finely else one).log_ratios(candidates, at_once=each)

        return added([*in_order(ratios, listeners, threads())])

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


def beginning(listeners: Sequence[Listener]) -> Scorer:
    """Ask what the noise says where the recording begins, of compressors that were at rest there."""
    return lambda candidates: listeners[0].rested_noise_log_ratios(candidates, at_once=threads())


def by_noise(listeners: Sequence[Listener], *, finely: bool = False) -> Scorer:
    """Ask what the noise of several excerpts proves, and take off what nobody would do to a recording.

    If asked, with gains computed sample by sample.
    """
    return _noise_scorer(listeners, LEAD_S, corroborated, finely=finely)


def quick_noise(listeners: Sequence[Listener]) -> Scorer:
    """Add up what the noise of every other excerpt says, a little of what came before being known."""
    return _noise_scorer(listeners[::2], BRIEF_LEAD_S, partial(np.sum, axis=0))


def _noise_scorer(
    listeners: Sequence[Listener],
    lead_s: float,
    pool: Callable[[Float64Array], Float64Array],
    *,
    finely: bool = False,
) -> Scorer:
    def score(candidates: Sequence[CompressorParams]) -> Float64Array:
        def look(one: Listener) -> tuple[Float64Array, Float64Array]:
            return (one.finer() if finely else one).noise_and_depth(candidates, lead_s=lead_s)

        looked = [*in_order(look, listeners, threads())]
        said, depths_db = (np.array([look[k] for look in looked]) for k in range(2))
        absurd_db = np.maximum(0.0, depths_db.max(axis=0) - DEEPEST_DB)
        return np.asarray(pool(said) - PER_ABSURD_DB * absurd_db)

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


def links_of(listeners: Sequence[Listener]) -> tuple[Link, ...]:
    """Return what a gain may have followed: one is as good as another where all channels are alike."""
    if all(alike(one.excerpt.samples) for one in listeners):
        return LINKS[:1]
    many = any(len(one.excerpt.samples) > MOST_APART for one in listeners)
    return LINKS if many else (*LINKS, "off")


def middle_one(several: Sequence[Item]) -> Sequence[Item]:
    """Return the one that has to do for a first, quick look."""
    return several[len(several) // 2 :][:1]


def peak_dbfs(listeners: Sequence[Listener]) -> float:
    """Return the level of the largest sample of all excerpts."""
    peak = max(float(np.abs(one.excerpt.samples).max(initial=0.0)) for one in listeners)
    return float(20.0 * np.log10(peak + 1e-12))
