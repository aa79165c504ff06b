"""What two programs do otherwise than the family of compressors in `unsquash.dsp.compressor`.

Sources:
    SC4: the published source of the LADSPA plug-in 1882, S. Harris, swh-plugins.
    sox: the documentation and the published source of its effect "compand".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from unsquash.errors import OptionError
from unsquash.units import Float64Array, db_to_linear

if TYPE_CHECKING:
    from unsquash.dsp.compressor import CompressorParams

Float32Array: TypeAlias = npt.NDArray[np.float32]

SC4_RING = 64  # means of four squared samples each
SC4_MEMORY = SC4_RING + 9

# The plug-in's own limits, and the settings it has no knob for.
_SC4_RANGES = {
    "threshold_db": (-30.0, 0.0),
    "ratio": (1.0, 20.0),
    "detector_attack_ms": (1.5, 400.0),
    "detector_release_ms": (2.0, 800.0),
    "knee_db": (1.0, 10.0),
}
_SC4_FIXED: dict[str, object] = {
    "detector": "rms",
    "mode": "compress",
    "link": "max",
    "smoothing": "none",
    "convention": "1/e",
    "initial_db": None,
}
_SC4_LARGEST_MAKEUP_DB = 24.0
_SOX_SMALLEST_KNEE_DB = 0.01
_NEPER_DB = 20.0 / math.log(10.0)


class Knee(NamedTuple):
    """The rounded corner of the static curve: `ln f = bend·t² + tilt·t`, t from start to stop in ln u."""

    start: float
    stop: float
    bend: float
    tilt: float


def check(params: CompressorParams) -> None:
    """Refuse what the program that `params.kind` names cannot be set to."""
    if params.kind == "sc4":
        for name, (low, high) in _SC4_RANGES.items():
            value = getattr(params, name)
            if not low <= value <= high:
                raise OptionError(
                    f"SC4 has no {name.removeprefix('detector_')} of {value}",
                    hint=f"The plug-in's runs from {low:g} to {high:g}.",
                )
        for name, only in _SC4_FIXED.items():
            if getattr(params, name) != only:
                raise OptionError(
                    f"SC4 cannot be set to {name} {getattr(params, name)!r}",
                    hint="It has threshold, ratio, attack, release, knee, makeup and peak-share.",
                )
    elif params.peak_share != 0.0:
        raise OptionError(
            "only SC4 mixes its level from two detectors", hint="Choose the detector: peak or rms."
        )
    if params.kind == "sox":
        if not params.threshold_db < 0.0:
            raise OptionError(
                f"compand cannot have a threshold of {params.threshold_db} dB",
                hint="The points of its transfer function lie below 0 dB.",
            )
        if params.detector != "peak" or params.mode != "compress" or params.smoothing != "none":
            raise OptionError(
                "compand follows peaks, compresses, and does not smooth its gain",
                hint="Leave detector, mode and smoothing out.",
            )


def memory_size(params: CompressorParams) -> int:
    """Return how many numbers SC4 remembers per channel; the general compressor needs none of them."""
    return SC4_MEMORY if params.kind == "sc4" else 0


def makeup(params: CompressorParams) -> float:
    """Return the constant gain after the compressor, linear.

    SC4 reads its own from a table, up to 10⁻⁴ dB beside the setting; gains that it has not are not its own.
    """
    if params.kind == "sc4" and 0.0 <= params.makeup_db <= _SC4_LARGEST_MAKEUP_DB:
        return sc4_amplitude(params.makeup_db)
    return db_to_linear(params.makeup_db)


def sc4_tables() -> tuple[Float64Array, Float64Array]:
    """Return SC4's tables: amplitudes of −60 to 24 dB and decibels of amplitudes 0 to 9, 1024 steps each."""
    steps = np.arange(1024) / 1024.0
    return 10.0 ** ((84.0 * steps - 60.0) / 20.0), 20.0 * np.log10(9.0 * steps + 2e-10)


def sc4_amplitude(level_db: float) -> float:
    """Convert decibels as SC4 does: between the entries of its table, straight."""
    amplitudes, _ = sc4_tables()
    scale = (level_db + 60.0) * 1024.0 / 84.0
    return float(np.interp(min(scale, 1022.0), np.arange(1024), amplitudes))


def knee(params: CompressorParams, slope: float, order: float) -> Knee:
    """Return the knee in units of the detector's state.

    Args:
        params: the settings.
        slope: `d ln f / d ln u` beyond the knee.
        order: p of the detector.
    """
    if params.kind == "sox":
        return _sox_knee(params, slope)
    half = 0.5 * order * params.knee_db / _NEPER_DB
    return Knee(-half, half, slope / (4.0 * half) if half > 0.0 else 0.0, 0.0)


def _sox_knee(params: CompressorParams, slope: float) -> Knee:
    """Return sox's knee: the parabola through three points of the plane of level and gain, in nepers.

    These are the points a radius before and behind the corner, along the lines that meet there, and the
    centre of gravity of the two and the corner. The radius is at most half the line up to 0 dBFS.
    """
    radius = max(params.knee_db, _SOX_SMALLEST_KNEE_DB) / _NEPER_DB
    length = math.hypot(1.0, slope)
    behind = min(radius, -0.5 * params.threshold_db / _NEPER_DB * length)
    stop, gain = behind / length, behind / length * slope
    width = stop + radius
    middle, middle_gain = (width + radius) / 3.0, gain / 3.0
    bend = (gain / width - middle_gain / middle) / (width - middle)
    return Knee(-radius, stop, bend, middle_gain / middle - bend * middle)
