"""The gain that candidate compressors must have had, from the recording they would have made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams, Link, initial_state, linked_level
from unsquash.dsp.curve_kernels import Float32Array, log_gain_curves
from unsquash.units import Float64Array, FloatArray, db_to_linear

CURVE_RATE = 44_100.0
STEP_SAMPLES = 4
"""Samples that share one step of the recursion."""

FRAME_SAMPLES = 256
"""Samples per entry of a curve: a frame of the networks' features."""

WARM_UP_FRAMES = 344
"""Two seconds, from which a state is guessed where nothing is known of what came before an excerpt."""

LEAD_S = 12.0
"""So much of what came before an excerpt counts; the slowest have all but forgotten what was earlier."""

LINKS: tuple[Link, ...] = ("max", "mean")
"""What the gain of all channels may follow; a candidate with another link is seen as one with the first, but
"off" where each channel is looked at on its own."""

MOST_APART = 2
"""Channels, up to which each is looked at on its own, too; more would take long."""

_DB_PER_NEPER = np.float32(20.0 / np.log(10.0))
_LN2 = np.log(2.0)
_LEAST_HALF_KNEE = 1e-4


def followed_levels(samples: Float64Array) -> Float64Array:
    """Return the level that each of `LINKS` follows, then each channel's, if not more than `MOST_APART`.

    Shape:
        samples: `(C, T)`; result: `(len(LINKS) + C, T)`, or without the C.
    """
    followed = [np.abs(linked_level(samples, link)[0]) for link in LINKS]
    if len(samples) <= MOST_APART:
        followed += [*np.abs(samples)]
    return np.stack(followed)


def stepped(levels: FloatArray, step_samples: int = STEP_SAMPLES) -> FloatArray:
    """Return the RMS of every so many samples; what is left over at the beginning is dropped.

    Shape:
        levels: `(…, T)` at `CURVE_RATE`; result: `(…, T // step_samples)`.
    """
    if step_samples == 1:
        return levels
    length = levels.shape[-1]
    squares = np.square(levels[..., length % step_samples :])
    return np.asarray(np.sqrt(squares.reshape(*levels.shape[:-1], -1, step_samples).mean(axis=-1)))


def rows_of(link: Link, channels: int) -> range:
    """Return which of `followed_levels` drive the gains of a candidate: one for all channels, or one each."""
    if link == "off" and channels <= MOST_APART:
        return range(len(LINKS), len(LINKS) + channels)
    row = LINKS.index(link) if link in LINKS else 0
    return range(row, row + 1)


def candidate_curves_db(
    level: FloatArray,
    candidates: Sequence[CompressorParams],
    *,
    from_rest: bool,
    lead: FloatArray | None = None,
    step_samples: int = STEP_SAMPLES,
) -> Float32Array:
    """Return the gain in dB of every candidate, per frame of `FRAME_SAMPLES`.

    A candidate is seen as a downward compressor; the state is that at rest, that after what came before the
    excerpt, or, if that is not known, that after the excerpt's own first two seconds.

    Args:
        level: as from `stepped`, full scale 1.
        candidates: compressors; a ratio of 1 stands for nothing having been done.
        from_rest: whether the compressor was at rest where the excerpt begins, or settled as it says.
        lead: what came just before, as from `stepped`.
        step_samples: that level was formed over so many: a divisor of `FRAME_SAMPLES`.

    Shape:
        level: `(n · FRAME_SAMPLES / step_samples,)`; lead: `(m,)`; result: `(K, n)`.
    """
    hop = FRAME_SAMPLES // step_samples
    count, frames = len(candidates), level.size // hop
    steps = level[: frames * hop].astype(np.float32)
    state = _state(candidates)
    settings, curves = _settings(candidates, step_samples), np.empty((frames, count), dtype=np.float32)
    if not from_rest and lead is not None and lead.size:
        only_state = np.empty((1, count), dtype=np.float32)
        log_gain_curves(lead.astype(np.float32), lead.size, settings, state, only_state)
    elif not from_rest:
        warm = min(WARM_UP_FRAMES, frames)
        log_gain_curves(steps[: warm * hop], hop, settings, state, curves[:warm])
    log_gain_curves(steps, hop, settings, state, curves)
    return np.ascontiguousarray(_DB_PER_NEPER * curves.T)


def _state(candidates: Sequence[CompressorParams]) -> Float32Array:
    def before(params: CompressorParams) -> tuple[float, float]:
        if params.initial_db is None:
            return 0.0, 1.0
        state = initial_state(params, channels=1)
        gain = float(state.gain[0])
        return float(state.detector[0]), math.exp(gain) if params.smoothing == "log" else gain

    return np.array([before(one) for one in candidates], dtype=np.float32).reshape(-1, 2).T.copy()


def _settings(candidates: Sequence[CompressorParams], step_samples: int) -> Float32Array:
    def smoothing(params: CompressorParams, time_ms: float) -> float:
        return smoothing_coefficient(time_ms, CURVE_RATE / step_samples, params.convention)

    rows = [
        (
            1.0 / db_to_linear(params.threshold_db),
            1.0 - 1.0 / params.ratio,
            max(params.knee_db / 2.0 / _DB_PER_NEPER, _LEAST_HALF_KNEE),
            smoothing(params, params.detector_attack_ms),
            smoothing(params, params.detector_release_ms),
            smoothing(params, params.attack_ms) if params.smoothing != "none" else 1.0,
            smoothing(params, params.release_ms) if params.smoothing != "none" else 1.0,
            *((1.0, 0.5 * _LN2) if params.detector == "rms" else (0.0, _LN2)),
        )
        for params in candidates
    ]
    return np.array(rows, dtype=np.float32).reshape(-1, 9).T.copy()
