"""The compressor: its parameters, its state, and the forward model.

Symbols:
    x, y: input and output sample; linked channels share one level `|x|`
    u, v: detector state and level, `v = u^(1/p)`; p = 1 for a peak detector, 2 for RMS
    f: static gain at level v; g: gain after smoothing; `y = makeup · g · x`
    β, γ: smoothing coefficients of detector and gain, each with an attack and a release value
    L, R, W: threshold, ratio and knee width; `l = 10^(L/20)`

```
u[n] = β |x[n]|^p + (1 − β) u[n−1]          β: attack where |x[n]|^p > u[n−1];  u[−1] = 0, or settled
f[n] = (v/l)^−(1−1/R)  for v > l, else 1     compressor
f[n] = (v/l)^(R−1)     for v < l, else 1     downward expander
g[n] = γ f[n] + (1 − γ) g[n−1]               γ: attack where f[n] < g[n−1];  g[−1] = 1, or settled
```

`smoothing="log"` smooths ln g instead of g, `"none"` takes g = f. A knee rounds the corner of the static
curve by a parabola in decibels, W wide.

Source:
    Gorlow & Reiss, IEEE TASLP 2013 (seven-parameter model); Sun, Fourer & Maaref 2026 (expander);
    Giannoulis, Massberg & Reiss, JAES 2012 (knee, smoothing in decibels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from unsquash.dsp import programs
from unsquash.dsp.ballistics import TIME_CONSTANTS, TimeConstant, smoothing_coefficient
from unsquash.errors import OptionError
from unsquash.units import Float64Array, FloatArray, db_to_linear, gain_to_db

if TYPE_CHECKING:
    from unsquash.dsp.kernels import Coefficients

Detector: TypeAlias = Literal["peak", "rms"]
Mode: TypeAlias = Literal["compress", "expand"]
Link: TypeAlias = Literal["off", "max", "mean", "rms"]
Smoothing: TypeAlias = Literal["linear", "log", "none"]
Kind: TypeAlias = Literal["general", "sc4", "sox"]

CHOICES: dict[str, tuple[str, ...]] = {
    "detector": get_args(Detector),
    "mode": get_args(Mode),
    "link": get_args(Link),
    "smoothing": get_args(Smoothing),
    "kind": get_args(Kind),
    "convention": TIME_CONSTANTS,
}
RANGES: dict[str, tuple[float, float]] = {
    "threshold_db": (-200.0, 60.0),
    "ratio": (1.0, 1000.0),
    "detector_attack_ms": (0.0, 100_000.0),
    "detector_release_ms": (0.0, 100_000.0),
    "attack_ms": (0.0, 100_000.0),
    "release_ms": (0.0, 100_000.0),
    "knee_db": (0.0, 100.0),
    "makeup_db": (-100.0, 100.0),
    "initial_db": (-200.0, 60.0),
    "peak_share": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorParams:
    """What a compressor or expander is set to.

    Args:
        threshold_db: level L above which (expander: below which) the gain falls, dBFS.
        ratio: R, decibels in per decibel out above the threshold.
        detector_attack_ms: smoothing of the level while it rises.
        detector_release_ms: smoothing of the level while it falls.
        attack_ms: smoothing of the gain while it falls; unused with `smoothing="none"`.
        release_ms: smoothing of the gain while it recovers; unused with `smoothing="none"`.
        detector: "peak" (p = 1) or "rms" (p = 2).
        mode: "compress" or "expand" (downward).
        link: "off" gives every channel its own gain; "max", "mean" and "rms" of the channels' magnitudes
            drive one gain shared by all.
        knee_db: width W of the rounded corner of the static curve, centred on the threshold; 0 is hard.
        smoothing: what the gain's time constants act on: "linear" gain, "log" gain, or "none".
        convention: what the time constants mean.
        makeup_db: constant gain after the compressor.
        initial_db: steady level before the first sample, dBFS, that it had settled to; None is silence.
        kind: "general" is the family above; "sox" is its member with the knee of sox's compand; "sc4" is the
            LADSPA plug-in of that name, `unsquash.dsp.sc4_kernels`. `knee_db` is there what the program calls
            it: the distance from the threshold, half a width.
        peak_share: of SC4's level, how much comes from its peak and not its RMS follower, 0 to 1.
    """

    threshold_db: float
    ratio: float
    detector_attack_ms: float = 0.0
    detector_release_ms: float = 0.0
    attack_ms: float = 0.0
    release_ms: float = 0.0
    detector: Detector = "rms"
    mode: Mode = "compress"
    link: Link = "off"
    knee_db: float = 0.0
    smoothing: Smoothing = "linear"
    convention: TimeConstant = "10-90"
    makeup_db: float = 0.0
    initial_db: float | None = None
    kind: Kind = "general"
    peak_share: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OptionError(f"{name} is {value}", hint=f"It must lie between {low:g} and {high:g}.")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"{name} is {getattr(self, name)!r}", hint=f"Choose one of {', '.join(choices)}."
                )
        if self.smoothing == "log" and self.mode == "expand":
            raise OptionError(
                "an expander cannot smooth its gain in decibels",
                hint="Digital silence would be a gain of minus infinity. Use linear smoothing.",
            )
        programs.check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorState:
    """What a compressor remembers between blocks; one entry per channel, or a single one when linked.

    Args:
        detector: u relative to the threshold, `(v/l)^p`.
        gain: g, or ln g with `smoothing="log"`.
        guess: f and 1/g after the last sample, from which the inverse makes its first guess.
        error: of u and g, relative, what one rounding per sample has grown to in an expander's inverse.
        memory: all that SC4 remembers, in its single precision; it uses none of the others.

    Shape:
        detector, gain: `(K,)`; guess, error: `(K, 2)`; memory: `(K, M)`, M = 0 but for SC4; K = C, or 1 when
        linked.
    """

    detector: Float64Array
    gain: Float64Array
    guess: Float64Array
    error: Float64Array
    memory: programs.Float32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """The squashed samples, the gain that made them, and the state after them.

    Shape:
        samples: `(C, T)`; gain: linear, makeup included, `(C, T)` or `(1, T)` when linked.
    """

    samples: Float64Array
    gain: Float64Array
    state: CompressorState

    @property
    def gain_db(self) -> Float64Array:
        """The gain in decibels."""
        return gain_to_db(self.gain)


def compress(
    samples: FloatArray,
    sample_rate: float,
    params: CompressorParams,
    state: CompressorState | None = None,
) -> Compressed:
    """Squash `samples`; pass the state on to continue seamlessly with the next block.

    Shape:
        samples: `(C, T)`, any float type, ±1 = 0 dBFS; the result is float64 of the same shape.

    Example:
        >>> params = CompressorParams(threshold_db=-20, ratio=4, smoothing="none", detector="peak")
        >>> squashed = compress(np.ones((1, 8)), 44100, params).samples
        >>> float(np.round(20 * np.log10(squashed[0, -1]), 6))
        -15.0
    """
    from unsquash.dsp import kernels, sc4_kernels

    x = as_planes(samples)
    before = state if state is not None else initial_state(params, x.shape[0])
    after = copy_state(before, params, x.shape[0])
    level = linked_level(x, params.link)
    gain = np.empty_like(level)
    if params.kind == "sc4":
        sc4_kernels.forward(level, gain, after.memory, sc4_kernels.coefficients(params, sample_rate))
    else:
        k = coefficients(params, sample_rate)
        kernels.forward(level, gain, after.detector, after.gain, after.guess, k)
    gain *= programs.makeup(params)
    return Compressed(samples=x * gain, gain=gain, state=after)


def initial_state(params: CompressorParams, channels: int) -> CompressorState:
    """Return the state before the first sample: of rest, without level and gain reduction, or settled."""
    planes = channels if params.link == "off" else 1
    detector, log_gain = 0.0, 0.0
    if params.initial_db is not None:
        from unsquash.dsp.kernels import static_curve

        k = coefficients(params, sample_rate=48_000.0)  # the rate does not matter to what is steady
        detector = db_to_linear(k.order * (params.initial_db - params.threshold_db))
        log_gain, _ = static_curve(detector, k)
    return CompressorState(
        detector=np.full(planes, detector),
        gain=np.full(planes, log_gain if params.smoothing == "log" else math.exp(log_gain)),
        guess=np.ones((planes, 2)),
        error=np.zeros((planes, 2)),
        memory=np.zeros((planes, programs.memory_size(params)), dtype=np.float32),
    )


def copy_state(state: CompressorState, params: CompressorParams, channels: int) -> CompressorState:
    """Return a copy to write to, checked against the channels it is to be used for."""
    planes = channels if params.link == "off" else 1
    if state.detector.shape != (planes,):
        raise OptionError(
            f"the compressor's state is for {state.detector.size} channels, the audio needs {planes}",
            hint="Carry a state only between blocks of the same recording.",
        )
    if state.memory.shape[1] != programs.memory_size(params):
        raise OptionError(
            "the state is that of another program",
            hint="Carry a state only between blocks with the same settings.",
        )
    return CompressorState(
        detector=state.detector.copy(),
        gain=state.gain.copy(),
        guess=state.guess.copy(),
        error=state.error.copy(),
        memory=state.memory.copy(),
    )


def as_planes(samples: FloatArray) -> Float64Array:
    """Return `samples` as contiguous float64 `(C, T)`."""
    if samples.ndim != 2:
        raise OptionError(f"samples must be (channels, time), not of shape {samples.shape}")
    return np.ascontiguousarray(samples, dtype=np.float64)


def linked_level(samples: Float64Array, link: Link) -> Float64Array:
    """Return what the detector sees: the samples themselves, of one channel too, or one row for all channels.

    Every link is homogeneous: twice the samples are twice the level. That keeps the inverse of a linked
    compressor a scalar equation.

    Shape:
        samples: `(C, T)`; result `(C, T)` for "off", else `(1, T)`.
    """
    if link == "off" or len(samples) == 1:
        return samples
    level: Float64Array
    if link == "max":
        level = np.max(np.abs(samples), axis=0, keepdims=True)
    elif link == "mean":
        level = np.mean(np.abs(samples), axis=0, keepdims=True)
    else:
        level = np.sqrt(np.mean(np.square(samples), axis=0, keepdims=True))
    return level


def coefficients(params: CompressorParams, sample_rate: float) -> Coefficients:
    """Translate parameters into what the kernels compute with."""
    from unsquash.dsp.kernels import Coefficients

    def smoothing(time_ms: float) -> float:
        return smoothing_coefficient(time_ms, sample_rate, params.convention)

    smooth_gain = params.smoothing != "none"
    expand = params.mode == "expand"
    order = 1.0 if params.detector == "peak" else 2.0
    # d ln f / d ln u beyond the knee
    slope = (params.ratio - 1.0) / order if expand else (1.0 / params.ratio - 1.0) / order
    knee = programs.knee(params, slope, order)
    return Coefficients(
        order=order,
        detector_attack=smoothing(params.detector_attack_ms),
        detector_release=smoothing(params.detector_release_ms),
        gain_attack=smoothing(params.attack_ms) if smooth_gain else 1.0,
        gain_release=smoothing(params.release_ms) if smooth_gain else 1.0,
        scale=db_to_linear(params.threshold_db) ** -order,
        slope=slope,
        knee_start=knee.start,
        knee_stop=knee.stop,
        knee_bend=knee.bend,
        knee_tilt=knee.tilt,
        expand=1.0 if expand else 0.0,
        log_gain=1.0 if params.smoothing == "log" else 0.0,
    )
