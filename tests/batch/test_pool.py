"""Processes that may die one by one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pool_tasks import work

from unsquash.batch import pool
from unsquash.batch.pool import WorkerDied, run_units
from unsquash.batch.resources import affordable_jobs, choose_jobs
from unsquash.parallel import cores

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")


def collect(units, jobs, **keywords):
    delivered = []
    run_units(
        units, work, jobs=jobs, deliver=lambda unit, message: delivered.append((unit, message)), **keywords
    )
    return delivered


def test_one_job_needs_no_process():
    delivered = collect(["a", "report b"], 1)
    assert [unit for unit, _ in delivered] == ["a", "report b", "report b"]
    assert delivered[0][1].split()[0] == str(os.getpid())
    assert delivered[1][1] == "half of b"


@posix_only
def test_a_dead_worker_takes_only_its_unit_along_and_is_replaced():
    units = ["a", "die", "b", "exit 3", "c", "report d", "e"]
    delivered = collect(units, 2, threads=1)
    died = {unit: message.reason for unit, message in delivered if isinstance(message, WorkerDied)}
    assert died == {"die": "signal 9", "exit 3": "exit code 3"}
    done = {unit: message.split() for unit, message in delivered if isinstance(message, str)}
    assert set(done) == {"a", "b", "c", "report d", "e"}
    assert str(os.getpid()) not in {words[0] for words in done.values()}
    assert {words[1] for words in done.values() if words[0] != "half"} == {"1"}
    assert ("report d", "half of d") in delivered


@posix_only
def test_a_worker_that_hangs_up_but_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(pool, "_PATIENCE_S", 0.5)
    delivered = collect(["linger 20", "a"], 2)
    assert {unit: message.reason for unit, message in delivered if isinstance(message, WorkerDied)} == {
        "linger 20": "signal 9"
    }
    assert [unit for unit, message in delivered if isinstance(message, str)] == ["a"]


def wait_for_all(connections):
    """As if the parent had been busy until every worker had something to say."""
    assert connections, "nobody is there to wait for"
    for connection in connections:
        connection.poll(None)
    return connections


@pytest.mark.parametrize("units", [[], ["a", "b"]])
def test_the_end_is_seen_when_all_workers_are_done_at_once(monkeypatch, units):
    monkeypatch.setattr(pool, "wait", wait_for_all)
    delivered = collect(iter(units), 2)
    assert sorted({unit for unit, _ in delivered}) == units


@posix_only
def test_an_error_in_the_parent_lets_the_workers_tidy_up(tmp_path):
    marks = [tmp_path / "1", tmp_path / "2"]

    def units():
        yield from (f"sleep {mark}" for mark in marks)
        while not all(mark.exists() and mark.read_text() for mark in marks):
            time.sleep(0.05)
        pids.extend(int(mark.read_text()) for mark in marks)
        raise KeyboardInterrupt

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        collect(units(), 3)
    assert list(tmp_path.iterdir()) == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@posix_only
def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    code = (
        "from pool_tasks import work\n"
        "from unsquash.batch.pool import run_units\n"
        "if __name__ == '__main__':\n"
        "    def units():\n"
        "        yield 'a'\n"
        "        yield 'b'\n"
        "        import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
        "    run_units(units(), work, jobs=2, deliver=lambda u, m: print(m.split()[0], flush=True))\n"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=here)
    assert done.returncode == -9
    assert done.stdout
    for pid in map(int, done.stdout.split()):
        for _ in range(200):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("a worker lives on")


def test_the_number_of_jobs_is_bounded_by_files_and_cores():
    assert choose_jobs(1, network=False, on_gpu=False) == 1
    assert choose_jobs(1000, network=False, on_gpu=True) == 1
    assert 1 <= choose_jobs(1000, network=True, on_gpu=False) <= cores()


def test_the_number_of_jobs_is_bounded_by_memory(monkeypatch):
    monkeypatch.setattr("unsquash.batch.resources.available_bytes", lambda: 2**30)
    monkeypatch.setattr("unsquash.batch.resources.cores", lambda: 16)
    assert affordable_jobs(network=True) == 1
    assert choose_jobs(1000, network=True, on_gpu=False) == 1
    assert choose_jobs(1000, network=False, on_gpu=False) == 2
    monkeypatch.setattr("unsquash.batch.resources.available_bytes", lambda: None)
    assert choose_jobs(1000, network=True, on_gpu=False) == 16
