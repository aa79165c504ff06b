"""Up to which frequency a recording holds anything: the shelf of a lossy codec or of a low source rate."""

from __future__ import annotations

import numpy as np

from unsquash.units import FloatArray

FRAME_SAMPLES = 4096
SMOOTHING_BINS = 5
# Silence is what lies below twice the amplitude of 16-bit rounding noise with TPDF dither, …
FLOOR_POWER = 4.0 * (2.0**-15) ** 2 / 4.0
# … or this far below the strongest part of the spectrum, which is what resamplers and low-passes leave.
FLOOR_BELOW_PEAK_DB = 95.0


class BandwidthMeter:
    """Average the power spectrum of a stream and find where it ends."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sample_rate = sample_rate
        self._window = np.hanning(FRAME_SAMPLES + 1)[:-1]
        self._power: FloatArray = np.zeros(FRAME_SAMPLES // 2 + 1)
        self._frames = 0
        self._pending: FloatArray = np.zeros((channels, 0))

    def push(self, block: FloatArray) -> None:
        """Measure the next samples.

        Shape:
            block: `(C, t)`, any t.
        """
        samples = np.concatenate((self._pending, block), axis=1)
        count = samples.shape[1] // FRAME_SAMPLES
        if count:
            frames = samples[:, : count * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
            self._power += self._spectrum(frames) * count
        self._frames += count
        self._pending = samples[:, count * FRAME_SAMPLES :].copy()

    def _spectrum(self, frames: FloatArray) -> FloatArray:
        """Return the power per bin, averaged over frames and channels."""
        parts = np.fft.rfft(frames * self._window, axis=1).view(np.float64)
        powers = np.einsum("fb,fb->b", parts, parts)  # real and imaginary parts take turns
        return np.asarray(powers.reshape(-1, 2).sum(axis=1) / len(frames))

    def result(self) -> float | None:
        """Return the frequency in Hz above which there is (near) silence, or None if all is silent.

        The power density is averaged over time, channels and five bins; a full-band recording gives
        half the sample rate.
        """
        power, frames = self._power, self._frames
        if not frames and self._pending.shape[1]:
            padding = FRAME_SAMPLES - self._pending.shape[1]
            power, frames = self._spectrum(np.pad(self._pending, ((0, 0), (0, padding)))), 1
        if not frames:
            return None
        scale = 2.0 / (frames * self._sample_rate * float((self._window**2).sum()))
        density = np.convolve(power * scale, np.full(SMOOTHING_BINS, 1.0 / SMOOTHING_BINS), mode="same")
        floor = max(
            FLOOR_POWER / (self._sample_rate / 2.0),
            float(density.max()) * 10.0 ** (-FLOOR_BELOW_PEAK_DB / 10.0),
        )
        audible = np.flatnonzero(density > floor)
        return float(audible[-1]) * self._sample_rate / FRAME_SAMPLES if audible.size else None
