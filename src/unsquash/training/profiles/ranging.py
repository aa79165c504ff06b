"""How often settings lie in their ranges: `python -m unsquash.training.profiles.ranging RECIPE` and places.

Pieces of held-out artists are compressed with random settings by the seven-parameter model and by programs'
compressors, their level is changed, and `analyze` looks for a compressor that has no name. Counted is where
the truth lies within `analysis.ranges`, where it lies lower or higher, and how it relates to what was found.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unsquash.analysis.diagnosis import Diagnosis, analyze
from unsquash.analysis.ranges import settings_of
from unsquash.analysis.space import LOWEST, compressor_at
from unsquash.audio import ArraySource, check_target
from unsquash.dsp.ballistics import smoothing_coefficient
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.profiles import load_profile
from unsquash.options import DEFAULT_MODEL
from unsquash.stages import suspects_of
from unsquash.training.commands import positive_int, run, write_json
from unsquash.training.corpus import SAMPLE_RATE, choose, load_corpus
from unsquash.training.profiles.restoring import draw_original
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.units import Float64Array, db_to_linear
from unsquash.weights import load_gain_net

MODEL = "model"
PROGRAMS = ("sc4", "ffmpeg-acompressor")
PIECE_S = 30.0
GENTLEST_RATIO = 1.5
THRESHOLD_TO_RMS_DB, THRESHOLD_SPREAD_DB = -2.0, 5.0
LOUDEST_DBFS, LEVEL_CHANGE_DB = -3.0, 8.0
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One piece: how it was made, what the settings were, and what was found (None where nothing was).

    Attributes:
        true: as from `settings_of`, in the terms of what is found.
        found: likewise.
        ranges: between what each setting probably was.
    """

    kind: str
    true: Mapping[str, float]
    found: Mapping[str, float] | None
    ranges: Mapping[str, tuple[float, float]]


def draw_compressor(kind: str, rms_dbfs: float, rng: np.random.Generator) -> CompressorParams:
    """Draw settings: of the model anywhere or near the level of the piece, of programs near it."""
    threshold_db = float(
        np.clip(rms_dbfs + rng.normal(THRESHOLD_TO_RMS_DB, THRESHOLD_SPREAD_DB), LOWEST[0], LOUDEST_DBFS)
    )
    if kind == MODEL:
        while True:
            params = compressor_at(rng.random(LOWEST.size), smoothed=bool(rng.random() < 0.6))
            if params.ratio >= GENTLEST_RATIO:
                break
        return dataclasses.replace(params, threshold_db=threshold_db) if rng.random() < 0.5 else params

    def between(least: float, most: float) -> float:
        return float(np.exp(rng.uniform(math.log(least), math.log(most))))

    return dataclasses.replace(
        load_profile(kind),
        threshold_db=threshold_db,
        ratio=between(2.0, 10.0),
        detector_attack_ms=between(2.0, 60.0),
        detector_release_ms=between(40.0, 600.0),
    )


def comparable(params: CompressorParams) -> dict[str, float]:
    """Return settings as what is found has them: times from 10 to 90 %, whatever the program calls them."""
    settings = settings_of(params)
    for name in ("attack_ms", "release_ms"):
        weight = smoothing_coefficient(settings[name], SAMPLE_RATE, params.convention)
        of_one_ms = smoothing_coefficient(1.0, SAMPLE_RATE, "10-90")
        settings[name] = math.log1p(-of_one_ms) / math.log1p(-weight) if weight < 1.0 else 0.0
    return settings


def squash(
    kind: str, original: Float64Array, rng: np.random.Generator
) -> tuple[Float64Array, CompressorParams]:
    """Compress a piece and change its level; return it and the settings that compress as much at that level.

    Shape:
        original and result: `(C, T)`.
    """
    loudest = np.abs(original).max(axis=0)
    params = draw_compressor(kind, float(10.0 * np.log10(np.square(loudest).mean())), rng)
    squashed = compress(original, SAMPLE_RATE, dataclasses.replace(params, link="max")).samples
    room_db = -20.0 * math.log10(float(np.abs(squashed).max()))
    change_db = min(room_db, room_db + LOUDEST_DBFS + rng.uniform(-LEVEL_CHANGE_DB, LEVEL_CHANGE_DB))
    moved = dataclasses.replace(params, threshold_db=min(0.0, params.threshold_db + change_db))
    return np.ascontiguousarray(squashed * db_to_linear(change_db)), moved


def looked(kind: str, truth: CompressorParams, diagnosis: Diagnosis) -> Looked:
    """Compare settings with what `analyze` says of a compressor that was searched for."""
    fitted = diagnosis.compressor
    return Looked(
        kind=kind,
        true=comparable(truth),
        found=None if fitted is None else comparable(fitted.params),
        ranges={} if fitted is None else fitted.ranges,
    )


def summarize(pieces: Sequence[Looked]) -> dict[str, object]:
    """Count, setting by setting, where the truth lies; and how far from what was found (dB, or factors)."""
    rows = [(piece.true, piece.found, piece.ranges) for piece in pieces if piece.found is not None]
    summary: dict[str, object] = {"pieces": len(pieces), "found": len(rows)}
    for name in rows[0][0] if rows else ():
        lower = sum(true[name] < ranges[name][0] for true, _, ranges in rows)
        higher = sum(true[name] > ranges[name][1] for true, _, ranges in rows)
        errors = [
            true[name] - found[name] if name.endswith("_db") else true[name] / found[name]
            for true, found, _ in rows
        ]
        summary[name] = {
            "within": len(rows) - lower - higher,
            "lower": lower,
            "higher": higher,
            "relative to found": [round(float(q), 2) for q in np.quantile(errors, QUANTILES)],
        }
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.profiles.ranging", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--count", type=positive_int, default=100, help="pieces; half of them by the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    check_target(options.out, overwrite=True)
    torch.set_num_threads(options.threads)
    recipe = load_profile_recipe(options.recipe)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    tracks = choose(corpus, "validation", "mix")
    net, suspects = load_gain_net(DEFAULT_MODEL), suspects_of("cpu", "none")
    pieces = []
    for number in range(options.count):
        rng = np.random.default_rng([options.seed, number])
        kind = MODEL if number % 2 == 0 else PROGRAMS[number // 2 % len(PROGRAMS)]
        squashed, truth = squash(kind, draw_original(tracks, round(PIECE_S * SAMPLE_RATE), rng), rng)
        pieces.append(
            looked(kind, truth, analyze(ArraySource(squashed, SAMPLE_RATE), net=net, suspects=suspects))
        )
        print(number, kind, "found" if pieces[-1].found is not None else "not found", flush=True)
        by_kind = {key: [piece for piece in pieces if piece.kind == key] for key in (MODEL, *PROGRAMS)}
        write_json(options.out, {key: summarize(some) for key, some in (by_kind | {"all": pieces}).items()})


if __name__ == "__main__":
    run(main)
