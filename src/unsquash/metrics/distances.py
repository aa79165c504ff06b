"""Distances between two arrays: `r` reference, `e` estimate, sums over all samples of all channels."""

from __future__ import annotations

from collections.abc import Iterator

from unsquash.metrics.running import GainMeter, LogMelMeter, Moments, energy, energy_ratio_db
from unsquash.units import FloatArray

SLICE_FRAMES = 65_536


def si_sdr_db(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Return the scale-invariant signal-to-distortion ratio in dB.

    `a = Σre / Σr²` is the best gain; the ratio is `Σ(ar)² / Σ(e - ar)²`. The mean is not removed.
    None if either is silent, or if nothing is left of one sum: the estimate is exactly a constant times
    the reference, or unrelated to it.

    Shape:
        reference, estimate: the same, any.

    Source:
        Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.
    """
    gain = Moments.of(reference, estimate).best_gain()
    if gain is None:
        return None
    target = gain * reference
    return energy_ratio_db(energy(target), energy(estimate - target))


def sdr_db(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Return `Σr² / Σ(e - r)²` in dB; None if either sum is zero.

    Shape:
        reference, estimate: the same, any.
    """
    return energy_ratio_db(energy(reference), energy(estimate - reference))


def mse(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Return the mean squared difference after dividing each by its RMS: 0 is equal, 2 unrelated.

    None if either is silent.

    Shape:
        reference, estimate: the same, any.

    Source:
        Sun, Fourer & Maaref, arXiv:2411.04337.
    """
    scales = Moments.of(reference, estimate).scales()
    if scales is None:
        return None
    return energy(reference * scales[0] - estimate * scales[1]) / reference.size


def log_mel_distance(reference: FloatArray, estimate: FloatArray, sample_rate: int) -> float | None:
    """Return the RMS difference of log mel magnitudes, each recording divided by its RMS first.

    Hann window of about 46 ms (the nearest power of two), hop of a quarter of it, magnitudes summed into
    80 triangular bands equally spaced on the mel scale `2595 log10(1 + f/700)` from 0 to half the sample
    rate, natural logarithm, floor 1e-5 relative to the RMS of the window. The square root of the mean
    over bands, frames and channels makes it the ℓ2 norm per element. None if either is silent or both
    are shorter than a window.

    Shape:
        reference, estimate: `(C, T)`.

    Source:
        Sun, Fourer & Maaref, arXiv:2411.04337.
    """
    scales = Moments.of(reference, estimate).scales()
    if scales is None:
        return None
    meter = LogMelMeter(sample_rate)
    for r, e in _slices(reference, estimate):
        meter.push(r * scales[0], e * scales[1])
    return meter.result()


def gain_error_db(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Return how far the gain from `reference` to `estimate` is from constant, in dB.

    The gain is the ratio of the energies of 256-sample windows every 64 samples, per channel, in dB. The
    result is its standard deviation, weighted by the reference's energy: a constant gain gives 0.
    None if either is silent or both are shorter than a window.

    Shape:
        reference, estimate: `(C, T)`.
    """
    scales = Moments.of(reference, estimate).scales()
    if scales is None:
        return None
    meter = GainMeter()
    for r, e in _slices(reference, estimate):
        meter.push(r * scales[0], e * scales[1])
    return meter.result()


def _slices(*arrays: FloatArray) -> Iterator[tuple[FloatArray, ...]]:
    for start in range(0, arrays[0].shape[1], SLICE_FRAMES):
        yield tuple(array[:, start : start + SLICE_FRAMES] for array in arrays)
