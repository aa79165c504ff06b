"""The space of compressors that are considered: six coordinates, with or without gain smoothing."""

from __future__ import annotations

import dataclasses

import numpy as np

from unsquash.dsp.compressor import CompressorParams
from unsquash.units import Float64Array

LOWEST = np.array([-60.0, np.log(1.2), np.log(0.5), np.log(0.5), np.log(0.5), np.log(15.0)])
HIGHEST = np.array([-3.0, np.log(20.0), np.log(130.0), np.log(130.0), np.log(500.0), np.log(2000.0)])
"""Threshold in dBFS under a peak of 0; logarithms of ratio, detector and gain times in ms."""

WIDEST_KNEE_DB = 10.0

NOTHING = CompressorParams(threshold_db=0.0, ratio=1.0, smoothing="none")
"""Stands for a recording to which nothing was done."""


def compressor_at(place: Float64Array, *, smoothed: bool) -> CompressorParams:
    """Return the compressor at a place.

    Without gain smoothing the detector has the attack of its own and the release of the gain, and the
    coordinates that are left say how wide the knee is.

    Shape:
        place: `(6,)`, each from 0 to 1.
    """
    threshold, *logarithms = LOWEST + place * (HIGHEST - LOWEST)
    ratio, detector_attack, detector_release, attack, release = map(float, np.exp(logarithms))
    if smoothed:
        return CompressorParams(
            threshold_db=float(threshold),
            ratio=ratio,
            detector_attack_ms=detector_attack,
            detector_release_ms=detector_release,
            attack_ms=attack,
            release_ms=release,
        )
    return CompressorParams(
        threshold_db=float(threshold),
        ratio=ratio,
        detector_attack_ms=detector_attack,
        detector_release_ms=release,
        knee_db=WIDEST_KNEE_DB * float(place[3]),
        smoothing="none",
    )


def with_link(params: CompressorParams) -> CompressorParams:
    """Return the compressor with one gain for all channels, by their maximum if it says nothing of them."""
    return dataclasses.replace(params, link="max") if params.link == "off" else params


def place_of(params: CompressorParams) -> Float64Array:
    """Return where a compressor with gain smoothing lies; outside of 0 to 1 where it is beyond the ranges."""
    times = (
        params.detector_attack_ms,
        params.detector_release_ms,
        params.attack_ms,
        params.release_ms,
    )
    values = np.array([params.threshold_db, *np.log([params.ratio, *np.maximum(times, 1e-3)])])
    return np.asarray((values - LOWEST) / (HIGHEST - LOWEST))
