"""Original excerpts: pieces, stems and loops drawn, mixed and varied at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal
import soxr

from unsquash.errors import AudioReadError
from unsquash.training.corpus import PEAK, Track
from unsquash.units import Float64Array

SCORE_SHARE = 0.25
"""Of the pieces, where there are rendered scores: unlike the recordings, they are not soon known by heart."""

MOVED_SHARE = 0.5
"""Of the excerpts, whose bands move by themselves: how loud a passage is cannot be known by heart then."""

ROUNDED_SHARE, HISSING_SHARE = 0.55, 0.15
"""Of the originals, that are rounded to 16 bits, or hiss. Such noise is even: what moves it is squashing."""

DULL_SHARE = 0.25
"""Of the excerpts, that end below 20 kHz, as what was once coded with losses or came from a sampler does."""


class Mixer:
    """Draws originals from tracks of one part; pieces with much dynamics are drawn more often.

    Args:
        tracks: of one part.
        moved_share: of the excerpts whose bands move by themselves.

    Raises:
        AudioReadError: there are neither pieces nor scores among them.
    """

    def __init__(self, tracks: Sequence[Track], *, moved_share: float = MOVED_SHARE) -> None:
        self._moved_share = moved_share
        self._pieces = [t for t in tracks if t.kind == "mix"]
        self._scores = [t for t in tracks if t.kind == "score"]
        if not self._pieces and not self._scores:
            raise AudioReadError(
                f"no finished pieces (mix or score) among {len(tracks)} tracks of one part of the corpus",
                hint="Both the recipe's validation_artists and the others must have some.",
            )
        self._speech = [t for t in tracks if t.kind == "speech"]
        self._layers = [t for t in tracks if t.kind in ("stem", "loop")]
        self._piece_weights = _normalized([_worth(t) for t in self._pieces])
        self._songs: dict[str, list[Track]] = {}
        for track in self._layers:
            if track.kind == "stem":
                self._songs.setdefault(_song(track), []).append(track)

    def draw(self, length: int, rng: np.random.Generator) -> Float64Array:
        """Draw an original with a peak of ±1.

        Shape:
            result: `(2, length)`.
        """
        while True:
            original = self._varied(self._mixture(length + length // 5, rng), rng)[:, :length]
            peak = float(np.abs(original).max())
            if original.shape[1] == length and np.sqrt(np.square(original).mean()) > 0.01 * peak > 1e-6:
                noisy = _with_noise(original / peak, rng)
                return np.ascontiguousarray(noisy / np.abs(noisy).max())

    def _mixture(self, length: int, rng: np.random.Generator) -> Float64Array:
        way = rng.random()
        if self._songs and way < 0.2:
            return self._song_mixture(length, rng)
        if self._layers and way < 0.28:
            return self._loose_mixture(length, rng)
        if self._speech and way < 0.34:
            return _window(self._speech[int(rng.integers(len(self._speech)))], length, rng)
        piece = self._piece(length, rng)
        if way > 0.8:
            other = self._piece(length, rng)
            piece = piece + other * 10.0 ** (rng.uniform(-14.0, 0.0) / 20.0)
        return piece

    def _piece(self, length: int, rng: np.random.Generator) -> Float64Array:
        if self._scores and (rng.random() < SCORE_SHARE or not self._pieces):
            return _window(self._scores[int(rng.integers(len(self._scores)))], length, rng)
        index = int(rng.choice(len(self._pieces), p=self._piece_weights))
        return _window(self._pieces[index], length, rng)

    def _song_mixture(self, length: int, rng: np.random.Generator) -> Float64Array:
        """Mix stems of one song that line up in time, with random gains."""
        stems = list(self._songs.values())[int(rng.integers(len(self._songs)))]
        count = min(len(stems), int(rng.integers(2, 9)))
        chosen = [stems[int(i)] for i in rng.choice(len(stems), count, replace=False)]
        shortest = min(len(t.samples) for t in chosen)
        start = int(rng.integers(max(1, shortest - length)))
        return sum(
            (_window(t, length, rng, start) * 10.0 ** (rng.uniform(-12.0, 3.0) / 20.0) for t in chosen),
            np.zeros((2, length)),
        )

    def _loose_mixture(self, length: int, rng: np.random.Generator) -> Float64Array:
        """Mix unrelated layers: not music, but dense transients over everything else."""
        chosen = rng.choice(len(self._layers), int(rng.integers(1, 5)))
        mixture = np.zeros((2, length))
        for index in chosen:
            mixture += _window(self._layers[int(index)], length, rng) * 10.0 ** (
                rng.uniform(-10.0, 0.0) / 20.0
            )
        if rng.random() < 0.4 and self._pieces:
            mixture += self._piece(length, rng)
        return mixture

    def _varied(self, signal: Float64Array, rng: np.random.Generator) -> Float64Array:
        """Vary speed, timbre, loudness over time, width, channel order and polarity."""
        if rng.random() < 0.5:
            signal = soxr.resample(signal.T, 1.0, rng.uniform(0.8, 1.19), "MQ").T
        if rng.random() < 0.4:
            corner = 10.0 ** rng.uniform(2.0, 3.8)
            numerator, denominator = scipy.signal.butter(1, corner, fs=44_100.0)
            low = scipy.signal.lfilter(numerator, denominator, signal, axis=-1)
            signal = signal + low * rng.uniform(-0.7, 1.5)
        if rng.random() < 0.6:
            signal = _equalized(signal, rng)
        if rng.random() < self._moved_share:
            signal = _moved(signal, rng)
        if rng.random() < DULL_SHARE:
            corner = rng.uniform(8_000.0, 20_000.0)
            low_pass = scipy.signal.cheby2(10, 90.0, corner, fs=44_100.0, output="sos")
            signal = scipy.signal.sosfilt(low_pass, signal, axis=-1)
        if rng.random() < 0.15:
            knots = 10.0 ** (rng.uniform(-14.0, 0.0, 6) / 20.0)
            signal = signal * np.interp(np.linspace(0, 5, signal.shape[1]), np.arange(6), knots)
        way = rng.random()
        if way < 0.12:
            signal = np.repeat(signal.mean(axis=0, keepdims=True), 2, axis=0)
        elif way < 0.3:
            signal = signal + rng.uniform(-0.4, 0.6) * (signal - signal[::-1])
        signal = signal[:: int(rng.choice([1, -1]))]
        return np.asarray(signal * rng.choice([1.0, -1.0], (2, 1)))


def _window(track: Track, length: int, rng: np.random.Generator, start: int | None = None) -> Float64Array:
    """Cut a window at random, or at `start`; a short track is repeated."""
    samples = track.samples
    if start is None:
        start = int(rng.integers(max(1, len(samples) - length)))
    piece = samples[start : start + length]
    if len(piece) < length:
        piece = np.resize(samples, (length, 2))
    return piece.T.astype(np.float64) / PEAK


def _equalized(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Raise or lower one to four parts of the spectrum.

    Source:
        Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients: peaking filter.
    """
    for _ in range(int(rng.integers(1, 5))):
        omega = 2.0 * np.pi * 10.0 ** rng.uniform(1.7, 4.1) / 44_100.0
        factor = 10.0 ** (rng.uniform(-9.0, 9.0) / 40.0)
        alpha = np.sin(omega) / (2.0 * rng.uniform(0.4, 2.5))
        numerator = [1.0 + alpha * factor, -2.0 * np.cos(omega), 1.0 - alpha * factor]
        denominator = [1.0 + alpha / factor, -2.0 * np.cos(omega), 1.0 - alpha / factor]
        signal = scipy.signal.lfilter(numerator, denominator, signal, axis=-1)
    return signal


def _moved(signal: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Let two to four bands rise and fall, each in its own way and time."""
    length = signal.shape[1]
    moved, rest = np.zeros_like(signal), signal
    for corner in np.sort(10.0 ** rng.uniform(2.0, 3.9, int(rng.integers(1, 4)))):
        numerator, denominator = scipy.signal.butter(1, corner, fs=44_100.0)
        low = scipy.signal.lfilter(numerator, denominator, rest, axis=-1)
        moved += low * _wandering(length, rng)
        rest = rest - low
    return np.asarray(moved + rest * _wandering(length, rng))


def _with_noise(original: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Round to 16 bits as for a release, with or without dither, or add hiss, or leave as it is."""
    way = rng.random()
    if way < ROUNDED_SHARE:
        steps = 32767.0 * 10.0 ** (-rng.uniform(0.0, 12.0) / 20.0)
        dither = rng.uniform(-0.5, 0.5, (2, *original.shape)).sum(axis=0) if rng.random() < 0.3 else 0.0
        return np.asarray(np.round(original * steps + dither) / steps)
    if way < ROUNDED_SHARE + HISSING_SHARE:
        hiss = rng.standard_normal(original.shape if rng.random() < 0.7 else original.shape[1:])
        hiss = scipy.signal.lfilter([1.0], [1.0, -rng.uniform(-0.5, 0.95)], hiss, axis=-1)
        return np.asarray(original + hiss * 10.0 ** (rng.uniform(-95.0, -55.0) / 20.0) / hiss.std())
    return original


def _wandering(length: int, rng: np.random.Generator) -> Float64Array:
    """Make a gain that wanders by a few dB."""
    knots = 2 + int(length / 44_100.0 / 10.0 ** rng.uniform(-0.8, 0.5))
    levels_db = rng.normal(0.0, rng.uniform(0.5, 4.0), knots)
    gain = 10.0 ** (levels_db / 20.0)
    return np.asarray(np.interp(np.linspace(0, knots - 1, length), np.arange(knots), gain))


def _worth(track: Track) -> float:
    """Weight a piece by its length and by how dynamic its release is."""
    dynamic = np.clip((track.plr_db - 9.0) / 6.0, 0.1, 1.0) if np.isfinite(track.plr_db) else 0.1
    return float(dynamic * len(track.samples))


def _song(track: Track) -> str:
    """Read `<song>-w<k>` out of a stem's name."""
    head, _, tail = track.file.rpartition("/")[2].partition("-w")
    return f"{head}-w{tail.partition('-')[0]}"


def _normalized(weights: Sequence[float]) -> Float64Array:
    array = np.asarray(weights, dtype=np.float64)
    return np.asarray(array / array.sum())
