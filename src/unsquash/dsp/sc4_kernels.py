"""SC4, forward and inverse: the compiled recursions of the LADSPA plug-in 1882.

Per sample, of level `x = max |channel|`, with a and r the factors kept at attack and release; of one channel
x is the sample with its sign, as the plug-in for that, 1916, has it:

```
e[n] = k e[n−1] + (1 − k) A       RMS follower; k = a where A > e[n−1], else r
q[n] = k q[n−1] + (1 − k) x[n]    peak follower likewise
g[n] = a/4 g[n−1] + (1 − a/4) G   g[−1] = 0; y = makeup · g · x
```

At every fourth sample, before its gain: A becomes the RMS of the last 256 samples, and G the static curve at
`e + share·(q − e)`. So three gains of four, and with share 0 all, depend on earlier samples only and are
known before the sample is: the inverse is a division. What remains is the fourth sample when the peak
follower counts. Its gain falls with it at most as steeply as 1/R − 1 (in logarithms; a negative sample of one
channel raises it), so that `h · g(h·y) = 1` has one solution, as in `unsquash.dsp.kernels`: up to the
coarseness of the tables, whose steps exceed that slope where a low level, a high ratio and an instant attack
meet.

All of it is in single precision and decibels come from coarse tables, here as there: with exact ones the
gain would be off by hundredths of a decibel, and the ring's sum drifts by its roundings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unsquash.dsp.jit import compiled
from unsquash.dsp.programs import SC4_RING, Float32Array, sc4_tables
from unsquash.units import Float64Array

if TYPE_CHECKING:
    from unsquash.dsp.compressor import CompressorParams

Single = np.float32
# Behind the ring of mean squares, the memory holds:
PLACE, RING_SUM, BLOCK_SUM, PHASE, RMS, RMS_FOLLOWER, PEAK_FOLLOWER, GAIN, TARGET = range(
    SC4_RING, SC4_RING + 9
)

ONE, ZERO = Single(1.0), Single(0.0)
QUARTER, HALF = Single(0.25), Single(0.5)
QUIETEST_SUM = 1e-6  # below, the ring's sum counts as zero
SILENT_DB, STEPS_PER_DB = Single(60.0), Single(1024.0 / 84.0)
FAINTEST, STEPS_PER_UNIT = Single(2e-10), Single(1024.0 / 9.0)
LOWEST_DB = Single(23.0)

CLOSE = 4e-8  # |ln P| of a solution: within the rounding of a level to single precision
TRIES = 100
LOUDEST = 1e6  # a restored sample above +120 dBFS is no recording
SOLVED, ABSURD = 0, 2  # as in `kernels`


class Coefficients(NamedTuple):
    """SC4's settings as its recursions use them."""

    attack: Any  # kept of a follower per sample; these and what follows are np.float32
    release: Any
    share: Any
    slope: Any  # 1 − 1/R
    threshold: Any  # dB
    knee: Any  # dB
    knee_start: Any  # amplitude
    knee_stop: Any
    amplitudes: Float32Array
    decibels: Float32Array


def coefficients(params: CompressorParams, sample_rate: float) -> Coefficients:
    """Translate parameters into what the kernels compute with."""
    amplitudes, decibels = (table.astype(Single) for table in sc4_tables())
    threshold, knee, ratio = Single(params.threshold_db), Single(params.knee_db), Single(params.ratio)
    attack = _kept(params.detector_attack_ms, sample_rate)
    return Coefficients(
        attack=attack if params.detector_attack_ms >= 2.0 else ZERO,
        release=_kept(params.detector_release_ms, sample_rate),
        share=Single(params.peak_share),
        slope=(ratio - ONE) / ratio,
        threshold=threshold,
        knee=knee,
        knee_start=to_amplitude(threshold - knee, amplitudes),
        knee_stop=to_amplitude(threshold + knee, amplitudes),
        amplitudes=amplitudes,
        decibels=decibels,
    )


def _kept(time_ms: float, sample_rate: float) -> Any:
    """Return what a follower keeps per sample; times are rounded to steps of about 4 ms."""
    step = int(np.rint(Single(time_ms) * (Single(0.001) * Single(255.0))))
    return Single(math.exp(-256.0 / (sample_rate * step))) if step else ONE


@compiled
def to_amplitude(level_db: Any, amplitudes: Float32Array) -> Any:
    """Convert decibels to an amplitude by the table."""
    scale = (level_db + SILENT_DB) * STEPS_PER_DB
    step = math.floor(scale)
    if step < 1:
        return ZERO
    if step > 1021:
        return amplitudes[1022]
    part = Single(scale - Single(step))
    return (ONE - part) * amplitudes[step] + part * amplitudes[step + 1]


@compiled
def to_decibels(amplitude: Any, decibels: Float32Array) -> Any:
    """Convert an amplitude to decibels by the table."""
    scale = (amplitude - FAINTEST) * STEPS_PER_UNIT
    step = math.floor(scale)
    if step < 2:
        return decibels[2] * scale * HALF - LOWEST_DB * (ONE + ONE - scale)
    if step > 1022:
        return decibels[1023]
    part = Single(scale - Single(step))
    return (ONE - part) * decibels[step] + part * decibels[step + 1]


@compiled
def followed(before: Any, level: Any, k: Coefficients) -> Any:
    """Return a follower after one sample."""
    kept = k.attack if level > before else k.release
    return before * kept + level * (ONE - kept)


@compiled
def static_gain(envelope: Any, k: Coefficients) -> tuple[Any, float]:
    """Return the static curve at an envelope, and about `−d ln gain / d ln envelope`."""
    if envelope <= k.knee_start:
        return ONE, 0.0
    if envelope < k.knee_stop:
        inside = (to_decibels(envelope, k.decibels) - (k.threshold - k.knee)) / k.knee
        bend = -k.knee * k.slope * inside * inside * QUARTER
        return to_amplitude(bend, k.amplitudes), 0.5 * k.slope * inside
    reduction = (k.threshold - to_decibels(envelope, k.decibels)) * k.slope
    return to_amplitude(reduction, k.amplitudes), float(k.slope)


@compiled
def closing_gain(level: Any, memory: Float32Array, k: Coefficients) -> tuple[Any, Any, float]:
    """Return G and g if the fourth sample of a block is of that level, and `−d ln g / d ln level`."""
    rms = followed(memory[RMS_FOLLOWER], memory[RMS], k)
    peak = followed(memory[PEAK_FOLLOWER], level, k)
    envelope = rms + k.share * (peak - rms)
    target, slope = static_gain(envelope, k)
    gain = smoothed(memory[GAIN], target, k)
    kept = k.attack if level > memory[PEAK_FOLLOWER] else k.release
    weight = k.share * (ONE - kept) * level / envelope if envelope > ZERO else ZERO
    share = (ONE - k.attack * QUARTER) * target / gain if gain > ZERO else ZERO
    return target, gain, float(slope * weight * share)


@compiled
def smoothed(gain: Any, target: Any, k: Coefficients) -> Any:
    """Return the gain after one sample."""
    kept = k.attack * QUARTER
    return gain * kept + target * (ONE - kept)


@compiled
def advance(level: Any, memory: Float32Array, k: Coefficients) -> Any:
    """Take one sample of that level into the memory; return its gain."""
    square = memory[BLOCK_SUM] + level * level
    closing = memory[PHASE] == Single(3.0)
    if closing:
        memory[TARGET], memory[GAIN], _ = closing_gain(level, memory, k)
    else:
        memory[GAIN] = smoothed(memory[GAIN], memory[TARGET], k)
    memory[RMS_FOLLOWER] = followed(memory[RMS_FOLLOWER], memory[RMS], k)
    memory[PEAK_FOLLOWER] = followed(memory[PEAK_FOLLOWER], level, k)
    memory[BLOCK_SUM] = square
    memory[PHASE] += ONE
    if closing:
        mean = square * QUARTER
        place = int(memory[PLACE])
        total = memory[RING_SUM] - memory[place] + mean
        if total < QUIETEST_SUM:
            total = ZERO
        memory[place] = mean
        memory[PLACE] = Single((place + 1) % SC4_RING)
        memory[RING_SUM] = total
        memory[RMS] = Single(math.sqrt(total / Single(SC4_RING)))
        memory[BLOCK_SUM] = memory[PHASE] = ZERO
    return memory[GAIN]


@compiled
def forward(level: Float64Array, gain: Float64Array, memory: Float32Array, k: Coefficients) -> None:
    """Fill `gain` with g for every sample; the memory is updated in place.

    Shape:
        level, gain: `(K, T)`; memory: `(K, M)`.
    """
    for row in range(level.shape[0]):
        for n in range(level.shape[1]):
            gain[row, n] = advance(Single(level[row, n]), memory[row], k)


@compiled
def solve(y: float, memory: Float32Array, k: Coefficients) -> Any:
    """Return the level that the fourth sample of a block had, if y is left of it."""
    low, high = 0.0, math.inf
    h = 1.0 / max(memory[GAIN], memory[TARGET], Single(1e-3))
    for _ in range(TRIES):
        _, gain, steepness = closing_gain(Single(y * h), memory, k)
        residual = math.log(h * gain)
        if residual > 0.0:
            high = h
        else:
            low = h
        if abs(residual) <= CLOSE or high <= low * (1.0 + CLOSE):
            break
        h *= math.exp(-residual / (1.0 - steepness))
        if not low < h < high:
            h = math.sqrt(max(low, 1e-3) * min(high, 1e6))
    return Single(y * h)


@compiled
def invert(level: Float64Array, gain: Float64Array, memory: Float32Array, k: Coefficients) -> tuple[int, int]:
    """Fill `gain` with the g that made `level`; the memory is updated in place.

    The plug-in opens at its fourth sample. What it silenced before is left as it is, and taken to have had
    the level of the fourth: in cuts from music that is nearer than silence.

    Returns:
        index of the first sample without a solution or −1, and the reason.

    Shape:
        level, gain: `(T,)`; memory: `(M,)`.
    """
    for n in range(level.shape[0]):
        y = level[n]
        closing = memory[PHASE] == Single(3.0)
        if closing and k.share > ZERO and y != 0.0:
            x = solve(y, memory, k)
        else:
            if closing:
                _, g, _ = closing_gain(ZERO, memory, k)
            else:
                g = smoothed(memory[GAIN], memory[TARGET], k)
            x = Single(y / g) if g > ZERO else Single(y)
        if not abs(x) < LOUDEST:
            return n, ABSURD
        if closing and memory[GAIN] == ZERO:
            memory[BLOCK_SUM] = (ONE + ONE + ONE) * x * x
        g = advance(x, memory, k)
        gain[n] = g if g > ZERO else 1.0
    return -1, SOLVED
