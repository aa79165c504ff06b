"""What is common to recordings that differ in rate or channels and yet belong together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.analysis.levels import Levels
from unsquash.audio import AudioInfo
from unsquash.dsp.ceilings import Ceiling
from unsquash.plan import Declipping, NeuralInversion, Plan, Stage

_UNCLIPPED = Ceiling(positive=None, negative=None)


def pool_diagnoses(found: Sequence[tuple[AudioInfo, Diagnosis]]) -> Diagnosis:
    """Return one diagnosis for recordings of one album: the longest that is not silent decides.

    But for flat tops: where there are any, they are those of the recording that has most of them.
    """

    def weight(item: tuple[AudioInfo, Diagnosis]) -> tuple[bool, float]:
        return item[1].levels.sample_peak_dbfs is not None, item[0].duration_s

    _, decisive = max(found, key=weight)
    if len(found) == 1:
        return decisive
    clipped = [item.clipping for _, item in found if item.clipping.ceilings]
    return replace(
        decisive,
        levels=pool_levels([(info.duration_s, item.levels) for info, item in found]),
        clipping=max(clipped, key=lambda clipping: clipping.fraction, default=decisive.clipping),
    )


def fit_to_stretch(plan: Plan, diagnosis: Diagnosis, own: Diagnosis, channels: int) -> tuple[Plan, Diagnosis]:
    """Return an album's plan and diagnosis as they hold for a stretch of it.

    What was done is the same everywhere, and so is what conditions the network; but tops are flat where the
    stretch's own are, and the network hears levels relative to the stretch's own peak.

    Args:
        plan: of the album.
        diagnosis: of the album.
        own: of the stretch alone.
        channels: of the stretch.
    """
    hearing = diagnosis.hearing
    if hearing is not None and own.hearing is not None:
        hearing = replace(hearing, peak=own.hearing.peak)
    stages = tuple(_with_ceilings(stage, own.clipping.ceilings, channels) for stage in plan.stages)
    return replace(plan, stages=stages), replace(diagnosis, hearing=hearing)


def _with_ceilings(stage: Stage, ceilings: tuple[Ceiling, ...], channels: int) -> Stage:
    if isinstance(stage, NeuralInversion):
        return replace(stage, ceilings=ceilings)
    if isinstance(stage, Declipping):
        return replace(stage, ceilings=ceilings or (_UNCLIPPED,) * channels)
    return stage


def pool_levels(found: Sequence[tuple[float, Levels]]) -> Levels:
    """Return the highest peaks and the mean loudness, by power and length, of several stretches."""
    longest = max(found, key=lambda item: item[0])[1]
    if len(found) == 1:
        return longest

    def highest(values: Iterable[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    heard = [(length_s, item.integrated_lufs) for length_s, item in found if item.integrated_lufs is not None]
    power = sum(length_s * 10.0 ** (lufs / 10.0) for length_s, lufs in heard)
    loudness = 10.0 * math.log10(power / sum(length_s for length_s, _ in heard)) if heard else None
    return replace(
        longest,
        integrated_lufs=loudness,
        true_peak_dbtp=highest(item.true_peak_dbtp for _, item in found),
        sample_peak_dbfs=highest(item.sample_peak_dbfs for _, item in found),
    )
