"""Time the exact inverse beside the published one, `drcinv` (extra `bench`), on every published profile.

    python benchmarks/inverse.py                     the demo song, 5 s mono at 44.1 kHz
    python benchmarks/inverse.py --audio music.flac  5 s from the middle of a recording
    python benchmarks/inverse.py --profiles five/A thirty/12 --seconds 2

Each figure is CPU time of one core, the least of several runs for ours; drcinv runs once with each of its two
solvers and the faster counts. The SDR is of the round trip original → squash → inverse in double precision.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import drcinv
import numpy as np
import soundfile

from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile, profile_names
from unsquash.units import Float64Array

SONG = Path(__file__).parent.parent / "examples" / "song.py"
OUR_RUNS = 25


def material(audio: Path | None, seconds: float) -> tuple[Float64Array, int]:
    """Return a mono excerpt with a peak of 1."""
    if audio is None:
        spec = importlib.util.spec_from_file_location("song", SONG)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{SONG} is missing")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        samples, rate = module.song(bars=3), 44100
    else:
        read, rate = soundfile.read(audio, always_2d=True)
        samples = read.T
    length = round(seconds * rate)
    start = max(0, (samples.shape[1] - length) // 2)
    mono = samples.mean(axis=0)[start : start + length]
    return mono / np.max(np.abs(mono)), rate


def cpu_time(call: Callable[[], Float64Array], runs: int) -> tuple[float, Float64Array]:
    """Return the least CPU time of several runs, and the result."""
    best = math.inf
    for _ in range(runs):
        started = time.process_time()
        result = call()
        best = min(best, time.process_time() - started)
    return best, result


def sdr_db(reference: Float64Array, other: Float64Array) -> float:
    error = float(np.sum((reference - other) ** 2))
    return 10.0 * math.log10(float(np.sum(reference**2)) / error) if error > 0.0 else math.inf


def theirs(params: CompressorParams) -> list[float]:
    """Return the parameters in drcinv's order and units."""
    times_ms = (params.detector_attack_ms, params.detector_release_ms, params.attack_ms, params.release_ms)
    order = 2 if params.detector == "rms" else 1
    return [params.threshold_db, params.ratio, *(ms / 1000.0 for ms in times_ms), order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--profiles", nargs="+", default=[name for name in profile_names() if "/" in name])
    options = parser.parse_args()
    x, rate = material(options.audio, options.seconds)
    invert(x[np.newaxis, :100], rate, load_profile("five/A"))  # compiles, or loads what was compiled

    print(
        "| profile | unsquash | × real time | SDR | drcinv hybr | SDR | drcinv brentq | SDR | times faster |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    ratios, speeds, accuracies = [], [], []
    for name in options.profiles:
        params = load_profile(name)
        squashed = compress(x[np.newaxis], rate, params).samples
        q, y = theirs(params), squashed[0]
        our_s, restored = cpu_time(lambda s=squashed, p=params: invert(s, rate, p).samples[0], OUR_RUNS)  # type: ignore[misc]
        hybr_s, hybr = cpu_time(lambda y=y, q=q: drcinv.drc_inverse(y, rate, q, optim="hybr"), 1)  # type: ignore[misc]
        brentq_s, brentq = cpu_time(lambda y=y, q=q: drcinv.drc_inverse(y, rate, q, optim="brentq"), 1)  # type: ignore[misc]
        again_s, _ = cpu_time(lambda s=squashed, p=params: invert(s, rate, p).samples[0], OUR_RUNS)  # type: ignore[misc]
        our_s = min(our_s, again_s)
        ratios.append(min(hybr_s, brentq_s) / our_s)
        speeds.append(len(x) / rate / our_s)
        accuracies.append(sdr_db(x, restored))
        print(
            f"| {name} | {1000 * our_s:.2f} ms | {speeds[-1]:.0f} | {accuracies[-1]:.0f} dB "
            f"| {hybr_s:.2f} s | {sdr_db(x, hybr):.0f} dB | {brentq_s:.2f} s | {sdr_db(x, brentq):.0f} dB "
            f"| {ratios[-1]:.0f} |",
            flush=True,
        )
    print(
        f"\nTimes faster than drcinv's faster solver: at least {min(ratios):.0f}, "
        f"median {statistics.median(ratios):.0f}. "
        f"Times real time: at least {min(speeds):.0f}. SDR: at least {min(accuracies):.0f} dB."
    )


if __name__ == "__main__":
    main()
