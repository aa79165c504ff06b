"""Which compressor made this recording? Known ones by name, others by a search of their settings.

The profile network gives, for any compressor, the logarithm of how much more likely the recording is if that
compressor made it than if nothing was done. What is known of several excerpts is added. The known compressors
are asked at the recording's own level and, because its level may have been changed since, at others; the rest
of the space of settings is searched by a population that evolves, and then weighed, so that every hypothesis
has a probability.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from unsquash.analysis.candidates import LINKS
from unsquash.analysis.known import score_known
from unsquash.analysis.listening import Listener
from unsquash.analysis.noise import PROOF
from unsquash.analysis.population import softmax
from unsquash.analysis.proving import prove
from unsquash.analysis.ranges import likely_ranges
from unsquash.analysis.scorers import (
    beginning,
    by_noise,
    links_of,
    log_odds_of,
    peak_dbfs,
    pooled,
    quick,
    quick_noise,
)
from unsquash.analysis.searching import search as search_settings
from unsquash.analysis.space import with_link
from unsquash.analysis.starting import begun
from unsquash.audio import AudioSource
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.inverse import invert
from unsquash.errors import InversionError
from unsquash.nets.profile import ProfileNet

PUBLISHED_LOG_ODDS = -4.6
"""Before looking: of a hundred compressors, one is of a published set, whose names have a slash. Others are
often much like one that is. Who names a set of their own has reason to."""

KNOWN_PROBABILITY, MOVED_PROBABILITY = 0.8, 0.96
"""From here on a known compressor is taken for granted, at its own level or with the level changed since."""

SURE_LOG_ODDS = math.log(KNOWN_PROBABILITY / (1.0 - KNOWN_PROBABILITY))

BEYOND_DOUBT = 0.9
"""The same where several excerpts were heard, which should leave less doubt, or neither music nor speech."""

FARTHEST_OFFSET_DB = 12.0
"""So much of a change is believed, if the noise does not prove it."""

_LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What is known about the compressor.

    Attributes:
        profile: name of the known compressor; None where none of them explains the recording best.
        probability: of that profile, or that it was none of those that are known but a compressor, 0…1.
        known: probability that it was any of those that are known.
        squashed: probability that any compressor was at work, 0…1.
        params: its settings, for the recording at its present level.
        offset_db: by how much the level was changed after a known compressor.
        proof: what the noise says for it.
        excerpts: how many were listened to.
        other: the settings found beyond the known ones; None where only those were looked at.
        invertible: the exact inverse was tried on the whole recording, or need not be.
        profiles: how probable each known compressor is, best first, but those that are all but impossible.
            The rest is for another one, `squashed` − `known`, and for none, 1 − `squashed`.
        ranges: between what settings that were searched for probably were, as from `likely_ranges`.
    """

    profile: str | None
    probability: float
    squashed: float
    known: float
    params: CompressorParams
    offset_db: float = 0.0
    proof: float = 0.0
    excerpts: int = 1
    other: CompressorParams | None = None
    invertible: bool = True
    profiles: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def log_odds(self) -> float:
        """That any compressor was at work."""
        odds = min(max(self.squashed, _LEAST_PROBABILITY), 1.0 - _LEAST_PROBABILITY)
        return math.log(odds / (1.0 - odds))

    def given(self, squashed: float) -> Identification:
        """Return what is known of it if any compressor was at work with at least this probability, 0…1.

        Unchanged where nothing but the known ones was looked at: they must not gain from what others did.
        """
        if self.other is None or squashed <= self.squashed:
            return self
        scale = squashed / max(self.squashed, _LEAST_PROBABILITY)
        return dataclasses.replace(
            self,
            squashed=squashed,
            known=min(1.0, scale * self.known),
            probability=min(1.0, scale * self.probability),
            profiles={name: min(1.0, scale * one) for name, one in self.profiles.items()},
        )

    @property
    def is_sure(self) -> bool:
        """Whether a known compressor, this or one much like it, is taken for granted."""
        is_believed = abs(self.offset_db) <= FARTHEST_OFFSET_DB or self.proof >= PROOF
        if self.profile is None or not is_believed:
            return False
        if self.offset_db != 0.0:
            return self.known >= MOVED_PROBABILITY
        return self.known >= (KNOWN_PROBABILITY if self.excerpts == 1 else BEYOND_DOUBT)

    @property
    def is_usable(self) -> bool:
        """Whether a known compressor is sure and its inverse stable, so that nothing else need be tried."""
        return self.is_sure and self.invertible

    @property
    def is_beyond_doubt(self) -> bool:
        """Whether a known compressor can be believed in even where a recording is no music."""
        return self.is_usable and self.known >= BEYOND_DOUBT


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """What to look for, and the network that tells."""

    net: ProfileNet
    known: Mapping[str, CompressorParams]


def seek(
    source: AudioSource,
    listeners: Sequence[Listener],
    known: Mapping[str, CompressorParams],
    *,
    thoroughly: bool = False,
    heard: float = 0.0,
) -> Identification | None:
    """Look for the compressor of a recording; None if there is nothing to listen to or to look for.

    Args:
        source: the recording.
        listeners: to excerpts of it.
        known: settings by name.
        thoroughly: also beyond the known ones where none of those could be taken for granted anyway, and the
            noise proves nothing.
        heard: what the noise says for another estimate of the gain.
    """
    if not listeners or not (known or thoroughly):
        return None
    return tried(source, identify(listeners, known, thoroughly=thoroughly, heard=heard))


def tried(source: AudioSource, found: Identification) -> Identification:
    """Invert a known compressor that is sure over all of the recording, to see whether that is stable."""
    if not found.is_usable:
        return found
    return dataclasses.replace(found, invertible=is_invertible(source, found.params))


def is_invertible(source: AudioSource, params: CompressorParams) -> bool:
    """Return whether a compressor's inverse is stable over all of a recording."""
    state = None
    try:
        for block in source.blocks():
            state = invert(block, source.info.sample_rate, params, state).state
    except InversionError:
        return False
    return True


def identify(
    listeners: Sequence[Listener],
    known: Mapping[str, CompressorParams],
    *,
    search: bool = True,
    thoroughly: bool = True,
    heard: float = 0.0,
    seed: int = 0,
) -> Identification:
    """Weigh all known compressors, and with `search` all others, against each other and against nothing.

    Args:
        listeners: to excerpts of one recording, at least one.
        known: settings by name, for a recording whose level was not changed since.
        search: whether to look beyond the known ones, at least where the noise proves something.
        thoroughly: even where it does not, nor could one of those be taken for granted without others.
        heard: what the noise says for another estimate of the gain.
        seed: of the search.
    """
    few, all_of_them = quick(listeners), pooled(listeners)
    known = {name: with_link(params) for name, params in known.items()}
    named = score_known(known, beginning(listeners), few, all_of_them, pooled(listeners, finely=True))
    published = any("/" in name for name in known)
    found, rarity = None, PUBLISHED_LOG_ODDS if search and published else 0.0
    alone = log_odds_of(named.evidence + rarity, len(listeners))
    if search:
        links, peak = links_of(listeners), peak_dbfs(listeners)
        noise, finely = (by_noise(listeners, finely=finely) for finely in (False, True))
        rng, quickly = np.random.default_rng(seed), quick_noise(listeners)
        found = prove(quickly, noise, finely, all_of_them, peak, rng, links, heard=heard)
        if found is None and (thoroughly or alone >= SURE_LOG_ODDS):
            linked, rng = [link for link in links if link in LINKS], np.random.default_rng(seed)
            found = search_settings(few, all_of_them, peak, rng, linked)
        if found is not None:
            found = dataclasses.replace(found, params=begun(listeners, found.params))
    evidence = (named.evidence + rarity, found.evidence if found else -np.inf)
    shares = softmax(np.array([0.0, *(log_odds_of(one, len(listeners)) for one in evidence)]))
    squashed, is_known, is_other = 1.0 - float(shares[0]), float(shares[1]), float(shares[2])
    profiles = named.shares(is_known)
    if found is not None and (is_other > is_known or not known):
        return Identification(
            profile=None,
            probability=is_other,
            squashed=squashed,
            known=is_known,
            params=found.params,
            other=found.params,
            excerpts=len(listeners),
            profiles=profiles,
            ranges=likely_ranges(found.params),
        )
    if not profiles:
        raise ValueError("nothing was to be considered")
    best = next(iter(profiles))
    offset_db, params = named.best[best]
    params = begun(listeners, params)
    return Identification(
        profile=best,
        probability=profiles[best],
        squashed=squashed,
        known=is_known,
        params=params,
        offset_db=offset_db,
        proof=float(by_noise(listeners)([params])[0]),
        excerpts=len(listeners),
        other=None if found is None else found.params,
        profiles=profiles,
    )
