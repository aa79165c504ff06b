"""How many files at once, and how many threads for each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from unsquash.parallel import LIMIT, cores

_WORKER_BYTES = 400 * 2**20
_NETWORK_BYTES = 900 * 2**20
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_THREAD_VARIABLES = (
    LIMIT,
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def affordable_jobs(*, network: bool) -> int | None:
    """Return for how many files at once the free memory suffices; None where the system does not say."""
    free = available_bytes()
    return None if free is None else max(1, free // (_NETWORK_BYTES if network else _WORKER_BYTES))


def choose_jobs(files: int, *, network: bool, on_gpu: bool) -> int:
    """Return how many files to restore at once: one on a GPU, else what cores and memory allow."""
    if on_gpu:
        return 1
    return max(1, min(cores(), files, affordable_jobs(network=network) or files))


def available_bytes() -> int | None:
    """Return the memory that can still be had, within the limit of a container too."""
    free: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    for limit, used in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return min(free) if free else None


@contextlib.contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let processes that are started meanwhile use at most so many threads each for arithmetic."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
