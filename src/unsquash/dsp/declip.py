"""Declipping: flat tops replaced by what the samples around them make likeliest.

Music is locally well predicted from its last few dozen samples. Samples at a ceiling are chosen so that the
prediction error is least (a banded linear system per cluster of flat tops) and so that they are at least as
large as the ceiling; the predictor is then estimated again from the result. What is not at a ceiling stays
as it is, bit for bit.

Source:
    Janssen, Veldhuis & Vries, IEEE TASSP 34 (2), 1986 (interpolation); the bounds, the joint treatment of
    neighbouring tops and the band solver are this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unsquash.dsp.ceilings import Ceiling
from unsquash.dsp.declip_kernels import fill
from unsquash.errors import OptionError
from unsquash.units import Float64Array, FloatArray

TOLERANCE = 3.0 / 32768.0
"""How far from its ceiling a clipped sample may be: 16-bit rounding, dither, and a ceiling's own error."""

PASSES = 2
_ROUNDS = 4
_MOST_UNKNOWN = 512
_ORDER_AT_44K1 = 32
_WINDOW_AT_44K1 = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclipScale:
    """The lengths that declipping works with, in samples.

    Attributes:
        order: of the linear predictor.
        window: of the piece that it is estimated from.
        hop: grid on which it is estimated anew; pieces of a recording must start on it.
    """

    order: int
    window: int
    hop: int

    @staticmethod
    def at(sample_rate: float) -> DeclipScale:
        """Scale to a sample rate.

        Example:
            >>> DeclipScale.at(44_100)
            DeclipScale(order=32, window=2048, hop=512)
        """
        factor = max(0.25, sample_rate / 44_100.0)
        hop = max(64, 4 * round(_WINDOW_AT_44K1 / 16 * factor))
        return DeclipScale(order=round(_ORDER_AT_44K1 * min(factor, 2.0)), window=4 * hop, hop=hop)

    @property
    def context_samples(self) -> int:
        """Samples to either side that are worth seeing; a multiple of `hop`."""
        return PASSES * (self.window // 2 + 2 * self.hop)


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
    window = np.hanning(scale.window + 2)[1:-1]
    for channel, ceiling in zip(restored, ceilings, strict=True):
        at = _flat(channel, ceiling)
        least, sign = np.abs(channel[at]), np.sign(channel[at])
        for _ in range(PASSES if at.size else 0):
            fill(channel, at, least, sign, window, scale.order, _MOST_UNKNOWN, scale.hop, _ROUNDS)
    return restored


def _flat(channel: Float64Array, ceiling: Ceiling) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    flat = np.zeros(channel.shape, dtype=bool)
    if ceiling.positive is not None:
        flat |= np.abs(channel - ceiling.positive) <= TOLERANCE
    if ceiling.negative is not None:
        flat |= np.abs(channel + ceiling.negative) <= TOLERANCE
    return np.flatnonzero(flat)
