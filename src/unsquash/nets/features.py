"""What the gain network looks at: log-mel energies, the noise in what is quiet, and fine level tracks.

A *frame* is 256 samples; a *subframe* is 64 samples, four to a frame. Every feature is a symmetric function
of the absolute values or powers of the channels, so that swapped, inverted or doubled channels give
identical features.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from unsquash.units import Float64Array

FRAME_SAMPLES = 256
SUBFRAME_SAMPLES = 64
SUBFRAMES = FRAME_SAMPLES // SUBFRAME_SAMPLES
TRACKS = 7
"""Level tracks per subframe: peak, RMS, RMS of the first difference, touching the ceiling, flat top, and, as
limiters bring one peak after the other to the same level, being at the ceiling, and how near to it."""

WINDOW_SAMPLES = 1024
TILE_FRAMES = 64
LEVEL_TILE_FRAMES = 256
"""Frames transformed or measured at once, so that what is worked on stays in the processor's cache."""

_FLOOR = 1e-8
_NOISE_FLOOR, _NOISE_CEILING = 1e-14, 10**-7.5
_TOUCH = 0.98
_AT_CEILING = 0.9985
_NEAR_DB = 1.0


def mel_filterbank(bands: int, sample_rate: float) -> Float64Array:
    """Build triangular mel filters from 30 Hz to 20 kHz, each summing to one.

    Shape:
        result: `(bands, WINDOW_SAMPLES // 2 + 1)`.
    """
    frequencies = np.linspace(0.0, sample_rate / 2, WINDOW_SAMPLES // 2 + 1)
    mels = np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 20_000 / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    nearest = np.abs(frequencies - centre).argmin(axis=1)
    filters[np.arange(bands), nearest] = np.maximum(filters[np.arange(bands), nearest], 0.5)
    return np.asarray(filters / filters.sum(axis=1, keepdims=True), dtype=np.float64)


def noise_filterbank(bands: int) -> Float64Array:
    """Build equally wide bands from 0 Hz to half the sample rate, each summing to one.

    Shape:
        result: `(bands, WINDOW_SAMPLES // 2 + 1)`.
    """
    filters = np.zeros((bands, WINDOW_SAMPLES // 2 + 1))
    for filter_, bins in zip(
        filters, np.array_split(np.arange(filters.shape[1]), max(bands, 1)), strict=False
    ):
        filter_[bins] = 1.0 / len(bins)
    return filters


class Features(torch.nn.Module):
    """Turn audio, divided by its file's peak, into feature frames.

    Args:
        mel_bands: how many mel bands, from 30 Hz to 20 kHz.
        sample_rate: of the audio, in Hz.
        noise_bands: how many equally wide bands, which hear what is far below the music: hiss and rounding
            noise were even, and whatever moved them moved the music, too.
    """

    filterbank: torch.Tensor
    window: torch.Tensor

    def __init__(self, mel_bands: int, sample_rate: float, noise_bands: int = 0) -> None:
        super().__init__()
        self._mel_bands = mel_bands
        rows = [mel_filterbank(mel_bands, sample_rate), noise_filterbank(noise_bands)]
        filters = torch.tensor(np.concatenate(rows), dtype=torch.float32)
        window = torch.hann_window(WINDOW_SAMPLES)
        self.register_buffer("filterbank", filters.repeat_interleave(2, dim=1), persistent=False)
        self.register_buffer("window", window * (2.0 / window.sum()), persistent=False)
        self.count = mel_bands + noise_bands + TRACKS * SUBFRAMES

    @torch.no_grad()
    def forward(self, samples: torch.Tensor, peaks: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the features of whole frames; samples after the last whole frame are ignored.

        Args:
            samples: the file's peak at ±1.
            peaks: the largest of each subframe as it was before the file was resampled, which blurs what is
                at the ceiling.

        Shape:
            samples: `(B, C, T)`; peaks: `(B, SUBFRAMES · n)`; result: `(B, count, n)`, n being `T //
            FRAME_SAMPLES`.
        """
        frames = samples.shape[-1] // FRAME_SAMPLES
        samples = samples[..., : frames * FRAME_SAMPLES]
        return torch.cat([self._log_bands(samples), self._level_tracks(samples, peaks)], dim=1)

    def _log_bands(self, samples: torch.Tensor) -> torch.Tensor:
        batch, channels, length = samples.shape
        margin = (WINDOW_SAMPLES - FRAME_SAMPLES) // 2
        padded = functional.pad(samples.reshape(batch * channels, length), (margin, margin))
        windows = padded.unfold(-1, WINDOW_SAMPLES, FRAME_SAMPLES)
        pieces = [self._band_power(piece, batch) for piece in torch.split(windows, TILE_FRAMES, dim=1)]
        power = torch.cat(pieces, dim=1)
        mel = power[..., : self._mel_bands] + _FLOOR
        noise = (power[..., self._mel_bands :] + _NOISE_FLOOR).clamp_max(_NOISE_CEILING)
        return torch.log10(torch.cat([mel, noise], dim=2)).transpose(1, 2)

    def _band_power(self, windows: torch.Tensor, batch: int) -> torch.Tensor:
        """Filter a few frames; shape `(B·C, n, WINDOW_SAMPLES)` to `(B, n, bands)`."""
        spectrum = torch.view_as_real(torch.fft.rfft(windows * self.window)).flatten(-2)
        power = spectrum.square_() @ self.filterbank.T  # squares of real and imaginary parts take turns
        return power.reshape(batch, -1, *power.shape[1:]).mean(1)

    def _level_tracks(self, samples: torch.Tensor, peaks: torch.Tensor | None) -> torch.Tensor:
        batch, _, length = samples.shape
        padded = functional.pad(samples, (1, 0))
        step = LEVEL_TILE_FRAMES * FRAME_SAMPLES
        tiles = [_levels(padded[..., start : start + step + 1]) for start in range(0, length, step)]
        highest, power, bright, touching, flat = torch.cat(tiles, dim=2).unbind(1)
        peak = highest if peaks is None else peaks
        tracks = torch.stack(
            [
                torch.log10(peak + _FLOOR**0.5),
                0.5 * torch.log10(power + _FLOOR),
                0.5 * torch.log10(bright + _FLOOR),
                4 * touching,
                4 * flat,
                4 * (peak > _AT_CEILING).float(),
                4 * (1 + 20 / _NEAR_DB * torch.log10(peak + _FLOOR)).clamp(0, 1),
            ],
            dim=1,
        )
        tracks = tracks.reshape(batch, TRACKS, length // FRAME_SAMPLES, SUBFRAMES)
        return tracks.transpose(2, 3).flatten(1, 2)


def _levels(samples: torch.Tensor) -> torch.Tensor:
    """Measure each subframe: peak, power, power of the difference, the shares at full scale and at its peak.

    Shape:
        samples: `(B, C, 1 + t)`, the first being the one before; result: `(B, 5, t // SUBFRAME_SAMPLES)`.
    """
    powers = samples[..., 1:].square()
    loudest = _subframes(powers.amax(1))
    highest = loudest.amax(-1)
    bright = _subframes(torch.diff(samples).square_()).mean(-1).mean(1)
    touching = (loudest > _TOUCH**2).float().mean(-1)
    flat = (loudest > (_TOUCH**2 * highest[..., None]).clamp_min(_FLOOR)).float().mean(-1)
    power = _subframes(powers).mean(-1).mean(1)
    return torch.stack([highest.sqrt(), power, bright, touching, flat], dim=1)


def _subframes(signal: torch.Tensor) -> torch.Tensor:
    return signal.reshape(*signal.shape[:-1], -1, SUBFRAME_SAMPLES)
