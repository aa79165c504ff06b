from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from unsquash.parallel import cores, in_order, pieces_at_once, threads


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_results_come_in_order_and_items_are_not_taken_long_before(at_once: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(20):
            taken += 1
            yield item

    for count, result in enumerate(in_order(lambda item: item * item, items(), at_once)):
        assert result == count * count
        assert taken <= count + at_once
    assert taken == 20


def test_so_many_are_worked_on_side_by_side() -> None:
    together = threading.Barrier(3, timeout=20.0)
    assert len(list(in_order(lambda _item: together.wait(), range(6), 3))) == 6


def test_an_error_ends_it_and_nothing_is_left_running() -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise ValueError("no")
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match="no"):
        list(in_order(fail, range(100), 2))
    assert threading.active_count() == before


def test_the_environment_limits_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads() == pieces_at_once() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert threads() == 16
    assert pieces_at_once() == 2
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert threads() == cores() >= 1


HEAP_PROBE = """
import ctypes, threading
from pathlib import Path
from unsquash import parallel
parallel.share_one_heap()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
pointers, together = [], threading.Barrier(4)
def work():
    together.wait()
    pointers.append(malloc(1000))
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
heap = next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("[heap]"))
low, high = (int(end, 16) for end in heap.split()[0].split("-"))
print(sum(low <= pointer < high for pointer in pointers))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc has heaps per thread"
)
@pytest.mark.parametrize(("environment", "expected"), [({}, {4}), ({"MALLOC_ARENA_MAX": "8"}, {0, 1})])
def test_threads_share_a_heap_unless_the_user_wants_several(
    environment: dict[str, str], expected: set[int]
) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    result = subprocess.run(
        [sys.executable, "-c", HEAP_PROBE],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) in expected
