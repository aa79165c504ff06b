"""Every distance between two recordings of any length, in two passes and constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unsquash.audio import AudioSource
from unsquash.dsp.loudness import LoudnessMeter
from unsquash.dsp.true_peak import TruePeakMeter
from unsquash.errors import OptionError
from unsquash.metrics.running import GainMeter, LogMelMeter, Moments, energy, energy_ratio_db
from unsquash.units import FloatArray

BLOCK_FRAMES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Distances between two recordings, and the loudness of both; None where a value is undefined.

    Attributes:
        identical: every sample is the same.
        si_sdr_db: signal to distortion after the best constant gain; None if nothing but gain differs.
        sdr_db: signal to difference, level included; None for identical recordings.
        mse: mean squared difference of the two, each divided by its RMS.
        log_mel_distance: RMS difference of the natural logarithms of their mel magnitudes.
        gain_error_db: how much the gain between them varies over time, weighted by energy.
        level_change_db: RMS of the second over that of the first.
        before_integrated_lufs, after_integrated_lufs: gated loudness.
        before_loudness_range_lu, after_loudness_range_lu: EBU Tech 3342.
        before_true_peak_dbtp, after_true_peak_dbtp: peaks between the samples.
        before_plr_db, after_plr_db: true peak over integrated loudness.
    """

    identical: bool
    si_sdr_db: float | None
    sdr_db: float | None
    mse: float | None
    log_mel_distance: float | None
    gain_error_db: float | None
    level_change_db: float | None
    before_integrated_lufs: float | None
    after_integrated_lufs: float | None
    before_loudness_range_lu: float | None
    after_loudness_range_lu: float | None
    before_true_peak_dbtp: float | None
    after_true_peak_dbtp: float | None
    before_plr_db: float | None
    after_plr_db: float | None


def compare_sources(before: AudioSource, after: AudioSource, block_frames: int = BLOCK_FRAMES) -> Comparison:
    """Compare two recordings of any length in constant memory, in two passes over both.

    Args:
        before: the reference.
        after: the estimate.
        block_frames: how much is read at a time; the result depends on it only by rounding.

    Raises:
        OptionError: rate, channels or length differ.
    """
    _require_comparable(before, after)
    info = before.info
    first, second = (_LoudnessPair(info.sample_rate, info.channels) for _ in range(2))
    moments = Moments()
    for r, e in _pairs(before, after, block_frames):
        moments.push(r, e)
        first.push(r)
        second.push(e)
    gain, scales = moments.best_gain(), moments.scales()
    target = residual = difference = 0.0
    log_mel, envelopes = LogMelMeter(info.sample_rate), GainMeter()
    if gain is not None and scales is not None:
        for r, e in _pairs(before, after, block_frames):
            target += energy(gain * r)
            residual += energy(e - gain * r)
            r_normal, e_normal = r * scales[0], e * scales[1]
            difference += energy(r_normal - e_normal)
            log_mel.push(r_normal, e_normal)
            envelopes.push(r_normal, e_normal)
    before_dbtp, before_lufs = first.true_peak.true_peak_dbtp(), first.loudness.integrated_lufs()
    after_dbtp, after_lufs = second.true_peak.true_peak_dbtp(), second.loudness.integrated_lufs()
    return Comparison(
        identical=moments.identical,
        si_sdr_db=energy_ratio_db(target, residual),
        sdr_db=energy_ratio_db(moments.reference, moments.difference),
        mse=None if scales is None else difference / moments.count,
        log_mel_distance=log_mel.result(),
        gain_error_db=envelopes.result(),
        level_change_db=energy_ratio_db(moments.estimate, moments.reference),
        before_integrated_lufs=before_lufs,
        after_integrated_lufs=after_lufs,
        before_loudness_range_lu=first.loudness.loudness_range_lu(),
        after_loudness_range_lu=second.loudness.loudness_range_lu(),
        before_true_peak_dbtp=before_dbtp,
        after_true_peak_dbtp=after_dbtp,
        before_plr_db=_difference(before_dbtp, before_lufs),
        after_plr_db=_difference(after_dbtp, after_lufs),
    )


class _LoudnessPair:
    def __init__(self, sample_rate: int, channels: int) -> None:
        self.loudness = LoudnessMeter(sample_rate, channels)
        self.true_peak = TruePeakMeter(sample_rate, channels)

    def push(self, block: FloatArray) -> None:
        self.loudness.push(block)
        self.true_peak.push(block)


def _pairs(
    before: AudioSource, after: AudioSource, block_frames: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    yield from zip(
        before.blocks(block_frames=block_frames), after.blocks(block_frames=block_frames), strict=True
    )


def _require_comparable(before: AudioSource, after: AudioSource) -> None:
    for what, unit, hint in (
        ("sample_rate", "Hz", "resample one of them first"),
        ("channels", "channels", "mix one of them to the channels of the other first"),
        ("frames", "samples", "cut both to the same length, and align them: a shifted file compares badly"),
    ):
        values = getattr(before.info, what), getattr(after.info, what)
        if values[0] != values[1]:
            raise OptionError(f"the recordings differ: {values[0]} and {values[1]} {unit}", hint=hint)


def _difference(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or lower is None else upper - lower
