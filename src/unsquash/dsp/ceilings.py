"""Where a recording was clipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unsquash.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """Where one channel was clipped: linear levels, > 0, of the positive and the negative tops, or None."""

    positive: float | None
    negative: float | None

    def __post_init__(self) -> None:
        if any(level is not None and not 0.0 < level < math.inf for level in (self.positive, self.negative)):
            raise OptionError("a ceiling must be a positive number")
