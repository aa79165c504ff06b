"""Whole-file neural restoration with the default network, beside the published De-limiter.

    python benchmarks/restore.py [--original PYTHON] [--minutes 5] [--audio FILE...] [--rounds 3]

`--original` is the interpreter of an environment that has music-de-limiter 0.1.1; `delimiter-2023` in this
program's own path is measured where its weights are on this machine. Every run is a process of its own, one
after the other on the same song, round by round; the fastest of each counts. What is imported and loaded
before the first sample is left out of time and memory. Ours reads, measures, judges, restores, writes. The
song is driven into a soft clip: there are no flat tops, so that networks are compared, not declipping.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from delimiter import ORIGINAL, OURS, SAMPLE_RATE, make_song, measured, row

from unsquash.options import DEFAULT_MODEL
from unsquash.weights import find_entry, status


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--original", help="interpreter that has music-de-limiter 0.1.1")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--audio", type=Path, nargs="*", default=[], help="music to join; by default synthetic"
    )
    chosen = parser.parse_args()
    runs = {DEFAULT_MODEL: (sys.executable, OURS, DEFAULT_MODEL)}
    if status(find_entry("delimiter-2023")).path is not None:
        runs["delimiter-2023 in our path"] = (sys.executable, OURS, "delimiter-2023")
    if chosen.original:
        runs["music-de-limiter 0.1.1"] = (chosen.original, ORIGINAL, "")
    with tempfile.TemporaryDirectory() as name:
        song = Path(name) / "song.wav"
        length_s = make_song(song, chosen.audio, chosen.minutes, hard=False) / SAMPLE_RATE
        print(f"{length_s:.0f} s of stereo at {SAMPLE_RATE} Hz, {chosen.threads} threads")
        best: dict[str, dict[str, float]] = {}
        for _ in range(chosen.rounds):
            for title, (python, code, model) in runs.items():
                found = measured(python, code, song, Path(name) / "out.wav", chosen.threads, model)
                kept = best.setdefault(title, found)
                best[title] = {key: min(value, found[key]) for key, value in kept.items()}
    for title, found in best.items():
        times = found["seconds"] / best[DEFAULT_MODEL]["seconds"]
        processor = found["cpu"] / best[DEFAULT_MODEL]["cpu"]
        print(f"{row(title, found, length_s)}; {times:.1f} x our time, {processor:.1f} x our processor time")


if __name__ == "__main__":
    main()
