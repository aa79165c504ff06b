"""How well compressors are named: `python -m unsquash.training.profiles.evaluate MODEL RECIPE --audio DIR …`.

Tracks of held-out artists, each compressed by a compressor of a set or by none. `paper`: five seconds from
rest at a known level. `in-situ`: a whole track compressed, five seconds of its middle; `led`: the same,
and what came before is known, too. `file`: a whole track, its excerpts pooled, its level changed afterwards
by up to 10 dB either way. Accuracies, and the mean squared error of the settings, each divided by its range
over the published thirty, of the posterior mean.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from unsquash.analysis.candidates import LEAD_S, followed_levels
from unsquash.analysis.excerpts import Excerpt as Heard
from unsquash.analysis.identification import identify
from unsquash.analysis.listening import Listener, listen
from unsquash.analysis.population import softmax
from unsquash.analysis.space import NOTHING, compressor_at, place_of, with_link
from unsquash.audio import ArraySource, check_target
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.nets.profile import EXCERPT_SAMPLES, ProfileNet
from unsquash.training.checkpoint import load_profile_net
from unsquash.training.commands import positive_int, run, write_json
from unsquash.training.corpus import PEAK, SAMPLE_RATE, Part, Track, choose, load_corpus
from unsquash.training.profiles.examples import (
    DRAWS,
    QUIETEST_RMS_DB,
    Protocol,
    nothing_drawn,
    squash,
)
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.units import Float64Array, db_to_linear

LEAD_IN_S = 10.0
LEVEL_CHANGE_DB = 10.0
LOWEST = np.array([-60.0, 2.0, 5.0, 5.0, 10.0, 25.0])
HIGHEST = np.array([-20.0, 15.0, 130.0, 130.0, 500.0, 2000.0])
"""Ranges of the published thirty: threshold, ratio, detector and gain times."""

SETTINGS = ("threshold_db", "ratio", "detector_attack_ms", "detector_release_ms", "attack_ms", "release_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One recording: what made it, what was said, and the probability of that."""

    truth: int
    said: int
    probability: float
    squared_error: float


def excerpt_trials(
    net: ProfileNet,
    tracks: Sequence[Track],
    candidates: Sequence[CompressorParams],
    protocol: Protocol,
    *,
    lead_s: float = 0.0,
    count: int,
    seed: int,
) -> list[Trial]:
    """Name the compressor of single excerpts, the level being known, and so much of what came before."""
    rng, trials = np.random.default_rng(seed), []
    lead_samples = round(lead_s * SAMPLE_RATE)
    before = 0 if protocol == "paper" else round(LEAD_IN_S * SAMPLE_RATE) + lead_samples
    for _ in range(count):
        piece = _piece(tracks, before, rng)
        truth = int(rng.integers(len(candidates)))
        excerpt = squash(piece, candidates[truth], protocol, lead_samples)
        lead = followed_levels(excerpt.lead)
        ratios = Listener(Heard(samples=excerpt.squashed, lead=lead), net).log_ratios(candidates)
        trials.append(_trial(truth, softmax(ratios), candidates))
    return trials


def file_trials(
    net: ProfileNet,
    tracks: Sequence[Track],
    known: dict[str, CompressorParams],
    *,
    count: int,
    seed: int,
) -> list[Trial]:
    """Name the compressor of whole tracks, the level being unknown."""
    rng, trials, names = np.random.default_rng(seed), [], [*known]
    for _ in range(count):
        track = tracks[int(rng.integers(len(tracks)))]
        original = track.samples.T.astype(np.float64) / PEAK
        truth = int(rng.integers(len(known) + 1))
        squashed = original
        if truth < len(known):
            params = dataclasses.replace(known[names[truth]], link="max")
            squashed = compress(original, SAMPLE_RATE, params).samples
        squashed = squashed * db_to_linear(rng.uniform(-LEVEL_CHANGE_DB, LEVEL_CHANGE_DB))
        found = identify(listen(ArraySource(squashed, SAMPLE_RATE), net), known, search=False)
        probable = found.profile is not None and found.probability > 1.0 - found.squashed
        said = names.index(found.profile) if probable and found.profile else len(known)
        trials.append(
            Trial(
                truth=truth,
                said=said,
                probability=found.probability if probable else 1.0 - found.squashed,
                squared_error=float("nan"),
            )
        )
    return trials


def search_errors(
    net: ProfileNet, tracks: Sequence[Track], *, count: int, seed: int
) -> dict[str, dict[str, float]]:
    """Search for the settings of compressors that belong to no set, from whole tracks.

    Returns, per setting: the mean squared error and that of always answering the middle, in units of
    the searched range (logarithmic but for the threshold).
    """
    rng, rows = np.random.default_rng(seed), []
    for _ in range(count):
        original = tracks[int(rng.integers(len(tracks)))].samples.T.astype(np.float64) / PEAK
        truth = dataclasses.replace(compressor_at(rng.random(len(SETTINGS)), smoothed=True), link="max")
        squashed = compress(original, SAMPLE_RATE, truth).samples
        found = identify(listen(ArraySource(squashed, SAMPLE_RATE), net), {})
        rows.append((place_of(truth), np.clip(place_of(found.params), 0.0, 1.0)))
    truths, answers = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return {
        name: {
            "mse": float(np.square(answers[:, k] - truths[:, k]).mean()),
            "mse_of_the_middle": float(np.square(0.5 - truths[:, k]).mean()),
        }
        for k, name in enumerate(SETTINGS)
    }


def accuracy(trials: Sequence[Trial]) -> float:
    """Return the share of recordings whose compressor was named."""
    return float(np.mean([trial.truth == trial.said for trial in trials]))


def settings_mse(trials: Sequence[Trial]) -> float:
    """Return the mean error of the settings where there was a compressor; NaN where there never was."""
    known = [trial.squared_error for trial in trials if not math.isnan(trial.squared_error)]
    return float(np.mean(known)) if known else math.nan


def reliability(trials: Sequence[Trial], edges: Sequence[float]) -> list[dict[str, float]]:
    """Return, for each range of stated probability, how often what was said was true."""
    rows = []
    for low, high in pairwise(edges):
        inside = [trial for trial in trials if low <= trial.probability < high]
        if inside:
            stated = float(np.mean([trial.probability for trial in inside]))
            rows.append({"stated": stated, "true": accuracy(inside), "count": len(inside)})
    return rows


def _piece(tracks: Sequence[Track], lead: int, rng: np.random.Generator) -> Float64Array:
    """Cut a mono piece whose last five seconds are loud enough, its peak at full scale, its mean zero."""
    length = lead + EXCERPT_SAMPLES
    for _ in range(DRAWS):
        track = tracks[int(rng.integers(len(tracks)))]
        if len(track.samples) <= length:
            continue
        start = int(rng.integers(len(track.samples) - length))
        piece = track.samples[start : start + length].astype(np.float64).mean(axis=1)[None]
        piece -= piece.mean()
        piece /= max(float(np.abs(piece).max()), 1e-9)
        if 10.0 * np.log10(np.square(piece[:, lead:]).mean() + 1e-12) >= QUIETEST_RMS_DB:
            return np.asarray(piece)
    raise nothing_drawn(length)


def _trial(truth: int, posterior: Float64Array, candidates: Sequence[CompressorParams]) -> Trial:
    said = int(posterior.argmax())
    squashing = [index for index, params in enumerate(candidates) if params != NOTHING]
    settings = np.stack([normalized(candidates[index]) for index in squashing])
    weights = posterior[squashing] / max(float(posterior[squashing].sum()), 1e-30)
    error = float("nan")
    if truth in squashing:
        error = float(np.square(weights @ settings - settings[squashing.index(truth)]).mean())
    return Trial(truth=truth, said=said, probability=float(posterior[said]), squared_error=error)


def normalized(params: CompressorParams) -> Float64Array:
    """Return the six settings, each over its range in the published thirty; shape `(6,)`."""
    values = [params.threshold_db, params.ratio, params.detector_attack_ms, params.detector_release_ms]
    return np.asarray(
        (np.array([*values, params.attack_ms, params.release_ms]) - LOWEST) / (HIGHEST - LOWEST)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m unsquash.training.profiles.evaluate", description=__doc__
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--excerpts", type=positive_int, default=200)
    parser.add_argument("--files", type=positive_int, default=40)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    check_target(options.out, overwrite=True)
    recipe = load_profile_recipe(options.recipe)
    net = load_profile_net(options.model)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    results: dict[str, dict[str, object]] = {}
    protocols: dict[str, tuple[Protocol, float]] = {
        "paper": ("paper", 0.0),
        "in-situ": ("in-situ", 0.0),
        "led": ("in-situ", LEAD_S),
    }
    asked: tuple[tuple[str, Part], ...] = (
        ("mix", "validation"),
        ("mix", "train"),
        ("speech", "validation"),
    )
    for group in ("five", "thirty"):
        known = load_profile_set(group)
        candidates = [*map(with_link, known.values()), NOTHING]
        for kind, part in asked:
            tracks = choose(corpus, part, kind)
            for word, (protocol, lead_s) in protocols.items():
                trials = excerpt_trials(
                    net,
                    tracks,
                    candidates,
                    protocol,
                    lead_s=lead_s,
                    count=options.excerpts,
                    seed=1,
                )
                name = f"{len(candidates)} classes, {word}, {kind}, {part} tracks"
                results[name] = {
                    "accuracy": accuracy(trials),
                    "settings_mse": settings_mse(trials),
                    "count": len(trials),
                }
                print(name, results[name], flush=True)
                write_json(options.out, results)
        for kind in ("mix", "speech"):
            tracks = choose(corpus, "validation", kind)
            trials = file_trials(net, tracks, known, count=options.files, seed=2)
            name = f"{len(candidates)} classes, file, {kind}, validation tracks"
            results[name] = {
                "accuracy": accuracy(trials),
                "count": len(trials),
                "reliability": reliability(trials, (0.0, 0.5, 0.7, 0.9, 1.01)),
            }
            print(name, results[name], flush=True)
            write_json(options.out, results)
    tracks = choose(corpus, "validation", "mix")
    results["settings searched for"] = dict(search_errors(net, tracks, count=options.files, seed=4))
    print(results["settings searched for"], flush=True)
    write_json(options.out, results)


if __name__ == "__main__":
    run(main)
