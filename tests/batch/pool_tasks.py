"""Tasks that worker processes import by name."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path


def work(unit, report):
    """Do what the unit says."""
    verb, _, value = unit.partition(" ")
    if verb == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if verb == "exit":
        os._exit(int(value))
    if verb == "linger":
        threading.Thread(target=time.sleep, args=(float(value),)).start()
        sys.exit()
    if verb == "report":
        report(f"half of {value}")
    if verb == "sleep":
        Path(value).write_text(str(os.getpid()))
        try:
            time.sleep(600)
        finally:
            Path(value).unlink()
    return f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {unit}"
