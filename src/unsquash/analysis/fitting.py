"""Which compressor? Its settings, searched for so that its gain agrees with what the network hears.

The network estimates the gain everywhere, with errors everywhere. A compressor has a handful of settings, and
from its output alone they decide its whole gain curve: the curve that correlates best with the estimate keeps
what is common to all of it and drops the errors. Correlation says nothing about the amount. That follows
from what a conditional mean is: regressed on a fair estimate, the truth has a slope of one.

A candidate costs milliseconds: hundreds at random on a coarse grid, the best of them by Nelder and Mead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams
from unsquash.dsp.fit_kernels import log_gain_curve
from unsquash.dsp.inverse import invert
from unsquash.errors import InversionError
from unsquash.units import Float64Array

NET_RATE = 44_100.0
HOP_SAMPLES = 64
FINE_SAMPLES, COARSE_SAMPLES = 4, 16
"""Samples that share one step of the recursion: in the final search, and among the random candidates."""

WARM_UP_HOPS = 689
"""The first second of a window, in which the compressor's unknown state is forgotten, does not count."""

RANDOM, STARTS, EVALUATIONS = 240, 3, 110
QUIETEST_RMS = 1e-8
"""Below -160 dBFS no threshold is a level that a compressor can be set to."""

AMOUNT_WEIGHT = 0.03
PRIOR_WEIGHT = 0.002
_DB_PER_NEPER = 20.0 / math.log(10.0)

_NAMES = ("attack", "release", "threshold", "steepness", "knee", "detector")
_MIDDLE = np.array([math.log(12.0), math.log(150.0), -4.0, 0.9, 4.0, math.log(10.0)])
_SPREAD = np.array([1.2, 1.0, 7.0, 1.1, 4.0, 1.2])
_LOWEST = np.array([math.log(0.3), math.log(15.0), -24.0, -1.1, 0.0, math.log(1.0)])
_HIGHEST = np.array([math.log(130.0), math.log(1500.0), 14.0, 3.5, 14.0, math.log(130.0)])
"""Logarithms of milliseconds, dB over the RMS level, logit of 1 − 1/R, dB, logarithm of milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorFit:
    """The compressor that explains an estimate best.

    Attributes:
        params: its settings, for the recording at its present level.
        agreement: correlation of its gain, by the exact inverse, with the network's, 0…1, energy-weighted,
            in dB.
        amount: slope of its gain regressed on the network's; 1 where both are of the same size.
        deviation_db: energy-weighted deviation of its gain.
    """

    params: CompressorParams
    agreement: float
    amount: float
    deviation_db: float

    @property
    def times_ms(self) -> tuple[float, float]:
        """The attack and release that shape the gain most: its own, or without any the detector's."""
        if self.params.smoothing == "none":
            return self.params.detector_attack_ms, self.params.detector_release_ms
        return self.params.attack_ms, self.params.release_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A window as the network hears it.

    Shape:
        magnitude: `(64·n,)`, of the loudest channel at `NET_RATE`, full scale 1; reduction_db: `(n,)`, the
        network's estimate.
    """

    magnitude: Float64Array
    reduction_db: Float64Array


def fit_compressor(windows: Sequence[Heard], *, seed: int = 0) -> CompressorFit | None:
    """Search for the compressor whose gain agrees best with the estimates; None if they do not move.

    Args:
        windows: of one recording; those shorter than two seconds are passed over.
        seed: of the random candidates.
    """
    usable = [window for window in windows if window.reduction_db.size >= 2 * WARM_UP_HOPS]
    search = _Search(usable)
    if not search.is_possible:
        return None
    rng = np.random.default_rng(seed)
    candidates = []
    for smoothed in (False, True):
        for _ in range(RANDOM):
            point = np.clip(_MIDDLE + _SPREAD * rng.standard_normal(len(_NAMES)), _LOWEST, _HIGHEST)
            candidates.append((search.cost(point, smoothed, COARSE_SAMPLES), smoothed, point))
    candidates.sort(key=lambda candidate: candidate[0])
    best: tuple[float, bool, Float64Array] | None = None
    for _, smoothed, point in candidates[:STARTS]:
        corners = np.vstack([point, point + 0.5 * np.diag(_SPREAD)])
        found = scipy.optimize.minimize(
            search.cost,
            point,
            args=(smoothed, FINE_SAMPLES),
            method="Nelder-Mead",
            options={"maxfev": EVALUATIONS, "initial_simplex": corners},
        )
        if best is None or found.fun < best[0]:
            best = (float(found.fun), smoothed, np.clip(found.x, _LOWEST, _HIGHEST))
    if best is None:
        return None
    _, smoothed, point = best
    params = _params(point, smoothed, search.rms)
    try:
        curves = [_exact_reduction_db(window, params) for window in usable]
    except InversionError:
        return None
    agreement, amount, deviation = search.compare(np.concatenate(curves))
    return CompressorFit(
        params=params,
        agreement=min(1.0, max(0.0, agreement)),
        amount=amount,
        deviation_db=deviation,
    )


class _Search:
    """What candidates are measured against."""

    def __init__(self, windows: Sequence[Heard]) -> None:
        self.is_possible = False
        if not windows:
            return
        powers = [np.square(window.magnitude) for window in windows]
        self.rms = math.sqrt(float(np.mean(np.concatenate(powers))))
        if self.rms < QUIETEST_RMS:
            return
        self._levels: dict[int, list[Float64Array]] = {
            step: [np.sqrt(p.reshape(-1, step).mean(axis=1)) / self.rms for p in powers]
            for step in (FINE_SAMPLES, COARSE_SAMPLES)
        }
        estimate = np.concatenate([window.reduction_db[WARM_UP_HOPS:] for window in windows])
        power = np.concatenate([p.reshape(-1, HOP_SAMPLES).mean(axis=1)[WARM_UP_HOPS:] for p in powers])
        weight = power * 10.0 ** (estimate / 10.0)
        self._weight = weight / max(float(weight.sum()), 1e-30)
        self._estimate_db = estimate - float(self._weight @ estimate)
        self._variance = float(self._weight @ np.square(self._estimate_db))
        self.is_possible = self._variance > 1e-6

    def reduction_db(self, point: Float64Array, smoothed: bool, step: int) -> Float64Array:
        """Return a candidate's gain reduction where it counts."""
        curves = []
        for level in self._levels[step]:
            curve = np.empty(level.size * step // HOP_SAMPLES)
            log_gain_curve(
                level, HOP_SAMPLES // step, *_coefficients(point, smoothed, NET_RATE / step), curve
            )
            curves.append(curve[WARM_UP_HOPS:])
        return np.asarray(-_DB_PER_NEPER * np.concatenate(curves))

    def compare(self, reduction_db: Float64Array) -> tuple[float, float, float]:
        """Return correlation with the estimate, slope on it, and deviation in dB."""
        moved = reduction_db - float(self._weight @ reduction_db)
        variance = float(self._weight @ np.square(moved))
        covariance = float(self._weight @ (moved * self._estimate_db))
        correlation = covariance / math.sqrt(max(variance * self._variance, 1e-18))
        return correlation, covariance / self._variance, math.sqrt(variance)

    def cost(self, point: Float64Array, smoothed: bool, step: int) -> float:
        """Return what is to be made small; outside its range a point costs more the farther it is."""
        inside = np.clip(point, _LOWEST, _HIGHEST)
        correlation, amount, _ = self.compare(self.reduction_db(inside, smoothed, step))
        prior = float(np.square((inside - _MIDDLE) / _SPREAD).sum())
        return (
            -correlation
            + AMOUNT_WEIGHT * math.log(max(amount, 1e-2)) ** 2
            + PRIOR_WEIGHT * prior
            + float(np.abs(point - inside).sum())
        )


def _exact_reduction_db(window: Heard, params: CompressorParams) -> Float64Array:
    gain_db = invert(window.magnitude[np.newaxis], NET_RATE, params).gain_db[0]
    return np.asarray(gain_db.reshape(-1, HOP_SAMPLES).mean(axis=1)[WARM_UP_HOPS:])


def _coefficients(
    point: Float64Array, smoothed: bool, rate: float
) -> tuple[float, float, float, tuple[float, float], tuple[float, float]]:
    attack, release, threshold_db, steepness, knee_db, detector = point

    def coefficient(log_ms: float) -> float:
        return smoothing_coefficient(math.exp(log_ms), rate, "1/e")

    ballistics = (coefficient(attack), coefficient(release))
    both = (coefficient(detector), coefficient(detector))
    return (
        10.0 ** (threshold_db / 20.0),
        1.0 / (1.0 + math.exp(-steepness)),
        max(float(knee_db), 1e-3) / 2.0 / _DB_PER_NEPER,
        both if smoothed else ballistics,
        ballistics if smoothed else (1.0, 1.0),
    )


def _params(point: Float64Array, smoothed: bool, rms: float) -> CompressorParams:
    attack, release, threshold_db, steepness, knee_db, detector = map(float, point)
    attack_ms, release_ms, detector_ms = (math.exp(value) for value in (attack, release, detector))
    return CompressorParams(
        threshold_db=threshold_db + 20.0 * math.log10(rms),
        ratio=1.0 + math.exp(steepness),
        detector_attack_ms=detector_ms if smoothed else attack_ms,
        detector_release_ms=detector_ms if smoothed else release_ms,
        attack_ms=attack_ms if smoothed else 0.0,
        release_ms=release_ms if smoothed else 0.0,
        detector="rms",
        link="max",
        knee_db=knee_db,
        smoothing="linear" if smoothed else "none",
        convention="1/e",
    )
