"""The training audio: decoded once to 44.1 kHz 16-bit stereo, split by artist.

An audio folder holds `catalog.csv` (columns `file`, `kind`, `artist_or_repo`, `licence`, `plr_db`) and the
files it names; there may be several folders. Decoded tracks are kept as one `.npy` per file in a cache
folder and opened memory-mapped.
Rows whose split is `bench` are never opened: they belong to the open benchmark. Those whose split is
`judging` are no training material of the networks.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from unsquash.errors import AudioReadError

SAMPLE_RATE = 44_100
PEAK = 32_000
CATALOG = "catalog.csv"

Part = Literal["train", "judging", "validation"]
"""What the networks learn from, what the judge of a trained one is fitted on, what is held out from all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One row of the catalogue with its decoded samples."""

    file: str
    kind: str
    artist: str
    licence: str
    plr_db: float
    part: Part
    samples: npt.NDArray[np.int16]
    """Shape `(T, 2)`, memory-mapped, peak at ±32000."""


def load_corpus(
    folders: Sequence[Path], cache: Path, *, validation_artists: Collection[str], workers: int = 1
) -> list[Track]:
    """Decode what is not yet in the cache and open every track of the catalogues.

    Raises:
        AudioReadError: A folder has no catalogue, or none of its files could be decoded.
    """
    cache.mkdir(parents=True, exist_ok=True)
    return [track for folder in folders for track in _load(folder, cache, validation_artists, workers)]


def _load(audio: Path, cache: Path, validation_artists: Collection[str], workers: int) -> list[Track]:
    catalog = audio / CATALOG
    if not catalog.is_file():
        raise AudioReadError(f"no {CATALOG} in {audio}", hint="Name the folder of the training audio.")
    with catalog.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] != "bench"]
    missing = [row["file"] for row in rows if not _cached(cache, audio, row["file"]).exists()]
    if missing:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_decode, audio, cache), missing))
    tracks = [_track(row, _cached(cache, audio, row["file"]), validation_artists) for row in rows]
    tracks = [track for track in tracks if len(track.samples)]
    if not tracks:
        raise AudioReadError(
            f"nothing in {audio} could be decoded", hint="Is libsndfile ≥ 1.1 with Opus there?"
        )
    return tracks


def _track(row: dict[str, Any], path: Path, validation_artists: Collection[str]) -> Track:
    split: Part = "judging" if row["split"] == "judging" else "train"
    return Track(
        file=row["file"],
        kind=row["kind"],
        artist=row["artist_or_repo"],
        licence=row["licence"],
        plr_db=float(row["plr_db"] or "nan"),
        part="validation" if row["artist_or_repo"] in validation_artists else split,
        samples=np.load(path, mmap_mode="r"),
    )


def _cached(cache: Path, audio: Path, file: str) -> Path:
    """Name a file of the cache after the folder, wherever it is, and the file in it."""
    folder = audio.resolve()
    place = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return cache / f"{folder.name}-{place}__{file.replace('/', '__')}.npy"


def _decode(audio: Path, cache: Path, file: str) -> None:
    """Decode one file into the cache; what is silent or shorter than a second becomes an empty array."""
    samples, sample_rate = soundfile.read(audio / file, dtype="float32", always_2d=True)
    if samples.shape[1] == 1:
        samples = np.repeat(samples, 2, axis=1)
    samples = soxr.resample(samples[:, :2], sample_rate, SAMPLE_RATE)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-3 or len(samples) < SAMPLE_RATE:
        samples, peak = samples[:0], 1.0
    path = _cached(cache, audio, file)
    partial_path = path.with_suffix(".part.npy")
    np.save(partial_path, np.round(samples * (PEAK / peak)).astype(np.int16))
    partial_path.rename(path)
