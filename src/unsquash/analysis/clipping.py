"""Flat tops: where a recording was clipped, at whatever level it is now.

A plateau is a run of samples that differ by no more than 16-bit rounding with dither, is a local extreme,
and is met at an angle: the sample before or after it is far below. A pure tone's rounded top is flat too,
but its neighbours are close, so it is not counted. Plateaus of one channel and polarity are collected in a
histogram over level; a ceiling is a level that holds most of them, near the peak. A recording that merely
touches its maximum, once or often, has no plateaus and therefore no ceiling; nor has one that is made of
rectangles, as of a games console. What peaks near -50 dBFS is too coarse for all that: its tops are about as
high as the tolerance is wide, and many look flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array, FloatArray, linear_to_db

TOLERANCE = 2.5 / 32768.0  # two 16-bit steps (rounding and TPDF dither) and a margin
CORNER = 8.0 * TOLERANCE  # a rounded top's neighbours are within four tolerances
PLATEAU_SAMPLES = 3
BINS_PER_UNIT = 8192
BINS = 2 * BINS_PER_UNIT  # levels up to +6 dBFS; anything above shares the last bin
NEIGHBOUR_BINS = 1  # rounding and dither spread a ceiling over adjacent bins

CEILING_SAMPLES = 9  # at least so many samples in plateaus make a ceiling
CEILING_SHARE = 0.5  # of the plateau samples at this level or not far below
RECTANGLES_SHARE = 0.5  # of its plateaus, if more are met and left by a jump, nothing was cut off
LOWEST_CEILING = 10.0 * CORNER  # -44 dBFS; of 177 unclipped recordings, turned down, 8 seemed clipped below
CEILING_BELOW_PEAK = 0.5  # a ceiling is at most 6 dB below the peak, and competes with levels 6 dB below it

# Rows of a histogram.
SAMPLES, PLATEAUS_SAMPLES, PLATEAUS, LONGEST, RECTANGLES = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """What clipping was found.

    Attributes:
        ceiling_dbfs: the highest level at which tops are flat; None if there is no clipping.
        fraction: of all samples, those at a ceiling (0 to 1).
        longest_run_samples: the longest stay at a ceiling.
        events: how many stays at a ceiling are at least three samples long.
        ceilings: of each channel; empty if there is no clipping.
    """

    ceiling_dbfs: float | None
    fraction: float
    longest_run_samples: int
    events: int
    ceilings: tuple[Ceiling, ...] = ()


@compiled
def _collect(x: Float64Array, state: Float64Array, histogram: npt.NDArray[np.int64]) -> None:
    """Enter the runs that end within `x` into `histogram`; `state` carries the open run.

    Shape:
        x: `(t,)`; state: sample before the run, first sample of the run, its length, its extreme, and the
        last sample; histogram: `(2, 5, BINS)` for positive and negative tops.
    """
    before, anchor, length, extreme, last = state
    for n in range(x.shape[0]):
        a = x[n]
        if abs(a - anchor) <= TOLERANCE:
            length += 1.0
            if abs(a) > abs(extreme):
                extreme = a
            continue
        sign = 1.0 if anchor > 0.0 else -1.0
        rise = sign * (anchor - before)
        fall = sign * (anchor - a)
        if rise > 0.0 and fall > 0.0:
            level = int(min(abs(extreme) * BINS_PER_UNIT + 0.5, BINS - 1.0))
            entry = histogram[0 if anchor > 0.0 else 1]
            entry[SAMPLES, level] += int(length)
            entry[LONGEST, level] = max(entry[LONGEST, level], int(length))
            if length >= PLATEAU_SAMPLES and max(rise, fall) > CORNER:
                entry[PLATEAUS_SAMPLES, level] += int(length)
                entry[PLATEAUS, level] += 1
                if min(rise, fall) > abs(extreme):  # the music around it has no such slopes
                    entry[RECTANGLES, level] += 1
        before = x[n - 1] if n > 0 else last
        anchor = a
        extreme = a
        length = 1.0
    if x.shape[0]:
        state[0], state[1], state[2], state[3], state[4] = before, anchor, length, extreme, x[-1]


class ClippingMeter:
    """Look for flat tops in a stream; a histogram of 1 MB per channel, whatever the length."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._frames = 0
        self._states = np.full((channels, 5), np.nan)  # what precedes the first run is unknown
        self._histograms = np.zeros((channels, 2, 5, BINS), dtype=np.int64)

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        x = np.ascontiguousarray(block, dtype=np.float64)
        self._frames += x.shape[1]
        for channel, histogram in enumerate(self._histograms):
            _collect(x[channel], self._states[channel], histogram)

    def result(self) -> Clipping:
        """Return what was found in everything pushed so far; a run cut off by an end does not count."""
        tops = [(_ceiling(positive), _ceiling(negative)) for positive, negative in self._histograms]
        found = [top for pair in tops for top in pair if top is not None]
        if not found:
            return Clipping(ceiling_dbfs=None, fraction=0.0, longest_run_samples=0, events=0)
        return Clipping(
            ceiling_dbfs=linear_to_db(max(level for level, *_ in found)),
            fraction=sum(samples for _, samples, _, _ in found) / (self._frames * len(self._states)),
            longest_run_samples=max(longest for _, _, longest, _ in found),
            events=sum(events for *_, events in found),
            ceilings=tuple(
                Ceiling(positive=positive and positive[0], negative=negative and negative[0])
                for positive, negative in tops
            ),
        )


def _ceiling(histogram: npt.NDArray[np.int64]) -> tuple[float, int, int, int] | None:
    """Return level, samples, longest run and plateaus at the ceiling of one channel and polarity, if any."""
    flat = histogram[PLATEAUS_SAMPLES]
    occupied = np.flatnonzero(histogram[SAMPLES])
    if not occupied.size:
        return None
    lowest = int(occupied[-1] * CEILING_BELOW_PEAK)
    level = lowest + int(np.argmax(flat[lowest:]))
    near = slice(max(0, level - NEIGHBOUR_BINS), level + NEIGHBOUR_BINS + 1)
    flat_samples = int(flat[near].sum())
    rivals = int(flat[int(level * CEILING_BELOW_PEAK) :].sum())
    plateaus, rectangles = (int(histogram[row, near].sum()) for row in (PLATEAUS, RECTANGLES))
    if flat_samples < max(CEILING_SAMPLES, CEILING_SHARE * rivals) or level < LOWEST_CEILING * BINS_PER_UNIT:
        return None
    if rectangles > RECTANGLES_SHARE * plateaus:
        return None
    return (
        level / BINS_PER_UNIT,
        int(histogram[SAMPLES, near].sum()),
        int(histogram[LONGEST, near].max()),
        plateaus,
    )
