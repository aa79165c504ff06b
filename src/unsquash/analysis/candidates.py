"""The gain that candidate compressors must have had, from the recording they would have made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.curve_kernels import Float32Array, log_gain_curves
from unsquash.units import Float64Array, FloatArray, db_to_linear

CURVE_RATE = 44_100.0
STEP_SAMPLES = 4
"""Samples that share one step of the recursion."""

FRAME_STEPS = 64
FRAME_SAMPLES = STEP_SAMPLES * FRAME_STEPS
"""Samples per entry of a curve: a frame of the networks' features."""

WARM_UP_FRAMES = 344
"""Two seconds, from which a state is guessed where the excerpt began in the middle of a recording."""

_DB_PER_NEPER = np.float32(20.0 / np.log(10.0))
_LEAST_HALF_KNEE = 1e-4


def stepped_level(magnitude: Float64Array) -> Float64Array:
    """Return the RMS of every `STEP_SAMPLES` samples.

    Shape:
        magnitude: `(T,)` at `CURVE_RATE`; result: `(T // STEP_SAMPLES,)`.
    """
    steps = magnitude.size // STEP_SAMPLES
    return np.asarray(np.sqrt(np.square(magnitude[: steps * STEP_SAMPLES]).reshape(steps, -1).mean(axis=1)))


def candidate_curves_db(
    level: FloatArray, candidates: Sequence[CompressorParams], *, from_rest: bool
) -> Float32Array:
    """Return the gain in dB of every candidate, per frame of 256 samples.

    A candidate is seen as a downward compressor with an RMS detector; the state is that at rest, or that
    after the excerpt's own first two seconds.

    Args:
        level: as from `stepped_level`, full scale 1.
        candidates: compressors; a ratio of 1 stands for nothing having been done.
        from_rest: whether the compressor was at rest where the excerpt begins.

    Shape:
        level: `(n · FRAME_STEPS,)`; result: `(K, n)`.
    """
    warm = 0 if from_rest else min(WARM_UP_FRAMES, level.size // FRAME_STEPS)
    led = np.concatenate([level[: warm * FRAME_STEPS], level]).astype(np.float32)
    curves = np.empty((led.size // FRAME_STEPS, len(candidates)), dtype=np.float32)
    log_gain_curves(led, FRAME_STEPS, _settings(candidates), curves)
    return np.ascontiguousarray(_DB_PER_NEPER * curves[warm:].T)


def _settings(candidates: Sequence[CompressorParams]) -> Float32Array:
    def smoothing(params: CompressorParams, time_ms: float) -> float:
        return smoothing_coefficient(time_ms, CURVE_RATE / STEP_SAMPLES, params.convention)

    rows = [
        (
            1.0 / db_to_linear(params.threshold_db),
            1.0 - 1.0 / params.ratio,
            max(params.knee_db / 2.0 / _DB_PER_NEPER, _LEAST_HALF_KNEE),
            smoothing(params, params.detector_attack_ms),
            smoothing(params, params.detector_release_ms),
            smoothing(params, params.attack_ms) if params.smoothing != "none" else 1.0,
            smoothing(params, params.release_ms) if params.smoothing != "none" else 1.0,
        )
        for params in candidates
    ]
    return np.array(rows, dtype=np.float32).reshape(-1, 7).T.copy()
