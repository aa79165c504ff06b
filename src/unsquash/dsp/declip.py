"""Declipping: flat tops replaced by what makes the recording simplest over time and frequency.

Music has few strong components at a time, and they last. From a spectrogram of the clipped recording all that
is weak with regard to its neighbours in time is taken away, what is left is turned back into samples, and of
those the ones at a ceiling are taken over, as far as they are at least as large as the ceiling; so again and
again, while less and less counts as weak. Short and long windows take turns, on grids that are moved. What is
not at a ceiling stays as it is, bit for bit.

Source:
    Siedenburg, Kowalski & Dörfler, Audio declipping with social sparsity, ICASSP 2014: the shrinkage by the
    energy of the neighbourhood (persistent empirical Wiener) and its decreasing threshold. That the samples
    are projected in every round, as in Kitić, Bertin & Gribonval (LVA/ICA 2015), and that windows and grids
    take turns is this project's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.declip_kernels import shrink
from unsquash.errors import OptionError
from unsquash.units import Float64Array, FloatArray

TOLERANCE = 3.0 / 32768.0
"""How far from its ceiling a clipped sample may be: 16-bit rounding, dither, and a ceiling's own error."""

ROUNDS = 80
WEAK_FIRST, WEAK_LAST = 0.3, 0.003
"""What counts as weak, in coefficients of an orthonormal transform, the ceiling being 1."""

REACH_FRAMES = 3
MOMENTUM = 0.9
"""How much of a round's change is expected once more of the next."""

BLOCK_WINDOWS, CONTEXT_WINDOWS = 32, 2
"""So much is worked on at a time, with so much to either side, in long windows."""

_WINDOWS_AT_44K1 = (1024, 4096)

Indices = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclipScale:
    """The lengths that declipping works with, in samples.

    Attributes:
        short, long: windows, powers of two.
    """

    short: int
    long: int

    @staticmethod
    def at(sample_rate: float) -> DeclipScale:
        """Scale to a sample rate.

        Example:
            >>> DeclipScale.at(96_000)
            DeclipScale(short=2048, long=8192)
        """
        octaves = round(float(np.log2(max(0.1, sample_rate / 44_100.0))))
        short, long = (int(window * 2.0**octaves) for window in _WINDOWS_AT_44K1)
        return DeclipScale(short=short, long=long)

    @property
    def hop(self) -> int:
        """Grid on which pieces of a recording must start."""
        return self.long

    @property
    def context_samples(self) -> int:
        """Samples to either side that are worth seeing; a multiple of `hop`."""
        return (CONTEXT_WINDOWS + 1) * self.long


def declip(samples: FloatArray, ceilings: Sequence[Ceiling], scale: DeclipScale) -> Float64Array:
    """Fill in flat tops.

    Args:
        samples: starts on the hop grid of the recording.
        ceilings: one per channel.
        scale: the lengths to work with.

    Shape:
        samples, result: `(C, T)`; every result is at least as large as its sample and has its sign.

    Raises:
        OptionError: there is not one ceiling per channel.
    """
    if len(ceilings) != len(samples):
        raise OptionError("declipping needs one ceiling per channel")
    restored = np.array(samples, dtype=np.float64)
    for before, channel, ceiling in zip(
        np.asarray(samples, dtype=np.float64), restored, ceilings, strict=True
    ):
        level = max(ceiling.positive or 0.0, ceiling.negative or 0.0)
        at = _flat(channel, ceiling)
        for block in _blocks(at, scale):
            piece = _cut(before, block.start, block.stop)
            values = _fill(piece / level, block.tops - block.start, scale) * level
            channel[block.tops[block.own]] = values[block.own]
    return restored


def _flat(channel: Float64Array, ceiling: Ceiling) -> Indices:
    flat = np.zeros(channel.shape, dtype=bool)
    if ceiling.positive is not None:
        flat |= np.abs(channel - ceiling.positive) <= TOLERANCE
    if ceiling.negative is not None:
        flat |= np.abs(channel + ceiling.negative) <= TOLERANCE
    return np.flatnonzero(flat)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A piece with flat tops: where it starts and stops, all tops in it, and which of them are its own."""

    start: int
    stop: int
    tops: Indices
    own: slice


def _blocks(at: Indices, scale: DeclipScale) -> Iterator[_Block]:
    """Divide a channel with flat tops `at`, on a grid; what has none is left out."""
    hop, size = scale.hop, BLOCK_WINDOWS * scale.hop
    context = CONTEXT_WINDOWS * hop
    for number in np.unique(at // size):
        low, high = np.searchsorted(at, (number * size, (number + 1) * size))
        own = at[low:high]
        first, last = int(own[0]) // hop * hop - context, (int(own[-1]) // hop + 1) * hop + context
        seen_low, seen_high = np.searchsorted(at, (first, last))
        yield _Block(
            start=first - hop,
            stop=last + hop,
            tops=at[seen_low:seen_high],
            own=slice(int(low - seen_low), int(high - seen_low)),
        )


def _cut(channel: Float64Array, start: int, stop: int) -> Float64Array:
    """Cut a piece out, with silence where there is nothing."""
    inside = channel[max(0, start) : stop]
    return np.pad(inside, (max(0, -start), stop - max(0, start) - inside.size))


def _fill(piece: Float64Array, at: Indices, scale: DeclipScale) -> Float64Array:
    """Return the samples `at` of a piece whose ceiling is about 1, none smaller than it was."""
    least, sign = np.abs(piece[at]), np.sign(piece[at])
    x = piece.astype(np.float32)
    windows = [(length, _window(length)) for length in (scale.short, scale.long)]
    weak = np.geomspace(WEAK_FIRST, WEAK_LAST, ROUNDS)
    value = piece[at]
    for turn in range(ROUNDS):
        length, window = windows[turn % 2]
        moved = (turn // 2 % 2) * length // 4
        before = value
        value = _simplified(x, at, window, moved, float(weak[turn]))
        value = sign * np.maximum(sign * value, least)
        x[at] = value + MOMENTUM * (value - before)
    return np.asarray(value)


def _window(length: int) -> Float32Array:
    """Return the root of a Hann window: with frames half a window apart, its squares add up to 1."""
    return np.sin(np.pi * np.arange(length) / length).astype(np.float32)


def _simplified(x: Float32Array, at: Indices, window: Float32Array, moved: int, weak: float) -> Float64Array:
    """Return the samples `at` of what is left of `x` without all that is weak."""
    half = window.size // 2
    halves = (x.size - moved) // half
    covered = x[moved : moved + halves * half]
    frames = np.lib.stride_tricks.sliding_window_view(covered, window.size)[::half] * window
    spectra = scipy.fft.rfft(frames, axis=1, norm="ortho", overwrite_x=True)
    shrink(spectra, weak * weak, REACH_FRAMES)
    back = scipy.fft.irfft(spectra, n=window.size, axis=1, norm="ortho", overwrite_x=True) * window
    total = np.zeros((halves, half), dtype=np.float32)
    total[:-1] += back[:, :half]
    total[1:] += back[:, half:]
    return total.reshape(-1)[at - moved].astype(np.float64)
