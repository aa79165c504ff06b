"""Time a folder of tracks with one job and with several: `python benchmarks/batch.py [METHOD FLAGS]`.

The runs alternate, so that a busy moment hits both. Beside wall time stands processor time, all processes
together: where other programs keep the cores busy, wall time flatters several jobs, and processor time tells
what several jobs cost.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

import unsquash

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from song import song

TRACKS = 40
SECONDS = float(os.environ.get("BENCH_SECONDS", "30"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
JOBS = (1, 2)


def make_tracks(folder: Path) -> None:
    options = unsquash.SquashOptions(drive_db=9.0, ceiling_db=-1.0)
    bars = 8
    original = song(bars=bars)
    while original.shape[1] < SECONDS * 44100:
        original = np.concatenate((original, original), axis=1)
    squashed = unsquash.squash(original[:, : int(SECONDS * 44100)], 44100, options)
    for number in range(TRACKS):
        soundfile.write(
            folder / f"{number:02d}.flac", np.roll(squashed, number * 9999, axis=1).T, 44100, "PCM_16"
        )


def measure(folder: Path, jobs: int, flags: list[str]) -> tuple[float, float]:
    """Return wall and processor seconds of one run."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "unsquash", "restore", str(folder), "-o", out, "-j", str(jobs), "-q"]
        before = os.times()
        began = time.perf_counter()
        subprocess.run([*command, *flags], check=True)
        wall_s = time.perf_counter() - began
        after = os.times()
        assert len(list(Path(out).glob("*.flac"))) == TRACKS
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s, cpu_s


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def main() -> None:
    flags = sys.argv[1:] or ["--method", "neural"]
    folder = Path(tempfile.mkdtemp(prefix="unsquash-bench-"))
    try:
        make_tracks(folder)
        print(f"{TRACKS} tracks of {SECONDS:g} s, {os.cpu_count()} cores, {load()}, {' '.join(flags)}")
        runs: dict[int, list[tuple[float, float]]] = {jobs: [] for jobs in JOBS}
        for _ in range(ROUNDS):
            for jobs in JOBS:
                wall_s, cpu_s = measure(folder, jobs, flags)
                runs[jobs].append((wall_s, cpu_s))
                print(f"  {jobs} jobs: {wall_s:7.2f} s wall, {cpu_s:7.2f} s of processor, {load()}")
    finally:
        shutil.rmtree(folder)
    wall, cpu = ([statistics.median(run[what] for run in runs[jobs]) for jobs in JOBS] for what in (0, 1))
    print(f"{JOBS[1]} jobs: {wall[0] / wall[1]:.2f} x as fast, {cpu[1] / cpu[0]:.2f} x the processor time")


if __name__ == "__main__":
    main()
