"""How loud a recording is, and how much of its range it uses."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np

from unsquash.dsp.loudness import LoudnessMeter
from unsquash.dsp.true_peak import TruePeakMeter
from unsquash.units import Float64Array, FloatArray, linear_to_db

DR_BLOCK_S = 3
DR_LOUDEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Levels of a whole recording; None where one is undefined (silence, too short).

    Attributes:
        integrated_lufs: gated loudness (BS.1770-4); needs 0.4 s.
        loudness_range_lu: EBU Tech 3342; needs 3 s.
        true_peak_dbtp: highest level between the samples.
        sample_peak_dbfs: highest sample.
        rms_dbfs: over all samples of all channels; a full-scale sine has -3.01.
        crest_db: sample peak over RMS.
        plr_db: true peak over integrated loudness.
        dr_db: dynamic range as the DR meter defines it, unrounded; needs two blocks.
    """

    integrated_lufs: float | None
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    rms_dbfs: float | None
    crest_db: float | None
    plr_db: float | None
    dr_db: float | None


class LevelsMeter:
    """Measure `Levels` of a stream."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._loudness = LoudnessMeter(sample_rate, channels)
        self._true_peak = TruePeakMeter(sample_rate, channels)
        self._blocks = _BlockStatistics(sample_rate * DR_BLOCK_S, channels)

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        self._loudness.push(block)
        self._true_peak.push(block)
        self._blocks.push(block)

    def result(self) -> Levels:
        """Return the levels of everything pushed so far."""
        integrated_lufs = self._loudness.integrated_lufs()
        true_peak_dbtp = self._true_peak.true_peak_dbtp()
        powers, peaks, lengths = self._blocks.all()
        sample_peak_dbfs = linear_to_db(float(peaks.max(initial=0.0)))
        power = float((powers * lengths).sum() / (lengths.sum() * len(powers))) if lengths.size else 0.0
        rms_dbfs = linear_to_db(math.sqrt(power))
        return Levels(
            integrated_lufs=integrated_lufs,
            loudness_range_lu=self._loudness.loudness_range_lu(),
            true_peak_dbtp=true_peak_dbtp,
            sample_peak_dbfs=sample_peak_dbfs,
            rms_dbfs=rms_dbfs,
            crest_db=_difference(sample_peak_dbfs, rms_dbfs),
            plr_db=_difference(true_peak_dbtp, integrated_lufs),
            dr_db=dynamic_range_db(powers, peaks),
        )


def dynamic_range_db(powers: Float64Array, peaks: Float64Array) -> float | None:
    """Return the dynamic range as the DR meter defines it, before rounding.

    Per channel: the second highest block peak over the RMS of the loudest fifth of the blocks (at least
    one), where a block's RMS is scaled by √2 so that a sine has the RMS of its peak. Then the mean over
    the channels that are not silent. None for fewer than two blocks.

    Shape:
        powers, peaks: `(C, N)`, mean square and peak of N blocks of 3 s (the last may be shorter).

    Source:
        Pleasurize Music Foundation, "Measuring DR" (the TT / DR14 meter).
    """
    count = powers.shape[1]
    if count < 2:
        return None
    loudest = max(1, int(DR_LOUDEST_SHARE * count))
    rms = np.sqrt(2.0 * np.mean(np.sort(powers, axis=1)[:, -loudest:], axis=1))
    second_peak = np.sort(peaks, axis=1)[:, -2]
    audible = np.minimum(second_peak, rms) > 0.0  # squares of the faintest samples are zero
    if not audible.any():
        return None
    return float(np.mean(20.0 * np.log10(second_peak[audible] / rms[audible])))


class _BlockStatistics:
    """Mean square and peak of consecutive blocks, per channel; eight bytes each per block and channel."""

    def __init__(self, block_samples: int, channels: int) -> None:
        self._block_samples = block_samples
        self._channels = channels
        self._powers = array("d")
        self._peaks = array("d")
        self._clear()

    def _clear(self) -> None:
        self._filled = 0
        self._squares = np.zeros(self._channels)
        self._peak = np.zeros(self._channels)

    def push(self, block: FloatArray) -> None:
        start = 0
        while start < block.shape[1]:
            part = block[:, start : start + self._block_samples - self._filled]
            self._squares += np.einsum("ct,ct->c", part, part, dtype=np.float64)
            self._peak = np.maximum(self._peak, np.maximum(part.max(axis=1), -part.min(axis=1)))
            self._filled += part.shape[1]
            start += part.shape[1]
            if self._filled == self._block_samples:
                self._powers.extend(self._squares / self._filled)
                self._peaks.extend(self._peak)
                self._clear()

    def all(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return mean squares `(C, N)`, peaks `(C, N)` and lengths `(N,)`, the unfinished block included."""
        powers = np.array(self._powers).reshape(-1, self._channels)
        peaks = np.array(self._peaks).reshape(-1, self._channels)
        lengths = np.full(len(powers), float(self._block_samples))
        if self._filled:
            powers = np.vstack((powers, self._squares / self._filled))
            peaks = np.vstack((peaks, self._peak))
            lengths = np.append(lengths, float(self._filled))
        return powers.T, peaks.T, lengths


def _difference(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or lower is None else upper - lower
