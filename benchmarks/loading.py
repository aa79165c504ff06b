"""How long it takes, once torch is imported, until a model is verified, loaded and ready.

    python benchmarks/loading.py [NAME...]

Each start is a process of its own; the median and the fastest of nine are shown.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = """
import sys, time, torch
began = time.perf_counter()
from unsquash.weights import load_net
load_net(sys.argv[1])
print(time.perf_counter() - began)
"""
STARTS = 9


def main() -> None:
    for name in sys.argv[1:] or ["gain-small"]:
        command = [sys.executable, "-c", CODE, name]
        runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(STARTS)]
        seconds = [float(run.stdout) for run in runs]
        print(f"{name:16} median {statistics.median(seconds):.3f} s, fastest {min(seconds):.3f} s")


if __name__ == "__main__":
    main()
