"""Processes that work on units, each of which may die without taking the others along.

The parent hands a worker one unit at a time through a pipe and reads back what the task says, and in the end
what it returns. A worker whose pipe closes before that has died: its unit is given up, and it is replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar, cast

from unsquash.batch.resources import thread_limit
from unsquash.parallel import share_one_heap

Unit = TypeVar("Unit")
Report = Callable[[Any], None]
_PATIENCE_S = 10.0


class WorkerDied:
    """What a unit comes to when its worker dies.

    Attributes:
        reason: such as "signal 9".
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


def run_units(
    units: Iterable[Unit],
    task: Callable[[Unit, Report], Any],
    *,
    jobs: int,
    threads: int = 1,
    deliver: Callable[[Unit, Any], None],
) -> None:
    """Run a task on every unit; with one job in this process, else in up to `jobs` others.

    Args:
        units: taken one by one, each when there is somebody to work on it.
        task: called with a unit and a function that sends messages; importable by name, like its units.
        jobs: how many units at once.
        threads: for arithmetic, in each process.
        deliver: called here with `(unit, message)` for every message, then for what the task returned, or
            for a `WorkerDied`.
    """
    if jobs == 1:
        for unit in units:
            deliver(unit, task(unit, lambda message, unit=unit: deliver(unit, message)))  # type: ignore[misc]
        return
    team = _Team(task, threads)
    try:
        _share_out(iter(units), team, jobs, deliver)
    except BaseException:
        team.dismiss()
        raise
    team.release()


def _share_out(units: Iterator[Unit], team: _Team, jobs: int, deliver: Callable[[Unit, Any], None]) -> None:
    busy: dict[Connection, Unit] = {}
    left = True
    while left or busy:
        while left and len(busy) < jobs:
            try:
                unit = next(units)
            except StopIteration:
                left = False
                break
            busy[team.give(unit)] = unit
        if not busy:
            return  # waiting for nobody would last for ever
        for connection in cast(list[Connection], wait(list(busy))):
            try:
                is_result, message = connection.recv()
            except (EOFError, OSError):
                deliver(busy.pop(connection), team.bury(connection))
                continue
            if is_result:
                team.take_back(connection)
                deliver(busy.pop(connection), message)
            else:
                deliver(busy[connection], message)


class _Team:
    """The workers, and which of them are idle."""

    def __init__(self, task: Callable[[Any, Report], Any], threads: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._task = task
        self._threads = threads
        self._processes: dict[Connection, Any] = {}
        self._idle: list[Connection] = []

    def give(self, unit: object) -> Connection:
        """Give a unit to an idle worker, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(OSError):  # it died in its sleep
                connection.send(unit)
                return connection
            self.bury(connection)
        connection = self._hire()
        with contextlib.suppress(OSError):  # the same: reading from it will tell
            connection.send(unit)
        return connection

    def take_back(self, connection: Connection) -> None:
        """Note that a worker is idle."""
        self._idle.append(connection)

    def bury(self, connection: Connection) -> WorkerDied:
        """Forget a dead worker, and say what it died of."""
        connection.close()
        process = self._processes.pop(connection)
        _end(process)
        code = process.exitcode
        process.close()
        return WorkerDied(f"signal {-code}" if code is not None and code < 0 else f"exit code {code}")

    def release(self) -> None:
        """Let idle workers go."""
        for connection in self._processes:
            with contextlib.suppress(OSError):
                connection.send(None)
        self._part()

    def dismiss(self) -> None:
        """Interrupt the workers; each tidies up what it was at."""
        for process in self._processes.values():
            process.terminate()
        self._part()

    def _part(self) -> None:
        for connection, process in self._processes.items():
            _end(process)
            connection.close()
            process.close()
        self._processes.clear()

    def _hire(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._task), daemon=True)
        with thread_limit(self._threads), _interrupts_held_back():
            process.start()
        theirs.close()
        self._processes[ours] = process
        return ours


def _end(process: Any) -> None:
    """Wait for a process to end, and kill it where that takes too long."""
    process.join(_PATIENCE_S)
    if process.exitcode is None:
        process.kill()
        process.join()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Block Ctrl-C meanwhile; a process that is started inherits that, so only the parent ever sees it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, task: Callable[[Any, Report], Any]) -> None:
    """Work on what comes through a pipe, until nothing comes any more."""
    share_one_heap()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    with connection, contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        while (unit := connection.recv()) is not None:
            connection.send((True, task(unit, lambda message: connection.send((False, message)))))


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
