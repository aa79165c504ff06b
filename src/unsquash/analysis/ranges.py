"""Between what the settings of a compressor lie that was searched for.

What is searched for is the gain, and compressors with quite different settings may have nearly the same. So a
range is what the truth lay in for eight of ten held-out compressors, relative to what was found, one in ten
being lower and one higher.
"""

from __future__ import annotations

import math

from unsquash.analysis.space import HIGHEST
from unsquash.dsp.compressor import CompressorParams

LIKELY_OFFSETS_DB = (-1.0, 2.1)
LIKELY_RATIO_FACTORS = (0.8, 1.8)
LIKELY_ATTACK_FACTORS = (0.8, 3.4)
LIKELY_RELEASE_FACTORS = (0.45, 1.2)
"""Of true settings over those found, held-out artists, docs/training.md."""

GREATEST_RATIO = math.exp(float(HIGHEST[1]))


def settings_of(params: CompressorParams) -> dict[str, float]:
    """Return the settings that matter most; the times are the gain's, or without any the detector's."""
    own = params.smoothing != "none"
    return {
        "threshold_db": params.threshold_db,
        "ratio": params.ratio,
        "attack_ms": params.attack_ms if own else params.detector_attack_ms,
        "release_ms": params.release_ms if own else params.detector_release_ms,
    }


def likely_ranges(params: CompressorParams) -> dict[str, tuple[float, float]]:
    """Return between what each of `settings_of` probably was."""
    settings = settings_of(params)
    low_db, high_db = (min(0.0, settings["threshold_db"] + offset) for offset in LIKELY_OFFSETS_DB)
    ratios = [settings["ratio"] * factor for factor in LIKELY_RATIO_FACTORS]
    least, most = (min(GREATEST_RATIO, max(1.0, ratio)) for ratio in ratios)
    ranges = {"threshold_db": (low_db, high_db), "ratio": (least, most)}
    for name, factors in (("attack_ms", LIKELY_ATTACK_FACTORS), ("release_ms", LIKELY_RELEASE_FACTORS)):
        ranges[name] = (settings[name] * factors[0], settings[name] * factors[1])
    return ranges
