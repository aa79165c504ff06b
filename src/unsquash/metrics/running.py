"""Running sums behind the distances: both recordings go through in step, a block at a time."""

from __future__ import annotations

import math

import numpy as np

from unsquash.errors import OptionError
from unsquash.units import Float64Array, FloatArray

MEL_BANDS = 80
MEL_WINDOW_S = 0.0464  # 2048 samples at 44.1 kHz; rounded to a power of two
MEL_HOPS_PER_WINDOW = 4
MEL_FLOOR = 1e-5  # -100 dB below a recording's RMS

ENVELOPE_HOP_SAMPLES = 64
ENVELOPE_WINDOW_SAMPLES = 256
ENVELOPE_FLOOR = 1e-10  # of the mean energy, added so that silence has a level


class Moments:
    """Sums over both recordings: what the best gain and the RMS values need."""

    def __init__(self) -> None:
        self.identical = True
        self.count = 0
        self.reference = self.estimate = self.product = self.difference = 0.0

    @classmethod
    def of(cls, reference: FloatArray, estimate: FloatArray) -> Moments:
        """Return the sums over two whole arrays."""
        moments = cls()
        moments.push(reference, estimate)
        return moments

    def push(self, r: FloatArray, e: FloatArray) -> None:
        """Add the next block of both."""
        if r.shape != e.shape:
            raise OptionError(
                f"arrays of shapes {r.shape} and {e.shape} cannot be compared",
                hint="give them the same shape",
            )
        self.identical = self.identical and np.array_equal(r, e)
        self.count += r.size
        self.reference += energy(r)
        self.estimate += energy(e)
        self.product += dot(r, e)
        self.difference += energy(e - r)

    def best_gain(self) -> float | None:
        """Return the gain that brings the reference closest to the estimate, or None if one is silent."""
        return None if not self.reference or not self.estimate else self.product / self.reference

    def scales(self) -> tuple[float, float] | None:
        """Return what to multiply each by to give it an RMS of 1, or None if one is silent."""
        if not self.reference or not self.estimate:
            return None
        return math.sqrt(self.count / self.reference), math.sqrt(self.count / self.estimate)


class Windows:
    """Cut a stream into overlapping windows, the same whatever the block lengths."""

    def __init__(self, window: int, hop: int) -> None:
        self.window, self.hop = window, hop
        self._pending: FloatArray | None = None

    def push(self, block: FloatArray) -> FloatArray:
        """Return the windows that end within `block`, `(C, N, window)`."""
        samples = block if self._pending is None else np.concatenate((self._pending, block), axis=1)
        if samples.shape[1] < self.window:
            self._pending = samples
            return np.empty((len(samples), 0, self.window))
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.window, axis=1)[:, :: self.hop]
        self._pending = samples[:, windows.shape[1] * self.hop :].copy()
        return windows


class MelBands:
    """Triangular bands of unit height, equally spaced on the mel scale from 0 to half the sample rate.

    A bin lies between two band centres and belongs to both, so band sums are differences of two
    cumulative sums: no matrix product, hence the same result on any number of cores.
    """

    def __init__(self, sample_rate: int, window: int) -> None:
        top = 2595.0 * math.log10(1.0 + sample_rate / 2.0 / 700.0)
        edges = 700.0 * (10.0 ** (np.linspace(0.0, top, MEL_BANDS + 2) / 2595.0) - 1.0)
        frequencies = np.arange(window // 2 + 1) * (sample_rate / window)
        self._starts = np.searchsorted(frequencies, edges)
        below = np.clip(np.searchsorted(edges, frequencies, side="right") - 1, 0, MEL_BANDS)
        self._rise = (frequencies - edges[below]) / (edges[below + 1] - edges[below])

    def sums(self, spectra: Float64Array) -> Float64Array:
        """Return the weighted sum of every band.

        Shape:
            spectra: `(…, window // 2 + 1)`; result: `(…, MEL_BANDS)`.
        """
        rising = self._between_edges(spectra * self._rise)
        falling = self._between_edges(spectra) - rising
        return rising[..., :-1] + falling[..., 1:]

    def _between_edges(self, values: Float64Array) -> Float64Array:
        running = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
        np.cumsum(values, axis=-1, out=running[..., 1:])
        return np.diff(running[..., self._starts], axis=-1)


class LogMelMeter:
    """Mean squared difference of log mel magnitudes of two streams with an RMS of 1."""

    def __init__(self, sample_rate: int) -> None:
        window = 2 ** max(1, round(math.log2(MEL_WINDOW_S * sample_rate)))
        self._windows = Windows(window, max(1, window // MEL_HOPS_PER_WINDOW))
        taper = np.hanning(window + 1)[:-1]
        self._taper = taper / np.sqrt((taper**2).sum())
        self._bands = MelBands(sample_rate, window)
        self._sum = 0.0
        self._count = 0

    def push(self, r: FloatArray, e: FloatArray) -> None:
        """Add the next block of both, `(C, t)`."""
        spectra = np.abs(np.fft.rfft(self._windows.push(np.concatenate((r, e))) * self._taper))
        logs = np.log(np.maximum(self._bands.sums(spectra), MEL_FLOOR))
        self._sum += energy(logs[: len(r)] - logs[len(r) :])
        self._count += logs.size // 2

    def result(self) -> float | None:
        """Return the root of the mean, or None before the first whole window."""
        return math.sqrt(self._sum / self._count) if self._count else None


class GainMeter:
    """Energy-weighted spread of the gain between two streams with an RMS of 1."""

    def __init__(self) -> None:
        self._windows = Windows(ENVELOPE_WINDOW_SAMPLES, ENVELOPE_HOP_SAMPLES)
        self._weight = self._first = self._second = 0.0

    def push(self, r: FloatArray, e: FloatArray) -> None:
        """Add the next block of both, `(C, t)`."""
        windows = self._windows.push(np.concatenate((r, e)))
        energies = np.einsum("cnw,cnw->cn", windows, windows) / ENVELOPE_WINDOW_SAMPLES
        weight = energies[: len(r)]
        ratio = (energies[len(r) :] + ENVELOPE_FLOOR) / (weight + ENVELOPE_FLOOR)
        gain_db = 10.0 * np.log10(ratio)
        self._weight += float(weight.sum())
        self._first += dot(weight, gain_db)
        self._second += dot(weight, gain_db**2)

    def result(self) -> float | None:
        """Return the weighted standard deviation in dB, or None before the first whole window."""
        if not self._weight:
            return None
        mean = self._first / self._weight
        return math.sqrt(max(0.0, self._second / self._weight - mean**2))


def dot(a: FloatArray, b: FloatArray) -> float:
    """Return the sum of products in float64, the same on any number of cores."""
    return float(np.einsum("i,i->", a.ravel(), b.ravel(), dtype=np.float64))


def energy(samples: FloatArray) -> float:
    """Return the sum of squares in float64."""
    return dot(samples, samples)


def energy_ratio_db(numerator: float, denominator: float) -> float | None:
    """Return the ratio in dB, or None if either is zero."""
    return 10.0 * math.log10(numerator / denominator) if numerator > 0.0 and denominator > 0.0 else None
