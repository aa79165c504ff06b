"""A look-ahead peak limiter without delay, for making squashed test material.

```
r[n] = min(1, ceiling / |x[n]|)                          gain that this sample needs
m[n] = min(r[n − hold] … r[n + look-ahead])              known early, kept for a while
e[n] = m[n]                        where m[n] < e[n−1]
       e[n−1] + ρ (m[n] − e[n−1])  else                  exponential release
g[n] = Σ w[k] e[n−k],  k = 0 … look-ahead                smoothed by a Hann window, Σ w = 1
```

No sample passes the ceiling: each `e[n−k]` under the window is at most `m[n−k]`, whose span contains n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import as_planes
from unsquash.errors import OptionError
from unsquash.units import Float64Array, FloatArray, db_to_linear

_RANGES = {
    "ceiling_db": (-100.0, 60.0),
    "lookahead_ms": (0.0, 1000.0),
    "hold_ms": (0.0, 10_000.0),
    "release_ms": (0.0, 100_000.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterParams:
    """What a limiter is set to.

    Args:
        ceiling_db: no output sample exceeds this level, dBFS.
        lookahead_ms: how early the gain begins to fall before a peak.
        hold_ms: how long the gain stays down after a peak.
        release_ms: 10–90 % time of the recovery after that.
        link: one gain for all channels.
    """

    ceiling_db: float = -1.0
    lookahead_ms: float = 5.0
    hold_ms: float = 0.0
    release_ms: float = 100.0
    link: bool = True

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise OptionError(
                    f"{name} is {getattr(self, name)}", hint=f"It must lie between {low:g} and {high:g}."
                )


class Limiter:
    """A limiter for a stream: what comes out of `push` and `finish` together lines up with what went in.

    Args:
        params: settings.
        sample_rate: Hz.
        channels: C.
    """

    def __init__(self, params: LimiterParams, sample_rate: float, channels: int) -> None:
        self._lookahead = round(params.lookahead_ms * sample_rate / 1000.0)
        hold = round(params.hold_ms * sample_rate / 1000.0)
        self._ceiling = db_to_linear(params.ceiling_db)
        self._release = smoothing_coefficient(params.release_ms, sample_rate, "10-90")
        self._link = params.link
        phase = np.arange(1, self._lookahead + 2) / (self._lookahead + 2)
        window = 1.0 - np.cos(2.0 * np.pi * phase)
        self._window = window / np.sum(window)

        planes = 1 if params.link else channels
        # The stream is thought to begin with a look-ahead of silence, which is dropped from the output.
        self._needed = np.ones((planes, hold + self._lookahead))
        self._envelope = np.ones(planes)
        self._overhang = np.zeros((planes, self._lookahead))
        self._waiting = np.zeros((channels, self._lookahead))
        self._to_drop = self._lookahead

    def push(self, samples: FloatArray) -> Float64Array:
        """Return the limited samples that are ready: as many as went in, less the look-ahead at first.

        Shape:
            samples: `(C, t)`; result `(C, ≤ t)`.
        """
        from unsquash.dsp import limiter_kernels

        x = as_planes(samples)
        magnitude = np.abs(x)
        if self._link:
            magnitude = np.max(magnitude, axis=0, keepdims=True)
        needed = np.concatenate((self._needed, self._ceiling / np.maximum(magnitude, self._ceiling)), axis=1)
        lowest = _sliding_minimum(needed, self._needed.shape[1] + 1)
        self._needed = needed[:, x.shape[1] :]

        reduction = np.concatenate((self._overhang, np.zeros_like(lowest)), axis=1)
        limiter_kernels.release_and_smooth(lowest, reduction, self._envelope, self._release, self._window)
        self._overhang = reduction[:, x.shape[1] :]

        delayed = np.concatenate((self._waiting, x), axis=1)
        self._waiting = delayed[:, x.shape[1] :]
        limited = delayed[:, : x.shape[1]] * (1.0 - reduction[:, : x.shape[1]])
        # Rounding may leave a sample one unit in the last place above the ceiling.
        limited = np.clip(limited, -self._ceiling, self._ceiling)
        dropped = min(self._to_drop, limited.shape[1])
        self._to_drop -= dropped
        return limited[:, dropped:]

    def finish(self) -> Float64Array:
        """Return the rest of the stream.

        Shape:
            result: `(C, look-ahead)`, or as many samples as were pushed if fewer.
        """
        return self.push(np.zeros_like(self._waiting))


def limit(samples: FloatArray, sample_rate: float, params: LimiterParams) -> Float64Array:
    """Limit a whole recording.

    Shape:
        samples: `(C, T)`; result the same.

    Example:
        >>> loud = 2.0 * np.ones((1, 100))
        >>> bool(np.max(limit(loud, 1000, LimiterParams(ceiling_db=0.0))) <= 1.0)
        True
    """
    limiter = Limiter(params, sample_rate, samples.shape[0])
    return np.concatenate((limiter.push(samples), limiter.finish()), axis=1)


def _sliding_minimum(values: Float64Array, length: int) -> Float64Array:
    """Return the minimum of every run of `length` values, by doubling the span covered.

    Shape:
        values: `(K, T)`; result: `(K, T − length + 1)`.
    """
    covered = 1
    while 2 * covered <= length:
        values = np.minimum(values[:, :-covered], values[:, covered:])
        covered *= 2
    rest = length - covered
    return np.minimum(values[:, : values.shape[1] - rest], values[:, rest:])
