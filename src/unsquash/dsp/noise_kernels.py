"""How even levels become if each of many gains is taken back: one pass over all candidates."""

from __future__ import annotations

import numpy as np

from unsquash.dsp.curve_kernels import Float32Array
from unsquash.dsp.jit import compiled

_ROUNDS = 5
_WIDE = np.float32(4.0)


@compiled
def evenness(
    levels_db: Float32Array,
    added: Float32Array,
    gains: Float32Array,
    transients: Float32Array,
    sigma_db: float,
    limit: float,
) -> Float32Array:
    """Return how well moved noise, and noise added since, explain levels: Σ max(0, limit − r²/2σ²) − a²/2.

    What is farther off than `limit` allows tells nothing: it is not noise. The level of the noise and the
    multiple a of a transient, which is around 0 with a standard deviation of 1, are the least squares of what
    is near, found by turns, from the median on.

    Args:
        levels_db: of bands, over time.
        added: for each band, the power of the noise added since as a share of that of the moved noise; < 0
            where all of it was added since, so that no gain moved it.
        gains: of candidates, as factors of power, around 1.
        transients: of each candidate, in dB, how an error of its first gain of the usual size dies away.
        sigma_db: how much the level of even noise varies.
        limit: beyond which a level tells nothing, half a squared number of σ.

    Shape:
        levels_db: `(B, m)`; added: `(B,)`; gains, transients: `(K, m)`; result: `(K, B)`, ≥ 0.
    """
    bands, length = levels_db.shape
    count = gains.shape[0]
    result = np.empty((count, bands), np.float32)
    scale, variance = np.float32(0.5 / sigma_db**2), np.float32(sigma_db**2)
    most = np.float32(limit)
    rest, shape = np.empty(length, np.float32), np.empty(length, np.float32)
    for k in range(count):
        for b in range(bands):
            moved = added[b] >= np.float32(0.0)
            for i in range(length):
                power = gains[k, i] + added[b]
                share = gains[k, i] / power if moved else np.float32(0.0)
                shape[i] = share * transients[k, i]
                gain_db = np.float32(10.0) * np.log10(power) if moved else np.float32(0.0)
                rest[i] = levels_db[b, i] - gain_db
            constant, slope = np.float32(np.median(rest)), np.float32(0.0)
            near = most * _WIDE
            for _ in range(_ROUNDS):
                n, t, r = np.float32(1e-9), np.float32(0.0), np.float32(0.0)
                tt, tr = np.float32(0.0), np.float32(0.0)
                for i in range(length):
                    d = rest[i] - constant - slope * shape[i]
                    w = np.float32(1.0) if d * d * scale < near else np.float32(0.0)
                    n += w
                    t += w * shape[i]
                    r += w * rest[i]
                    tt += w * shape[i] * shape[i]
                    tr += w * shape[i] * rest[i]
                slope = (tr - t * r / n) / (tt - t * t / n + variance)
                constant = (r - slope * t) / n
                near = most
            total = np.float32(-0.5) * slope * slope
            for i in range(length):
                d = rest[i] - constant - slope * shape[i]
                total += max(np.float32(0.0), most - d * d * scale)
            result[k, b] = total
    return result
