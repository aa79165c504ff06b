from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from unsquash import parallel
from unsquash.parallel import cores, granted_cores, in_order, pieces_at_once, share_one_heap, threads


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


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "0 0\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "400000\n"}, None),
    ],
)
def test_a_container_says_how_many_cores_it_grants(
    files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert granted_cores(tmp_path) == expected


def test_no_more_threads_than_a_container_grants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(parallel, "CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)), raising=False)
    assert cores() == threads() == 64
    (tmp_path / "cpu.max").write_text("300000 100000\n")
    assert cores() == threads() == 3


IN_PROGRAM = (
    "import heaps, unsquash.cli as cli; cli.app = lambda: print(heaps.threads_on_the_heap()); cli.main()"
)
IN_WORKER = """
import heaps
from unsquash.batch.pool import run_units
if __name__ == "__main__":
    run_units([0], heaps.in_worker, jobs=2, threads=2, deliver=lambda _, found: print(found))
"""
AS_A_LIBRARY = "import heaps, unsquash; print(heaps.threads_on_the_heap())"


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="only glibc has a heap for every thread, so elsewhere there is nothing to share",
)
@pytest.mark.parametrize(
    ("code", "environment", "expected"),
    [
        (IN_PROGRAM, {}, {4}),
        (IN_WORKER, {}, {4}),
        (IN_PROGRAM, {"MALLOC_ARENA_MAX": "8"}, {0, 1}),
        (AS_A_LIBRARY, {}, {0, 1}),
    ],
)
def test_threads_of_the_program_share_a_heap_unless_the_user_wants_several(
    code: str, environment: dict[str, str], expected: set[int], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    result = subprocess.run(
        [sys.executable, str(script)],
        env=inherited | {"PYTHONPATH": str(Path(__file__).parent)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) in expected


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", called.append)
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    share_one_heap()  # a C library that has no such option
    assert called == [None]
    monkeypatch.setattr(sys, "platform", "win32")
    share_one_heap()
    assert called == [None]
