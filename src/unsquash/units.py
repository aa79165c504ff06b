"""Decibels and the array type: what every module above shares.

`FloatArray` is a numpy array of real numbers; audio is `(C, T)`, time last, ±1 = 0 dBFS.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float64Array: TypeAlias = npt.NDArray[np.float64]


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


def apply_gain_db(samples: FloatArray, gain_db: FloatArray) -> FloatArray:
    """Multiply `samples` by a gain curve; where the gain is 0 dB the samples stay bit-exact.

    Shape:
        samples: `(C, T)`; gain_db: `(C, T)` or `(1, T)`; result as samples.
    """
    factor: FloatArray = np.power(10.0, gain_db / 20.0).astype(samples.dtype, copy=False)
    return samples * factor
