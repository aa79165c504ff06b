from __future__ import annotations

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
