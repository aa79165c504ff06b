"""A process that has everything loaded and forks the command line: arguments in, pid and status out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import unsquash.batch.run
import unsquash.cli
import unsquash.engines.model_based
import unsquash.live
from unsquash.options import RestoreOptions
from unsquash.pipeline import restore_file


def main() -> None:
    """Serve until stdin ends."""
    source, target, profile = sys.argv[1:4]
    restore_file(Path(source), Path(target), RestoreOptions(profile=profile))  # compiles what is compiled
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            unsquash.cli.app(json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
