"""Music for training out of Debian packages: `python -m unsquash.training.gather PACKAGE… --out DIR`.

Free games carry hours of music under free licences, and everybody can fetch exactly the same files. Packages
are downloaded by `apt-get` into `OUT/packages`, or taken from there, and never installed. Out of every
recording long enough comes an excerpt from its middle, as FLAC beside a `catalog.csv` (`training/corpus.py`).
Recordings of which an excerpt is in a folder named by `--unlike` (an open benchmark, what is held out), or
that came up before, are left out: they are known by how their level moves.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import math
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from unsquash.audio import check_target
from unsquash.dsp.loudness import LoudnessMeter
from unsquash.errors import AudioReadError
from unsquash.training.commands import positive_int, run
from unsquash.training.corpus import CATALOG, write_catalog, write_recording
from unsquash.training.recognition import AUDIO, Known, level_movement, recordings, remember
from unsquash.units import Float64Array, FloatArray

ARCHIVES = {".pk3", ".zip"}
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
LEAST_S, MOST_S = 25.0, 90.0
LEAST_RATE = 16_000
PAUSE_S = 0.3
JUDGING_SHARE = 0.25

COLUMNS = (
    "file", "kind", "split", "artist_or_repo", "title", "licence", "start_s", "duration_s", "plr_db",
    "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """An excerpt of a recording, and how the level of the whole moves.

    Shape:
        excerpt: `(T, C)`; envelope: `(n,)`, at `ENVELOPE_HZ`.
    """

    title: str
    sample_rate: int
    start_s: float
    excerpt: FloatArray
    envelope: Float64Array


def gather(root: Path, path: Path) -> Gathered | None:
    """Read a recording and cut the middle out; None for what is short, coarse, silent or no audio."""
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError):
        return None
    seconds = len(samples) / sample_rate
    if seconds < LEAST_S or sample_rate < LEAST_RATE or float(np.abs(samples).max(initial=0.0)) < 0.01:
        return None
    start_s = max(0.0, (seconds - MOST_S) / 2.0)
    start = round(start_s * sample_rate)
    return Gathered(
        title=path.relative_to(root).as_posix(),
        sample_rate=sample_rate,
        start_s=start_s,
        excerpt=samples[start : start + round(MOST_S * sample_rate), :2],
        envelope=level_movement(samples, sample_rate),
    )


def unpack(package: Path, out: Path) -> None:
    """Unpack a Debian package, and archives in it; a damaged archive is passed over.

    Raises:
        AudioReadError: The package itself is damaged.
    """
    try:
        subprocess.run(["dpkg-deb", "-x", str(package), str(out)], check=True)  # noqa: S603, S607
    except subprocess.CalledProcessError as error:
        raise AudioReadError(
            f"{package} cannot be unpacked", hint="Remove it; it is fetched again."
        ) from error
    for archive in [path for path in out.rglob("*") if path.suffix.lower() in ARCHIVES and path.is_file()]:
        with contextlib.suppress(*DAMAGED), zipfile.ZipFile(archive) as packed:
            wanted = [n for n in packed.namelist() if Path(n).suffix.lower() in AUDIO]
            packed.extractall(archive.with_name(f"{archive.name}.d"), wanted)


def licence_of(package: str, root: Path) -> str:
    """Return the short names of all licences that a package's copyright file gives."""
    path = root / "usr/share/doc" / package / "copyright"
    if not path.is_file():
        return "see the package"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    named = {line.split(":", 1)[1].strip() for line in lines if line.startswith("License:")}
    return ", ".join(sorted(name for name in named if name)) or "see the package"


def joined(paths: Sequence[Path]) -> Iterator[Path]:
    """Put short recordings, such as spoken words, end to end, folder by folder; yields the files made."""
    for folder in sorted({path.parent for path in paths}):
        parts: list[FloatArray] = []
        rate = 0
        for path in (path for path in paths if path.parent == folder):
            try:
                samples, rate_here = soundfile.read(path, dtype="float32", always_2d=True)
            except (OSError, RuntimeError):
                continue
            rate = rate or rate_here
            if rate_here == rate:
                pause = np.zeros((round(PAUSE_S * rate), 1), dtype=np.float32)
                parts += [samples.mean(axis=1, keepdims=True), pause]
        if parts:
            together = folder / "joined.wav"
            together.unlink(missing_ok=True)  # a package may have one, or a link that leads out of the folder
            soundfile.write(together, np.concatenate(parts), rate, subtype="FLOAT")
            yield together


def split_of(package: str) -> Literal["train", "judging"]:
    """Leave a share of the packages, chosen by their names, to the judge."""
    return "judging" if hashlib.sha256(package.encode()).digest()[1] < 256 * JUDGING_SHARE else "train"


def fetched(package: str, folder: Path) -> Path:
    """Return the package's file, downloaded where it is not there yet.

    Raises:
        AudioReadError: It cannot be had.
    """
    if not list(folder.glob(f"{package}_*.deb")):
        command = ["apt-get", "download", "-qq", package]
        try:
            done = subprocess.run(command, cwd=folder, check=False)  # noqa: S603
        except FileNotFoundError as error:
            raise AudioReadError(f"cannot download {package}", hint="There is no apt-get here.") from error
        if done.returncode or not list(folder.glob(f"{package}_*.deb")):
            raise AudioReadError(f"cannot download {package}", hint="Is this Debian, and apt's list fresh?")
    return max(folder.glob(f"{package}_*.deb"))


def gather_package(
    package: str, kind: str, out: Path, known: Known, pool: ProcessPoolExecutor
) -> list[dict[str, object]]:
    """Write the excerpts of one package; returns their rows of the catalogue."""
    archive = fetched(package, out / "packages")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(dir=out) as folder:
        root = Path(folder)
        unpack(archive, root)
        paths = recordings(root)
        if kind == "speech":
            paths = list(joined(paths))
        licence = licence_of(package, root)
        for found in pool.map(partial(gather, root), paths):
            if found is None or known.holds(found.envelope):
                continue
            known.add(level_movement(found.excerpt, found.sample_rate))
            name = f"{package}-{len(rows):03d}.flac"
            scale = 1.0 / max(1.0, float(np.abs(found.excerpt).max()))
            write_recording(out / name, found.excerpt * scale, found.sample_rate)
            rows.append({
                "file": name, "kind": kind, "split": split_of(package), "artist_or_repo": f"Debian {package}",
                "title": found.title, "licence": licence, "start_s": round(found.start_s, 1),
                "duration_s": round(len(found.excerpt) / found.sample_rate, 1),
                "plr_db": _plr_db(found), "source": archive.name,
            })  # fmt: skip
    return rows


def _plr_db(found: Gathered) -> float | str:
    """Return the peak over the integrated loudness; nothing where that cannot be told."""
    meter = LoudnessMeter(found.sample_rate, found.excerpt.shape[1])
    meter.push(np.ascontiguousarray(found.excerpt.T))
    loudness_lufs = meter.integrated_lufs()
    if loudness_lufs is None:
        return ""
    peak_dbfs = 20.0 * math.log10(float(np.abs(found.excerpt).max()))
    return round(peak_dbfs - loudness_lufs, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.gather", description=__doc__)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--kind", choices=("mix", "speech"), default="mix", help="speech is joined first")
    parser.add_argument("--unlike", type=Path, nargs="*", default=[], help="folders of audio to leave out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=positive_int, default=2)
    options = parser.parse_args(arguments)
    (options.out / "packages").mkdir(parents=True, exist_ok=True)
    check_target(options.out / CATALOG, overwrite=True)
    known = Known()
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for folder in options.unlike:
            remember(folder, known, pool)
        for package in options.packages:
            try:
                new = gather_package(package, options.kind, options.out, known, pool)
            except AudioReadError as error:
                print(f"{package}: {error} ({error.hint})", flush=True)
                missed.append(package)
                continue
            rows += new
            write_catalog(options.out / CATALOG, rows, COLUMNS)
            print(f"{package}: {len(new)} recordings", flush=True)
    if missed:
        raise AudioReadError(
            f"{len(missed)} of {len(options.packages)} packages could not be had: {' '.join(missed)}",
            hint="The catalogue holds what came of the others; the same command again tries all of them.",
        )


if __name__ == "__main__":
    run(main)
