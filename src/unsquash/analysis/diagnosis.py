"""What was done to a recording: one pass over all of it, then a bounded look at its dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from unsquash.analysis.bandwidth import BandwidthMeter
from unsquash.analysis.clipping import Clipping, ClippingMeter
from unsquash.analysis.levels import Levels, LevelsMeter
from unsquash.audio import AudioSource
from unsquash.parallel import threads
from unsquash.units import db_to_linear

if TYPE_CHECKING:
    from unsquash.analysis.dynamics import Dynamics, Hearing, Survey
    from unsquash.analysis.excerpts import Excerpt
    from unsquash.analysis.fitting import CompressorFit
    from unsquash.analysis.identification import Identification, Suspects
    from unsquash.nets.gain import GainNet

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the detectors found.

    Attributes:
        levels: loudness, peaks and their ratios.
        clipping: how often the ceiling is touched.
        bandwidth_hz: above it there is nothing; None for silence.
        dynamics: what the analyzer thinks was done; None when it was not asked.
        compressor: the compressor that explains best what is heard; None when it was not sought.
        identification: which compressor it was, by name or by settings searched for; None when it was not
            sought.
        hearing: what the neural engine needs to know about the whole file.
    """

    levels: Levels
    clipping: Clipping
    bandwidth_hz: float | None
    dynamics: Dynamics | None = None
    compressor: CompressorFit | None = None
    identification: Identification | None = None
    hearing: Hearing | None = field(default=None, repr=False, compare=False)


def analyze(
    source: AudioSource,
    *,
    net: GainNet | None = None,
    suspects: Suspects | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Examine a recording; with a network also its dynamics.

    Memory does not depend on the recording's length.

    Args:
        source: the recording.
        net: the gain network; None skips the judgement of the dynamics (and torch).
        suspects: what to look for compressors with, known ones and others; None looks for none.
        progress: called with `("analyze", samples done, samples in all)`.
    """
    info = source.info
    levels = LevelsMeter(info.sample_rate, info.channels)
    clipping = ClippingMeter(info.sample_rate, info.channels)
    bandwidth = BandwidthMeter(info.sample_rate, info.channels)
    done = 0
    with ThreadPoolExecutor(threads()) as pool:
        for block in source.blocks():
            looks = [pool.submit(meter.push, block) for meter in (levels, clipping, bandwidth)]
            for look in looks:
                look.result()
            done += block.shape[1]
            if progress is not None:
                progress("analyze", done, info.frames)
    found = Diagnosis(levels=levels.result(), clipping=clipping.result(), bandwidth_hz=bandwidth.result())
    if net is None or found.levels.sample_peak_dbfs is None:
        return found
    from unsquash.analysis.dynamics import survey, weigh_by_noise  # loads torch
    from unsquash.analysis.excerpts import read_excerpts
    from unsquash.nets.timebase import Timebase

    excerpts = read_excerpts(source, Timebase.between(info.sample_rate, net.config))
    seen = survey(source, db_to_linear(found.levels.sample_peak_dbfs), net)
    seen = weigh_by_noise(seen, excerpts, net)
    found = replace(found, dynamics=seen.dynamics(), hearing=seen.hearing)
    return found if suspects is None else _searched(source, excerpts, found, seen, net, suspects)


def _searched(
    source: AudioSource,
    excerpts: Sequence[Excerpt],
    found: Diagnosis,
    seen: Survey,
    net: GainNet,
    suspects: Suspects,
) -> Diagnosis:
    """Look for a compressor: a known one by name, and where the recording may be compressed any other.

    That there was one is evidence, too, in doubt whether anything was done.
    """
    from unsquash.analysis.dynamics import ARTIFICIAL_PROOF, MOST_SUPPORT, estimate
    from unsquash.analysis.fitting import fit_compressor
    from unsquash.analysis.identification import is_invertible, seek, tried
    from unsquash.analysis.listening import Listener
    from unsquash.nets.device import operations_in

    with operations_in(1):
        listeners = [Listener(excerpt, suspects.net) for excerpt in excerpts]
        identification = seek(
            source, listeners, suspects.known, thoroughly=seen.may_be_compressed, heard=seen.proof
        )
        if seen.is_artificial and identification is not None and identification.is_beyond_doubt:
            return replace(found, identification=identification)
        if identification is not None and identification.is_usable and not seen.is_artificial:
            sure = seen.dynamics(identification.log_odds)
            return replace(found, dynamics=sure, identification=identification)
        fitted = None
        if identification is not None and identification.other is not None:
            estimates_db = [estimate(excerpt.samples, seen.hearing, net) for excerpt in excerpts]
            fits = [
                fit_compressor(listeners, estimates_db, params)
                for params in dict.fromkeys((identification.params, identification.other))
            ]
            proven = [fit for fit in fits if fit.is_proven]
            fitted = max(proven, key=lambda fit: fit.proof, default=fits[0])
        if seen.is_artificial and not (
            fitted is not None and fitted.is_proven and fitted.proof >= ARTIFICIAL_PROOF
        ):
            return found
        # a limiter moves the noise, too, but looks ahead as no compressor does that is searched for
        log_odds = 0.0 if identification is None or seen.looks_limited else identification.log_odds
        if fitted is not None and seen.looks_limited and not fitted.is_ahead:
            fitted = None
        dynamics = by_network = seen.dynamics(log_odds)
        if fitted is not None:
            log_odds = MOST_SUPPORT if seen.looks_limited else log_odds
            is_sure = fitted.is_proven or log_odds >= MOST_SUPPORT
            moved_db = fitted.deviation_db if is_sure else 0.0
            dynamics = seen.dynamics(log_odds, moved_db, fitted.proof if fitted.is_proven else 0.0)
    if dynamics.verdict != "compressed":
        fitted = None
    elif identification is not None and log_odds > 0.0:
        identification = tried(source, identification.given(dynamics.confidence))
        if identification.is_usable:
            fitted = None
    if fitted is not None and fitted.share == 0.0:
        fitted = None
    if fitted is not None and not is_invertible(source, fitted.params):
        fitted, dynamics = None, by_network  # what it proved was its own gain, not the network's
    return replace(found, dynamics=dynamics, identification=identification, compressor=fitted)
