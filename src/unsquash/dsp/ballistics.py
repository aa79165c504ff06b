"""Time constants: from "attack 10 ms" to the coefficient of a one-pole smoother.

"Attack time" has at least four meanings, and the wrong one costs as much as a decibel of threshold. The
meaning is therefore part of a compressor's parameters, and this is the only place that knows what each says.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from unsquash.errors import OptionError

TimeConstant: TypeAlias = Literal["10-90", "1/e", "juce", "60db", "ffmpeg", "sox"]
TIME_CONSTANTS: tuple[TimeConstant, ...] = get_args(TimeConstant)

# How often e the distance to the target has shrunk after one time constant. The published profiles use 2.2
# for ln 9 (the rise from 10 to 90 %): kept exactly, so that they reproduce.
_EXPONENTS: dict[str, float] = {
    "10-90": 2.2,
    "1/e": 1.0,
    "juce": 2.0 * math.pi,
    "60db": math.log(1000.0),
    "sox": 1.0,
}


def smoothing_coefficient(time_ms: float, sample_rate: float, convention: TimeConstant) -> float:
    """Return the weight of the new value in `state += coefficient · (value − state)`.

    Args:
        time_ms: time constant in milliseconds; 0 follows at once (coefficient 1).
        sample_rate: Hz.
        convention: what the time means; "ffmpeg" is that program's linear approximation, "sox" is
            "1/e" but for times up to one sample, which follow at once.

    Source:
        Gorlow & Reiss 2013, eq. (5), for "10-90".

    Example:
        >>> smoothing_coefficient(0.0, 44100, "10-90")
        1.0
        >>> round(smoothing_coefficient(5.0, 44100, "10-90"), 6)
        0.009928
    """
    if not (time_ms >= 0.0 and sample_rate > 0.0):
        raise OptionError(
            f"a time constant of {time_ms} ms at {sample_rate} Hz makes no sense",
            hint="Times are in milliseconds and not negative.",
        )
    if time_ms == 0.0:
        return 1.0
    samples = time_ms * sample_rate / 1000.0
    if convention == "ffmpeg":
        return min(1.0, 4.0 / samples)
    if convention == "sox" and samples <= 1.0:
        return 1.0
    # Not expm1: the published codes subtract, and their files invert best with the very same coefficient.
    return 1.0 - math.exp(-_EXPONENTS[convention] / samples)
