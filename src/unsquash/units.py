"""Decibels and the array type: what every module above shares.

`FloatArray` is a numpy array of real numbers; audio is `(C, T)`, time last, ±1 = 0 dBFS.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float64Array: TypeAlias = npt.NDArray[np.float64]

_NEPERS_PER_DB = math.log(10.0) / 20.0


def db_to_linear(level_db: float) -> float:
    """Convert a level or gain in dB to an amplitude factor.

    Example:
        >>> round(db_to_linear(-6.0), 4)
        0.5012
    """
    return float(10.0 ** (level_db / 20.0))


def linear_to_db(amplitude: float) -> float | None:
    """Convert an amplitude factor to dB; silence (zero) has no level and gives None.

    Example:
        >>> linear_to_db(10.0)
        20.0
        >>> linear_to_db(0.0) is None
        True
    """
    return float(20.0 * np.log10(amplitude)) if amplitude > 0.0 else None


def gain_to_db(gain: Float64Array) -> Float64Array:
    """Convert a gain curve to decibels; zero becomes −6000 dB, which is zero when applied."""
    decibels: Float64Array = 20.0 * np.log10(np.maximum(gain, 1e-300))
    return decibels


def gain_factors(gain_db: FloatArray) -> FloatArray:
    """Convert a gain curve in dB to amplitude factors; exactly 1 where it is 0 dB.

    Shape:
        result: as `gain_db`.
    """
    factors: FloatArray = np.exp(gain_db * _NEPERS_PER_DB)  # four times faster than a power of ten
    return factors


def apply_gain_db(samples: FloatArray, gain_db: FloatArray) -> FloatArray:
    """Multiply `samples` by a gain curve; where the gain is 0 dB the samples stay bit-exact.

    Shape:
        samples: `(C, T)`; gain_db: `(C, T)` or `(1, T)`; result as samples.
    """
    return samples * gain_factors(gain_db).astype(samples.dtype, copy=False)


def to_planar(interleaved: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bring channels apart, one after the other: for few of them twice as fast as copying a transposition.

    Shape:
        interleaved: `(t, C)`; result: `(C, t)`, contiguous, of the same type.
    """
    result = np.empty(interleaved.shape[::-1], interleaved.dtype)
    for channel, row in enumerate(result):
        row[:] = interleaved[:, channel]
    return result


def to_interleaved(samples: FloatArray) -> Float64Array:
    """Bring channels together, the other way round.

    Shape:
        samples: `(C, t)`; result: `(t, C)`, contiguous.
    """
    result = np.empty(samples.shape[::-1])
    for channel, row in enumerate(samples):
        result[:, channel] = row
    return result
