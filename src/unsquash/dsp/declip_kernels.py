"""Shrinkage of spectrograms, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unsquash.dsp.jit import compiled

Complex64Array = npt.NDArray[np.complex64]

_TINY = np.float32(1e-20)


@compiled
def shrink(spectra: Complex64Array, weak: float, reach: int) -> None:
    """Scale every coefficient by 1 − weak / the mean power of its neighbours in time, or by 0.

    Args:
        spectra: changed in place.
        weak: a power.
        reach: how many frames to either side are neighbours.

    Shape:
        spectra: `(frames, bins)`.
    """
    frames, bins = spectra.shape
    power = np.empty((frames, bins), np.float32)
    total = np.empty(bins, np.float32)
    for frame in range(frames):
        for k in range(bins):
            z = spectra[frame, k]
            power[frame, k] = z.real * z.real + z.imag * z.imag
    for frame in range(frames):
        first, last = max(0, frame - reach), min(frames, frame + reach + 1)
        total[:] = _TINY
        for neighbour in range(first, last):
            for k in range(bins):
                total[k] += power[neighbour, k]
        least = np.float32(weak * (last - first))
        for k in range(bins):
            spectra[frame, k] *= max(np.float32(0.0), np.float32(1.0) - least / total[k])
