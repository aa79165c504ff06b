"""Where threads get their memory from; for scripts that tests run."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

THREADS = 4


def threads_on_the_heap() -> int:
    """Return how many of `THREADS` threads get memory from the heap that the process began with."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    pointers: list[int] = []
    together = threading.Barrier(THREADS)

    def work() -> None:
        together.wait()
        pointers.append(malloc(1000))
        together.wait()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heap = next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("[heap]"))
    low, high = (int(end, 16) for end in heap.split()[0].split("-"))
    return sum(low <= pointer < high for pointer in pointers)


def in_worker(_unit: object, _report: object) -> int:
    """Tell the same of a worker."""
    return threads_on_the_heap()
