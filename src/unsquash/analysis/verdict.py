"""What was found, in the few words that tables, CSV and scripts go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unsquash.analysis.diagnosis import Diagnosis

UNTOUCHED = "untouched"
UNKNOWN = "unknown"


def verdict_of(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return `untouched`, `unknown`, or what was done: `limited` or `compressed`, `clipped`, or two of them.

    `untouched` means that nothing was found, `unknown` that there was nothing to judge: silence.
    """
    dynamics = diagnosis.dynamics
    named = diagnosis.identification is not None and diagnosis.identification.is_sure
    done = [] if dynamics is None or dynamics.verdict == "none" else [str(dynamics.verdict)]
    if named:
        done = ["compressed"]
    if diagnosis.clipping.ceiling_dbfs is not None:
        done.append("clipped")
    if done:
        return tuple(done)
    return (UNKNOWN,) if dynamics is None else (UNTOUCHED,)


def is_squashed(verdict: tuple[str, ...]) -> bool:
    """Return whether a verdict says that anything was done."""
    return verdict not in ((UNTOUCHED,), (UNKNOWN,))
