"""What is found of a recording, with level, gain and static curve, small enough to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from unsquash.analysis.diagnosis import Diagnosis
from unsquash.audio import AudioInfo, AudioSource
from unsquash.options import RestoreOptions
from unsquash.plan import Plan, make_plan
from unsquash.stages import restored_blocks
from unsquash.units import Float64Array, FloatArray

if TYPE_CHECKING:
    from unsquash.stages import Network

COLUMNS = 2000
"""A recording is drawn in at most so many columns."""

BLOCK_S = 0.01
"""Levels of the static curve are those of blocks of this length."""

FLOOR_DB = -90.0
"""What is quieter is drawn here, and is not part of the static curve."""

TOP_DB = 30.0
STEP_DB = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What there is to draw of a recording.

    Attributes:
        column_s: how long a column is.
        duration_s: of the recording.
        peak_dbfs: highest sample of each column.
        rms_dbfs: of each column, over all channels; a full-scale sine has -3.01.
        mean_gain_db, max_gain_db: the gain of each column; what was taken away, as far as it is given back.
        static_curve: how many blocks of 10 ms have which level before (rows) and after (columns) the squash;
            bins of `STEP_DB` from `FLOOR_DB` on.
        is_planned: restore would apply this gain; else it is what the network would if it were told to.

    Shape:
        peak_dbfs, rms_dbfs, mean_gain_db, max_gain_db: `(N,)`, N at most `COLUMNS`; static_curve: `(B, B)`.
    """

    column_s: float
    duration_s: float
    peak_dbfs: Float64Array
    rms_dbfs: Float64Array
    mean_gain_db: Float64Array
    max_gain_db: Float64Array
    static_curve: Float64Array
    is_planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnalysis:
    """What `analyze_file` found, and what `restore` would do about it.

    Attributes:
        input: the file, `-` for a stream.
        source: what kind of audio it is.
        verdict: `untouched`, `unknown` (silence), or what was done: `limited`, `compressed`, `clipped`.
        squashed: whether anything was done.
        diagnosis: all that was found.
        plan: what restore would do.
        trace: what there is to draw, where it was asked for.
    """

    input: str
    source: AudioInfo
    verdict: tuple[str, ...]
    squashed: bool
    diagnosis: Diagnosis
    plan: Plan
    trace: Trace | None = field(default=None, repr=False, compare=False)


def trace(
    source: AudioSource,
    plan: Plan,
    diagnosis: Diagnosis,
    options: RestoreOptions,
    net: Network | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Trace:
    """Run the stages as restore does, write nothing, and keep what there is to draw.

    Where nothing is to be done the gain is what the network would apply if it were told to, or zero
    without one.

    Args:
        source: the recording.
        plan: what is to be done.
        diagnosis: what was found.
        options: what the user wants.
        net: the network, if there is one.
        progress: called with `("trace", samples done, samples in all)`.
    """
    info = source.info
    shown = plan
    if not plan.stages and net is not None:
        shown = make_plan(diagnosis, replace(options, method="neural"))
    tracer = Tracer(info.sample_rate, info.frames)
    done = 0
    for block in restored_blocks(source, shown, diagnosis, options, net, 0, info.frames, tracer.observe):
        if not shown.stages:
            tracer.observe(block, np.zeros((1, block.shape[1])))
        done += block.shape[1]
        if progress is not None:
            progress("trace", done, info.frames)
    return tracer.result(is_planned=bool(plan.stages))


class Tracer:
    """Accumulate a trace; memory depends on neither the length of the recording nor that of its blocks."""

    def __init__(self, sample_rate: int, frames: int) -> None:
        self._sample_rate = sample_rate
        self._frames = frames
        self._block = max(1, round(BLOCK_S * sample_rate))
        blocks = -(-frames // self._block)
        self._column_blocks = max(1, -(-blocks // COLUMNS))
        columns = -(-blocks // self._column_blocks)
        self._taken = 0  # blocks
        self._lengths = np.zeros(columns)
        self._powers = np.zeros(columns)
        self._peaks = np.zeros(columns)
        self._gains = np.zeros(columns)
        self._max_gains = np.full(columns, -np.inf)
        bins = round((TOP_DB - FLOOR_DB) / STEP_DB)
        self._curve = np.zeros((bins, bins))
        self._rest: tuple[FloatArray, FloatArray] | None = None

    def observe(self, samples: FloatArray, gain_db: FloatArray) -> None:
        """Take in the next samples and the gain that is applied to them.

        Shape:
            samples: `(C, t)`; gain_db: `(C, t)` or `(1, t)`.
        """
        if self._rest is not None:
            samples = np.concatenate((self._rest[0], samples), axis=1)
            gain_db = np.concatenate((self._rest[1], gain_db), axis=1)
        whole = samples.shape[1] // self._block * self._block
        self._take(samples[:, :whole], gain_db[:, :whole], self._block)
        self._rest = samples[:, whole:].copy(), gain_db[:, whole:].copy()

    def result(self, *, is_planned: bool) -> Trace:
        """Return the trace of everything observed, the unfinished block included."""
        if self._rest is not None and self._rest[0].shape[1]:
            self._take(*self._rest, self._rest[0].shape[1])
            self._rest = None
        return Trace(
            column_s=self._column_blocks * self._block / self._sample_rate,
            duration_s=self._frames / self._sample_rate,
            peak_dbfs=_decibels(self._peaks**2),
            rms_dbfs=_decibels(self._powers / self._lengths),
            mean_gain_db=self._gains / self._lengths,
            max_gain_db=self._max_gains,
            static_curve=self._curve,
            is_planned=is_planned,
        )

    def _take(self, samples: FloatArray, gain_db: FloatArray, length: int) -> None:
        """Take in blocks of one length."""
        count = samples.shape[1] // length
        x = samples.reshape(len(samples), count, length).astype(np.float64, copy=False)
        gain = gain_db.reshape(len(gain_db), count, length)
        powers = np.mean(x**2, axis=(0, 2))
        restored = np.mean(x**2 * 10.0 ** (gain / 10.0), axis=(0, 2))
        columns = (self._taken + np.arange(count)) // self._column_blocks
        np.add.at(self._lengths, columns, length)
        np.add.at(self._powers, columns, powers * length)
        np.add.at(self._gains, columns, gain.mean(axis=(0, 2)) * length)
        np.maximum.at(self._peaks, columns, np.abs(x).max(axis=(0, 2)))
        np.maximum.at(self._max_gains, columns, gain.max(axis=(0, 2)))
        self._taken += count
        before, after = _decibels(restored), _decibels(powers)
        heard = after > FLOOR_DB
        np.add.at(self._curve, (self._bins(before[heard]), self._bins(after[heard])), 1.0)

    def _bins(self, levels_dbfs: Float64Array) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        bins = np.floor((levels_dbfs - FLOOR_DB) / STEP_DB).astype(np.intp)
        return np.clip(bins, 0, len(self._curve) - 1)


def _decibels(power: Float64Array) -> Float64Array:
    """Convert mean squares to dB, silence to the floor."""
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0))))


def median_curve(static_curve: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the median level after the squash for each level before it at which there is enough to tell.

    Shape:
        static_curve: `(B, B)` as in `Trace`; results: `(M,)` each, in dB.
    """
    totals = static_curve.sum(axis=1)
    told = np.flatnonzero(totals >= max(3.0, 1e-3 * totals.sum()))
    centres = np.linspace(FLOOR_DB, TOP_DB, len(static_curve), endpoint=False) + STEP_DB / 2.0
    half = 0.5 * totals[told, np.newaxis]
    middle = np.argmax(np.cumsum(static_curve[told], axis=1) >= half, axis=1)
    return centres[told], centres[middle]
