"""From a curve at a control rate to every sample."""

from __future__ import annotations

import math

import numpy as np

from unsquash.dsp.jit import compiled
from unsquash.units import Float64Array


@compiled
def interpolated(curve: Float64Array, first: float, step: float, length: int) -> Float64Array:
    """Interpolate linearly between evenly spaced points; before the first and after the last, hold them.

    Args:
        curve: at least one value.
        first: position of the first value, in samples.
        step: samples from one value to the next, > 0.
        length: of the result, in samples.

    Shape:
        curve: `(N,)`; result: `(length,)`.
    """
    result = np.empty(length)
    done = min(length, max(0, math.ceil(first)))
    result[:done] = curve[0]
    for k in range(curve.shape[0] - 1):
        position = first + k * step
        slope = (curve[k + 1] - curve[k]) / step
        end = min(length, max(0, math.ceil(position + step)))
        for n in range(done, end):
            result[n] = curve[k] + (n - position) * slope
        done = max(done, end)
    result[done:] = curve[-1]
    return result
