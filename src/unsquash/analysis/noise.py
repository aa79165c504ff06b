"""What the noise far below the music knows: it was even before whatever moved the music moved it, too.

A recording's hiss, or the rounding noise of the 16 bits it once had, has the same level from its beginning to
its end. A compressor moves it by its gain. So the right candidate is the one whose gain, taken back, leaves
some band of frequencies even: usually one above the music, by more than any network could tell from the music
itself. Where no band is even for any candidate, hardly anything is said; where one is even already, that
speaks against all of them, but only a little, as that noise may have come later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unsquash.analysis.candidates import CURVE_RATE, FRAME_SAMPLES, MOST_APART
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.curve_kernels import Float32Array
from unsquash.dsp.noise_kernels import evenness
from unsquash.units import Float64Array

WINDOW_SAMPLES = 1024
BIN_SHARE = 70.0 / 9.0 / WINDOW_SAMPLES
"""Of the power of white noise that a bin of the spectrum shows, as it is scaled here."""

POOLED_FRAMES = 4
"""Frames per level: levels of windows that hardly overlap are almost independent."""

LOWEST_HZ, BAND_BINS = 8_000.0, 23
"""Bands of 1 kHz, from here to half the sample rate; music leaves few gaps below."""

SIGMA_DB = 0.9
"""How much the level of even noise in a band varies, from this pooling on; a little more than it must."""

LIMIT = 4.0
"""Levels more than about three σ off are music, not noise."""

TRUST = 0.3
"""Power of the likelihood: what the model calls noise may be something else. Found on training tracks."""

AFTERWARDS = 0.01
"""How probable it is that even noise was added after whatever was done, and so tells nothing."""

DITHERS = (1.0, 3.0)
"""Power of what rounding adds, as a multiple of that of rounding alone: without dither, with triangular."""

LEAST_STATE_ERROR_DB = 1.0
"""Of a gain, where nothing is known of the state in which a compressor begins; else as much as its mean."""

LEAST_EXCESS = 1.1
"""Of noise over what rounding added since, for there to be anything else in it."""

PROOF = 10.0
"""ln of a likelihood ratio, all excerpts together, from which on there is no doubt that a gain was there. Of
untouched recordings of artists held out hardly any comes near it, docs/training.md."""

ALIKE = 1e-3
"""Channels whose magnitudes differ by no more than this share of the peak are alike."""

ALONE, SUPPORTED, CONTRADICTED = 8.0, 2.0, 4.0
"""What a single one of several excerpts may say at most, beside so many times what all others do, what speaks
against it weighing more: something may happen by chance in a few seconds, and that is no proof."""

LEAST_DB = -165.0
"""Under the excerpt's peak; below it there are only errors of arithmetic."""

LEAST_VARIATION_DB, MOST_VARIATION_DB = 0.5, 1.6
"""Between neighbouring levels of what may be noise, as a standard deviation of each."""


class NoiseLevels:
    """The levels of bands of an excerpt that may hold nothing but noise.

    Args:
        samples: of any level but silence.
        rounding_power: variance of the error made when the recording was last rounded; 0 if it was not.

    Shape:
        samples: `(C, T)` at `CURVE_RATE`.
    """

    def __init__(self, samples: Float64Array, rounding_power: float = 0.0) -> None:
        least_db = LEAST_DB + 20.0 * np.log10(np.abs(samples).max())
        distinct = samples[:1] if alike(samples) else samples
        levels_db = np.array([band_levels_db(one) for one in distinct])
        together_db = 10.0 * np.log10(np.mean(10.0 ** (levels_db / 10.0), axis=0))
        noisy = _may_be_noise(together_db)
        if len(samples) > MOST_APART:
            levels_db = together_db[None]
        self._channels = [
            _ChannelNoise(
                one_db[(noisy | _may_be_noise(one_db)) & _is_over(one_db, least_db)], rounding_power
            )
            for one_db in levels_db
        ]

    @property
    def knows(self) -> bool:
        """Whether there is any noise in any channel."""
        return any(channel.knows for channel in self._channels)

    def log_ratios(
        self, candidates: Sequence[CompressorParams], curves_db: Float32Array, known_s: float
    ) -> Float64Array:
        """Return ln p(noise | candidate) / p(noise | nothing done), as a mean of the channels that know.

        More than `MOST_APART` channels are one: they have one gain, and know together what each does.

        Args:
            candidates: compressors.
            curves_db: their gains per frame, right but for the state in which they began.
            known_s: how long before the excerpt that was; infinite where they were at rest where it begins.

        Shape:
            curves_db: `(K, n)`, or `(K, C, n)` where each channel has its own; result: `(K,)`.
        """
        each = curves_db[:, None] if curves_db.ndim == 2 else curves_db
        said = [
            channel.log_ratios(candidates, each[:, min(at, each.shape[1] - 1)], known_s)
            for at, channel in enumerate(self._channels)
            if channel.knows
        ]
        return np.asarray(np.mean(said, axis=0)) if said else np.zeros(len(candidates))


class _ChannelNoise:
    """The same for one channel, from the levels of those bands, `(B, m)`."""

    def __init__(self, levels_db: Float64Array, rounding_power: float) -> None:
        dithers = DITHERS if rounding_power else (0.0,)
        self._levels_db = np.ascontiguousarray(np.tile(levels_db, (len(dithers), 1)), dtype=np.float32)
        power = 10.0 ** (np.median(levels_db, axis=1) / 10.0)
        added = [_share_added(power, dither * rounding_power * BIN_SHARE) for dither in dithers]
        self._added = np.concatenate(added).astype(np.float32)

    @property
    def knows(self) -> bool:
        """Whether there is any noise."""
        return self._levels_db.size > 0

    def log_ratios(
        self, candidates: Sequence[CompressorParams], curves_db: Float32Array, known_s: float
    ) -> Float64Array:
        likely = TRUST * self._evenness(candidates, curves_db, known_s)
        moved = np.logaddexp.reduce(likely.astype(np.float64), axis=1)
        ratios = moved[1:] - moved[0] + np.log1p(-AFTERWARDS)
        return np.asarray(np.logaddexp(ratios, np.log(AFTERWARDS)))

    def _evenness(
        self, candidates: Sequence[CompressorParams], curves_db: Float32Array, known_s: float
    ) -> Float32Array:
        """Return how even the bands become without any gain (first) and by taking back each candidate's."""
        length = min(self._levels_db.shape[1], curves_db.shape[1] // POOLED_FRAMES)
        gains = np.ones((len(candidates) + 1, length), dtype=np.float32)
        gains[1:] = _pooled_power(curves_db)[:, :length]
        gains /= np.median(gains, axis=1, keepdims=True)
        times_s = np.arange(length) * (POOLED_FRAMES * FRAME_SAMPLES / CURVE_RATE)
        settling_s = np.array([*map(_settling_s, candidates)])
        transients = np.zeros_like(gains)
        sizes_db = np.maximum(LEAST_STATE_ERROR_DB, -curves_db.mean(axis=1, dtype=np.float64))
        transients[1:] = sizes_db[:, None] * np.exp(-(times_s + known_s) / settling_s[:, None])
        levels_db = np.ascontiguousarray(self._levels_db[:, :length])
        return evenness(levels_db, self._added, gains, transients, SIGMA_DB, LIMIT)


def corroborated(said: Float64Array) -> Float64Array:
    """Add what several excerpts say, a single one of which does not prove anything by itself.

    Shape:
        said: `(excerpts, …)`; result: `(…)`.
    """
    total = said.sum(axis=0)
    if len(said) < 2:
        return np.asarray(total)
    others = np.where(said > 0.0, said, CONTRADICTED * said).sum(axis=0) - said.max(axis=0)
    return np.asarray(np.minimum(total, ALONE + SUPPORTED * others))


def alike(samples: Float64Array) -> bool:
    """Return whether all channels have nearly the same magnitude.

    Shape:
        samples: `(C, T)`.
    """
    magnitude = np.abs(samples)
    return bool(np.ptp(magnitude, axis=0).max() <= ALIKE * magnitude.max())


def band_levels_db(samples: Float64Array) -> Float64Array:
    """Return the level of bands over time, as mean power per bin.

    Shape:
        samples: `(T,)`; result: `(B, T // FRAME_SAMPLES // POOLED_FRAMES)`.
    """
    hop = FRAME_SAMPLES
    margin = (WINDOW_SAMPLES - hop) // 2
    window = np.hanning(WINDOW_SAMPLES + 1)[:-1] ** 2  # lets nothing leak to where only noise is
    window *= 2.0 / window.sum()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, margin), WINDOW_SAMPLES)[::hop]
    count = len(windows) // POOLED_FRAMES
    first = int(np.ceil(LOWEST_HZ / CURVE_RATE * WINDOW_SAMPLES))
    bands = (WINDOW_SAMPLES // 2 + 1 - first) // BAND_BINS
    first = WINDOW_SAMPLES // 2 + 1 - bands * BAND_BINS
    spectrum = np.fft.rfft(windows[: count * POOLED_FRAMES] * window)[:, first:]
    squares = np.square(spectrum.real) + np.square(spectrum.imag)
    power = squares.reshape(count, POOLED_FRAMES, bands, BAND_BINS).mean(axis=(1, 3))
    return np.asarray(10.0 * np.log10(power.T + 1e-30))


def _may_be_noise(levels_db: Float64Array) -> npt.NDArray[np.bool_]:
    """Return whether levels vary from each to the next as those of noise do, whatever moves it slowly."""
    steps_db = np.median(np.abs(np.diff(levels_db, axis=1)), axis=1)
    variation_db = 1.4826 / np.sqrt(2.0) * steps_db
    return np.asarray((variation_db > LEAST_VARIATION_DB) & (variation_db < MOST_VARIATION_DB))


def _is_over(levels_db: Float64Array, least_db: float) -> npt.NDArray[np.bool_]:
    return np.asarray(np.median(levels_db, axis=1) > least_db)


def _share_added(power: Float64Array, added: float) -> Float64Array:
    """Return added noise as a share of the rest; -1 where there is hardly any rest."""
    rest = power - added
    return np.where(power > LEAST_EXCESS * added, added / np.maximum(rest, 1e-30), -1.0)


def _pooled_power(curves_db: Float32Array) -> Float32Array:
    """Return the mean power of several frames as a factor."""
    length = curves_db.shape[1] // POOLED_FRAMES
    frames = curves_db[:, : length * POOLED_FRAMES].reshape(len(curves_db), length, POOLED_FRAMES)
    return np.asarray(np.exp(frames * np.float32(np.log(10.0) / 10.0)).mean(axis=2))


def _settling_s(params: CompressorParams) -> float:
    """Return how long an error of the first gain lasts in the inverse: R times as long as in a compressor."""
    release_ms = params.release_ms if params.smoothing != "none" else params.detector_release_ms
    return max(0.1, params.ratio * release_ms / 2200.0)
