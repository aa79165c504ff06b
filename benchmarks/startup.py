"""Time `unsquash --help` beside a bare interpreter: `python benchmarks/startup.py`. Budget: 0.3 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "unsquash --help": [sys.executable, "-m", "unsquash", "--help"],
    "unsquash restore --help": [sys.executable, "-m", "unsquash", "restore", "--help"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):  # side by side, so that a busy moment hits all of them
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    print(f"{'command':26}{'median s':>10}{'best s':>10}")
    for name, measured in times.items():
        print(f"{name:26}{statistics.median(measured):10.3f}{min(measured):10.3f}")


if __name__ == "__main__":
    main()
