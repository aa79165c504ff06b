"""Simulated processors with random settings: `(2, T)` in, `(2, T)` out, sample-aligned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.signal

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.training import degrade_kernels as kernels
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.units import Float64Array

Curve = Callable[[Float64Array], Float64Array]
"""From one rectified channel, `(T,)`, to its gain."""


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw between `low` and `high`, each octave equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def limiter(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Limit with look-ahead: sliding minimum, release, then a smoothing as long as the look-ahead."""
    ceiling = _ceiling(signal, rng)
    width = max(2, int(log_uniform(rng, 0.5, 10.0) * SAMPLE_RATE / 1000))
    hold = int(rng.choice([0.0, 0.0, log_uniform(rng, 0.5, 30.0)]) * SAMPLE_RATE / 1000)
    fast = _coefficient(log_uniform(rng, 5.0, 500.0))
    slow = _coefficient(log_uniform(rng, 150.0, 1500.0))
    slow_share = float(rng.choice([0.0, 0.0, 0.5, 1.0]))
    programme = float(rng.choice([0.0, 0.0, rng.uniform(0.2, 1.0)]))
    smoothing = str(rng.choice(["box", "two boxes", "hann", "exponential"]))

    def curve(rectified: Float64Array) -> Float64Array:
        needed = np.minimum(1.0, ceiling / (rectified + 1e-12))
        lowest = kernels.sliding_minimum(needed, width)
        released = kernels.limiter_release(lowest, hold, fast, slow, slow_share, programme)
        return _smoothed(released, width, smoothing)

    return signal * _linked(np.abs(signal), curve, rng)


def compressor(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Compress the programme: threshold around the RMS, moderate ratio, slow to fast ballistics."""
    rms_db = 20.0 * np.log10(np.sqrt(np.square(signal).mean()) + 1e-9)
    threshold_db = rms_db + rng.uniform(-18.0, 9.0)
    ratio = log_uniform(rng, 1.3, 20.0) if rng.random() < 0.4 else log_uniform(rng, 1.5, 6.0)
    knee_db = float(rng.choice([0.0, rng.uniform(1.0, 14.0)]))
    attack, release = _coefficient(log_uniform(rng, 0.5, 80.0)), _coefficient(log_uniform(rng, 20.0, 800.0))
    detector = _coefficient(log_uniform(rng, 3.0, 60.0)) if rng.random() < 0.6 else 1.0
    feedback = rng.random() < 0.2
    slope = min(ratio - 1.0, 6.0) if feedback else 1.0 - 1.0 / ratio
    adaptive = float(rng.choice([0.0, 0.0, rng.random()]))

    def curve(rectified: Float64Array) -> Float64Array:
        level = kernels.smooth_power(rectified, detector) if detector < 1.0 else rectified
        return kernels.compressor_gain(
            level, threshold_db, slope, knee_db, attack, release, feedback, adaptive
        )

    return signal * _linked(np.abs(signal), curve, rng)


def peak_compressor(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Limit without look-ahead: a high ratio and a fast attack, so that transients slip through."""
    threshold_db = 20.0 * np.log10(_ceiling(signal, rng))
    slope = 1.0 - 1.0 / log_uniform(rng, 6.0, 100.0)
    knee_db = float(rng.choice([0.0, rng.uniform(1.0, 6.0)]))
    attack, release = _coefficient(log_uniform(rng, 0.02, 8.0)), _coefficient(log_uniform(rng, 20.0, 400.0))

    def curve(rectified: Float64Array) -> Float64Array:
        return kernels.compressor_gain(rectified, threshold_db, slope, knee_db, attack, release, False, 0.0)

    return signal * _linked(np.abs(signal), curve, rng)


def seven_parameter(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Compress with the seven-parameter model over the published ranges of time constants."""
    rms_db = 20.0 * np.log10(np.sqrt(np.square(signal).mean()) + 1e-9)
    threshold = 10.0 ** ((rms_db + rng.uniform(-24.0, 6.0)) / 20.0)
    slope = 1.0 - 1.0 / rng.uniform(2.0, 15.0)
    order = int(rng.choice([1, 2, 2]))
    times = [(5.0, 130.0), (5.0, 130.0), (1.0, 500.0), (25.0, 2000.0)]
    coefficients = [_coefficient(log_uniform(rng, low, high)) for low, high in times]

    def curve(rectified: Float64Array) -> Float64Array:
        return kernels.seven_parameter_gain(rectified, threshold, slope, order, *coefficients)

    return signal * _linked(np.abs(signal), curve, rng)


def multiband(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Split with complementary crossovers, compress the bands on their own, and add them up."""
    edges = sorted(log_uniform(rng, 80.0, 8000.0) for _ in range(rng.integers(1, 4)))
    rest, output = signal, np.zeros_like(signal)
    for edge in edges:
        filters = scipy.signal.butter(2, edge, fs=SAMPLE_RATE, output="sos")
        low = scipy.signal.sosfilt(filters, rest, axis=-1)
        rest = rest - low
        output += compressor(low, rng)
    return output + compressor(rest, rng)


def hard_clip(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Cut off what is over a ceiling."""
    ceiling = _ceiling(signal, rng)
    return np.clip(signal, -ceiling, ceiling)


def soft_clip(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Clip softly, hard or in between, sometimes oversampled."""
    ceiling = _ceiling(signal, rng)
    hardness = float(rng.choice([0.0, 0.0, rng.random(), 1.0]))
    factor = int(rng.choice([2, 4])) if hardness == 1.0 else int(rng.choice([1, 1, 2]))
    if factor == 1:
        return np.stack([kernels.clip_curve(channel, ceiling, hardness) for channel in signal])
    over = scipy.signal.resample_poly(signal, factor, 1, axis=-1)
    clipped = np.stack([kernels.clip_curve(channel, ceiling, hardness) for channel in over])
    return np.asarray(scipy.signal.resample_poly(clipped, 1, factor, axis=-1)[:, : signal.shape[1]])


def _ceiling(signal: Float64Array, rng: np.random.Generator) -> float:
    """Draw a ceiling up to 14 dB under the peak, or 3 to 14 dB above the RMS if that is under the peak."""
    peak = float(np.abs(signal).max())
    if rng.random() < 0.5:
        rms = float(np.sqrt(np.square(signal).mean()))
        ceiling = rms * 10.0 ** (rng.uniform(3.0, 14.0) / 20.0)
        if ceiling < peak:
            return float(ceiling)
    return float(peak * 10.0 ** (-rng.uniform(0.2, 14.0) / 20.0))


def _linked(rectified: Float64Array, curve: Curve, rng: np.random.Generator) -> Float64Array:
    """Compute the gain of both channels linked (by maximum or mean), partly linked, or each alone."""
    way = rng.random()
    if way < 0.65 or np.array_equal(rectified[0], rectified[1]):
        return curve(rectified.max(axis=0))[None]
    if way < 0.8:
        return curve(np.sqrt(np.square(rectified).mean(axis=0)))[None]
    separate = np.stack([curve(channel) for channel in rectified])
    if way < 0.92:
        return separate
    share = rng.uniform(0.2, 0.8)
    return np.asarray(separate ** (1 - share) * separate.min(axis=0) ** share)


def _smoothed(gain: Float64Array, width: int, smoothing: str) -> Float64Array:
    if smoothing == "exponential":
        return kernels.attack_release(gain, 1.0 - np.exp(-3.0 / width), 1.0)
    if smoothing == "hann":
        window = np.hanning(width + 2)[1:-1]
        padded = np.concatenate([np.ones(width - 1), gain])
        return np.asarray(scipy.signal.oaconvolve(padded, window / window.sum(), mode="valid"))
    if smoothing == "two boxes":
        half = max(1, width // 2)
        return kernels.moving_average(kernels.moving_average(gain, half), max(1, width - half))
    return kernels.moving_average(gain, width)


def _coefficient(time_ms: float) -> float:
    return smoothing_coefficient(time_ms, SAMPLE_RATE, "1/e")
