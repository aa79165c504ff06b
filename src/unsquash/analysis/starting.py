"""How a compressor began: at rest, as in a recording made by it from its first sample on, or settled.

A recording may be a part of a longer one; and settings that differ in what they do all the time, which nobody
can hear, differ in how they begin. The inverse would have a ramp there that never was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from unsquash.analysis.listening import Listener
from unsquash.analysis.scorers import peak_dbfs
from unsquash.dsp.compressor import RANGES, CompressorParams
from unsquash.parallel import threads

STEP_DB, DEEPEST_DB = 0.5, 40.0
"""Between the reductions at which it may have settled, and the largest of them."""

SETTLED = 3.0
"""It began at rest if nothing else explains the beginning better than by this, as a logarithm."""


def begun(listeners: Sequence[Listener], params: CompressorParams) -> CompressorParams:
    """Return a compressor with the start that explains best what is heard of the recording's beginning."""
    first, is_like_others = listeners[0], params.kind == "general" and params.mode == "compress"
    if not (first.excerpt.is_first and is_like_others):
        return params
    slope = 1.0 - 1.0 / params.ratio
    over_db = params.ratio * max(0.0, peak_dbfs(listeners) - params.threshold_db)  # at most, before it
    reductions_db = np.arange(STEP_DB, min(slope * over_db, DEEPEST_DB), STEP_DB)
    levels_db = params.threshold_db + reductions_db / slope
    possible_db = levels_db[levels_db <= RANGES["initial_db"][1]]
    ways = [params, *(dataclasses.replace(params, initial_db=float(level_db)) for level_db in possible_db)]
    said = first.rested_log_ratios(ways, at_once=threads())
    best = int(np.argmax(said))
    return ways[best] if said[best] >= said[0] + SETTLED else params
