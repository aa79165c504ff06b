"""Several pieces of a recording at once, in order.

Small convolutions gain little from being divided among threads, and threads that wait for each other in a
loop burn a processor that others want, too. Pieces of a recording need not wait for each other.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LIMIT = "OMP_NUM_THREADS"
MOST_PIECES = 2
CGROUPS = Path("/sys/fs/cgroup")
HEAPS = "MALLOC_ARENA_MAX"
_M_ARENA_MAX = -8


def cores() -> int:
    """Return how many cores this process may use, within the share of a container too."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), granted_cores(CGROUPS) or sys.maxsize)
    return os.cpu_count() or 1


def granted_cores(groups: Path) -> int | None:
    """Return how many cores' time a container may use, rounded up; None where there is no limit.

    Such a limit hides no core: a thread for each of them would mostly wait.

    Args:
        groups: where Linux shows what the control group of this process may do (version 2 or 1).
    """
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # "max" is no number: no limit
        quota_us, period_us = (groups / "cpu.max").read_text().split()
        return max(1, math.ceil(int(quota_us) / int(period_us)))
    with contextlib.suppress(OSError, ValueError):
        former = groups / "cpu"
        quota = int((former / "cpu.cfs_quota_us").read_text())  # -1: no limit
        period = int((former / "cpu.cfs_period_us").read_text())
        return max(1, math.ceil(quota / period)) if quota > 0 and period > 0 else None
    return None


def threads() -> int:
    """Return how many threads may calculate at once: one per core, or as the environment says."""
    wanted = os.environ.get(LIMIT, "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else cores()


def pieces_at_once() -> int:
    """Return how many pieces of some seconds to look at side by side: two, as each needs some 75 MB."""
    return min(threads(), MOST_PIECES)


def share_one_heap() -> None:
    """Let all threads that this process will have take their memory from the same heap.

    With a heap for every thread, as glibc has it, what one thread gave back is out of reach of the others.
    Where there is another C library, or the user said how many heaps there shall be, nothing happens.
    """
    if sys.platform == "linux" and HEAPS not in os.environ:
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_ARENA_MAX, 1)


def in_order(function: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """Yield `function` of every item, in order; up to `at_once` are being worked on meanwhile.

    Items are taken no earlier than there is a thread for them; memory holds no more than these.
    """
    if at_once <= 1:
        yield from map(function, items)
        return
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) >= at_once:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
