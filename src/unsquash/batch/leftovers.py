"""Temporary files of processes that were killed."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from unsquash.audio.atomic import machine_id

_NAME = re.compile(r"\.tmp-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}$")
_CLOCK_SLACK_S = 2.0
_STALE_AFTER_S = 86_400.0  # where processes cannot be asked about


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files of dead processes in an output folder; return how many there were.

    Those of other machines and containers go a day after they were last written to.
    """
    removed = 0
    for at, _, names in os.walk(folder):
        for name in names:
            match = _NAME.search(name)
            if match is None:
                continue
            path = Path(at, name)
            with contextlib.suppress(OSError):
                written_s = path.stat().st_mtime
                is_known = match[2] == machine_id() and os.name != "nt"
                is_alive = _is_alive(int(match[1]), written_s) if is_known else _is_recent(written_s)
                if not is_alive:
                    path.unlink()
                    removed += 1
    return removed


def _is_recent(written_s: float) -> bool:
    return time.time() - written_s < _STALE_AFTER_S


def _is_alive(pid: int, written_s: float) -> bool:
    """Return whether the process that wrote a file at a given time may still be at work on it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    state, started_s = _state_and_start(pid)
    if state in ("Z", "X"):
        return False  # killed, and only not yet collected by its parent
    return started_s is None or started_s <= written_s + _CLOCK_SLACK_S


def _state_and_start(pid: int) -> tuple[str, float | None]:
    """Return a process's state and when it began, where the system says.

    One that began after the file was written has only got the same number.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return fields[0], int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return "", None
