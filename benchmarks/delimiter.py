"""The published De-limiter, ours in chunks beside the original package on the whole song.

    python benchmarks/delimiter.py [--original PYTHON] [--minutes 5] [--audio FILE...]

`--original` is the interpreter of an environment that has music-de-limiter 0.1.1; without it only ours is
run. Each runs in a process of its own, one after the other, on the same file; the peak is the process's
largest resident size less what it was once everything was imported and loaded. Both read and write the file;
ours also measures it. On a busy machine give `--threads 1` (threads wait for each other) and look at the
processor time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 44_100

COMMON = """
import json, resource, sys, threading, time
import numpy as np, soundfile, torch
torch.set_num_threads(int(sys.argv[3]))

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

peak = [0.0]
def watch():
    while True:
        peak[0] = max(peak[0], resident())
        time.sleep(0.02)
"""
ORIGINAL = (
    COMMON
    + """
from music_de_limiter import load_pretrained_model
net, _ = load_pretrained_model("cpu")
net.eval()
threading.Thread(target=watch, daemon=True).start()
base, began, busy = resident(), time.perf_counter(), time.process_time()
samples, _ = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
with torch.no_grad():
    gain, restored = net(torch.from_numpy(samples.T.copy())[None])
soundfile.write(sys.argv[2], restored[0].numpy().T, 44100, "FLOAT")
seconds, cpu = time.perf_counter() - began, time.process_time() - busy
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mib": peak[0] - base}))
"""
)
OURS = (
    COMMON
    + """
from pathlib import Path
from unsquash.options import RestoreOptions
from unsquash.pipeline import restore_file
from unsquash.stages import network_on
network_on("cpu", sys.argv[4])
threading.Thread(target=watch, daemon=True).start()
base, began, busy = resident(), time.perf_counter(), time.process_time()
options = RestoreOptions(method="neural", model=sys.argv[4], device="cpu", level="keep", bit_depth="32f")
restore_file(Path(sys.argv[1]), Path(sys.argv[2]), options, overwrite=True)
seconds, cpu = time.perf_counter() - began, time.process_time() - busy
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mib": peak[0] - base}))
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--original", help="interpreter that has music-de-limiter 0.1.1")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--audio", type=Path, nargs="*", default=[], help="music to join; by default synthetic"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = folder / "song.wav"
        frames = make_song(song, chosen.audio, chosen.minutes)
        length_s = frames / SAMPLE_RATE
        print(f"{length_s:.0f} s of stereo at {SAMPLE_RATE} Hz, {chosen.threads} threads")
        if chosen.original:
            theirs = measured(chosen.original, ORIGINAL, song, folder / "theirs.wav", chosen.threads)
            print(row("music-de-limiter 0.1.1", theirs, length_s))
        ours = measured(sys.executable, OURS, song, folder / "ours.wav", chosen.threads, "delimiter-2023")
        print(row("unsquash, whole path", ours, length_s))
        if chosen.original:
            agreement(folder / "theirs.wav", folder / "ours.wav")


def measured(
    python: str, code: str, song: Path, out: Path, threads: int, model: str = ""
) -> dict[str, float]:
    """Run one restoration in a process of its own: `seconds`, `cpu` seconds and `peak_mib`."""
    command = [python, "-W", "ignore", "-c", code, str(song), str(out), str(threads), model]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return found


def row(title: str, found: dict[str, float], length_s: float) -> str:
    seconds, cpu, peak = found["seconds"], found["cpu"], found["peak_mib"]
    speed = f"{seconds:6.1f} s ({length_s / seconds:5.1f} x real time)"
    return f"{title:34} {speed}, processor {cpu:6.1f} s, {peak:5.0f} MiB"


def make_song(path: Path, audio: list[Path], minutes: float, *, hard: bool = True) -> int:
    """Write music, driven 6 dB into a hard or soft clip to have something to undo; return its length."""
    wanted = int(minutes * 60 * SAMPLE_RATE)
    pieces = [read_stereo(file) for file in audio] or [synthetic()]
    song = np.concatenate(pieces, axis=0)
    song = np.tile(song, (-(-wanted // len(song)), 1))[:wanted]
    song = song / np.abs(song).max() * 2.0
    song = np.clip(song, -0.97, 0.97) if hard else 0.97 * np.tanh(song)
    soundfile.write(path, song, SAMPLE_RATE, "FLOAT")
    return len(song)


def read_stereo(path: Path) -> np.ndarray:
    import soxr

    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if sample_rate != SAMPLE_RATE:
        samples = soxr.resample(samples, sample_rate, SAMPLE_RATE)
    return np.repeat(samples, 2, axis=1)[:, :2] if samples.shape[1] == 1 else samples[:, :2]


def synthetic() -> np.ndarray:
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal((len(time), 2))
    hits = np.exp(-9.0 * (time % 0.3))[:, np.newaxis] * noise * 0.4
    return (hits + 0.2 * np.sin(2 * np.pi * 110 * time)[:, np.newaxis]).astype(np.float32)


def agreement(theirs: Path, ours: Path) -> None:
    expected, found = (
        soundfile.read(theirs)[0],
        0.5 * soundfile.read(ours)[0],
    )  # the rest of -6.02 dB put back
    expected, found = expected[:-64], found[:-64]  # where the original has no frame any more
    error = found - expected
    snr_db = 10 * np.log10((expected**2).sum() / (error**2).sum())
    print(f"agreement of the outputs: {snr_db:.1f} dB, largest difference {np.abs(error).max():.2e}")


if __name__ == "__main__":
    main()
