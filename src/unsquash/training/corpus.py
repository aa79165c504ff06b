"""The training audio: decoded once to 44.1 kHz 16-bit stereo, split by artist.

An audio folder holds `catalog.csv` (columns `file`, `kind`, `split`, `artist_or_repo`, `licence`, `plr_db`)
and the files it names; there may be several folders. Decoded tracks are kept as one `.npy` per file in a
cache folder and opened memory-mapped; a file that has changed since is decoded again.
Rows whose split is `bench` are never opened: they belong to the open benchmark. Those whose split is
`judging` are no training material of the networks.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from unsquash.errors import AudioReadError
from unsquash.training.commands import write_file
from unsquash.units import FloatArray

SAMPLE_RATE = 44_100
PEAK = 32_000
CATALOG = "catalog.csv"
COLUMNS = ("file", "kind", "split", "artist_or_repo", "licence", "plr_db")
KINDS = ("mix", "score", "stem", "loop", "speech")
SPLITS = ("train", "judging", "bench")
SAME_TIME_S = 2.0
"""The coarsest file systems count by it."""

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
        AudioReadError: A folder has no sound catalogue, a file is missing or damaged, or nothing is left.
    """
    cache.mkdir(parents=True, exist_ok=True)
    return [track for folder in folders for track in _load(folder, cache, validation_artists, workers)]


def choose(corpus: Sequence[Track], part: Part, *kinds: str) -> list[Track]:
    """Return the tracks of one part of the corpus, of these kinds only if any are given.

    Raises:
        AudioReadError: There is none.
    """
    tracks = [track for track in corpus if track.part == part and (not kinds or track.kind in kinds)]
    if not tracks:
        what = f"of kind {' or '.join(kinds)}" if kinds else "at all"
        hints = {
            "train": "All artists of the catalogues are held out, or left to the judge.",
            "judging": f"No row of the kind has the split 'judging' in {CATALOG}.",
            "validation": "Is one of the recipe's validation_artists in the catalogues?",
        }
        raise AudioReadError(f"no audio {what} in the part '{part}' of the corpus", hint=hints[part])
    return tracks


def write_catalog(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write a catalogue, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    catalog = io.StringIO(newline="")
    writer = csv.DictWriter(catalog, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, catalog.getvalue().encode())


def write_recording(path: Path, samples: FloatArray, sample_rate: int) -> None:
    """Write a recording as 16-bit FLAC, whole or not at all.

    Shape:
        samples: `(T, C)`.

    Raises:
        OutputError: It cannot be written.
    """
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, sample_rate, format="FLAC", subtype="PCM_16")
    write_file(path, encoded.getvalue())


def _load(audio: Path, cache: Path, validation_artists: Collection[str], workers: int) -> list[Track]:
    rows = [row for row in _rows(audio / CATALOG) if row["split"] != "bench"]
    missing = [row["file"] for row in rows if not _is_decoded(cache, audio, row["file"])]
    absent = [file for file in missing if not (audio / file).is_file()]
    if absent:
        raise AudioReadError(
            f"{len(absent)} of the files in {audio / CATALOG} are missing, such as {absent[0]}",
            hint="Paths are relative to the folder of the catalogue.",
        )
    if missing:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_decode, audio, cache), missing))
    tracks = [_track(row, _cached(cache, audio, row["file"]), validation_artists) for row in rows]
    tracks = [track for track in tracks if len(track.samples)]
    if not tracks:
        raise AudioReadError(
            f"nothing in {audio} is of use", hint="What is silent, or shorter than a second, does not count."
        )
    return tracks


def _rows(catalog: Path) -> list[dict[str, str]]:
    """Read a catalogue and check what would otherwise be passed over in silence."""
    if not catalog.is_file():
        raise AudioReadError(
            f"no {CATALOG} in {catalog.parent}", hint="Name the folder of the training audio."
        )
    try:
        with catalog.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AudioReadError(f"cannot read {catalog}: {error}", hint="It has to be CSV in UTF-8.") from error
    if lacking:
        raise AudioReadError(
            f"{catalog} lacks the column {lacking[0]}", hint=f"It needs {', '.join(COLUMNS)}."
        )
    for number, row in enumerate(rows, start=2):
        if (problem := _problem(row)) is not None:
            raise AudioReadError(f"{catalog}, row {number}: {problem}", hint="See docs/training.md.")
    return rows


def _problem(row: dict[str, str]) -> str | None:
    if any(row[column] is None for column in COLUMNS):
        return "fields are missing"
    if row["split"] not in SPLITS:
        return f"the split is '{row['split']}', not one of {', '.join(SPLITS)}"
    if row["split"] == "bench":
        return None
    if row["kind"] not in KINDS:
        return f"the kind is '{row['kind']}', not one of {', '.join(KINDS)}"
    try:
        float(row["plr_db"] or "nan")
    except ValueError:
        return f"plr_db is '{row['plr_db']}', no number"
    return None


def _track(row: dict[str, str], path: Path, validation_artists: Collection[str]) -> Track:
    split: Part = "judging" if row["split"] == "judging" else "train"
    try:
        samples = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise AudioReadError(f"cannot read {path}: {error}", hint="Remove it from the cache.") from error
    return Track(
        file=row["file"],
        kind=row["kind"],
        artist=row["artist_or_repo"],
        licence=row["licence"],
        plr_db=float(row["plr_db"] or "nan"),
        part="validation" if row["artist_or_repo"] in validation_artists else split,
        samples=samples,
    )


def _cached(cache: Path, audio: Path, file: str) -> Path:
    """Name a file of the cache after the folder, wherever it is, and the file in it."""
    folder = audio.resolve()
    place = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return cache / f"{folder.name}-{place}__{file.replace('/', '__')}.npy"


def _is_decoded(cache: Path, audio: Path, file: str) -> bool:
    """Return whether a file is in the cache as it is now, or as it was when it was last there.

    What is decoded has the time of its file, whatever that is: some are of the future.
    """
    decoded, source = _cached(cache, audio, file), audio / file
    if not decoded.exists():
        return False
    return not source.exists() or abs(source.stat().st_mtime - decoded.stat().st_mtime) < SAME_TIME_S


def _decode(audio: Path, cache: Path, file: str) -> None:
    """Decode one file into the cache; what is silent or shorter than a second becomes an empty array."""
    try:
        changed_s = (audio / file).stat().st_mtime
        samples, sample_rate = soundfile.read(audio / file, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AudioReadError(
            f"cannot decode {audio / file}: {error}", hint="Is libsndfile ≥ 1.1 with Opus there?"
        ) from error
    if not np.isfinite(samples).all():
        raise AudioReadError(f"{audio / file} holds samples that are no numbers", hint="Leave it out.")
    if samples.shape[1] == 1:
        samples = np.repeat(samples, 2, axis=1)
    samples = soxr.resample(samples[:, :2], sample_rate, SAMPLE_RATE)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-3 or len(samples) < SAMPLE_RATE:
        samples, peak = samples[:0], 1.0
    encoded = io.BytesIO()
    np.save(encoded, np.round(samples * (PEAK / peak)).astype(np.int16))
    decoded = _cached(cache, audio, file)
    write_file(decoded, encoded.getvalue())
    os.utime(decoded, (changed_s, changed_s))
