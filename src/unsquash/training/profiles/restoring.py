"""Restoration in the literature's table: `python -m unsquash.training.profiles.restoring RECIPE` and places.

Recordings of held-out artists compressed by the published sets, restored in every way, by the shipped
models. `paper`: five seconds from rest, level known to nobody. `file`: up to 30 s, its level changed by up to
10 dB. Median and quartiles of SI-SDR, mean squared error and log-mel distance.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unsquash import metrics
from unsquash.analysis.diagnosis import analyze
from unsquash.analysis.identification import identify
from unsquash.analysis.listening import listen
from unsquash.audio import ArraySource, check_target
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.inverse import invert
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import InversionError
from unsquash.nets.profile import EXCERPT_SAMPLES, ProfileNet
from unsquash.options import PROFILE_MODEL, RestoreOptions
from unsquash.plan import make_plan
from unsquash.stages import judge_for, network_on, restored_blocks, suspects_of
from unsquash.training.commands import positive_int, run, write_json
from unsquash.training.corpus import PEAK, SAMPLE_RATE, Track, choose, load_corpus
from unsquash.training.profiles.examples import DRAWS, nothing_drawn
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.units import Float64Array, db_to_linear
from unsquash.weights import load_profile_net

FILE_S = 30.0
LEVEL_CHANGE_DB = 10.0
QUIETEST_RMS_DB = -30.0
EXACT_DB = 150.0
"""SI-SDR counts up to here, so that a mean over exact and inexact restorations means something."""

Ways = dict[str, Float64Array]


def draw_original(tracks: Sequence[Track], length: int, rng: np.random.Generator) -> Float64Array:
    """Cut a loud enough piece, its peak at full scale; shorter if the track is.

    Shape:
        result: `(2, T)`, T at most `length`.

    Raises:
        AudioReadError: there is none.
    """
    for _ in range(DRAWS):
        track = tracks[int(rng.integers(len(tracks)))]
        start = int(rng.integers(max(1, len(track.samples) - length)))
        piece = track.samples[start : start + length].T.astype(np.float64) / PEAK
        piece = piece / max(float(np.abs(piece).max()), 1e-9)
        loud = 10.0 * np.log10(np.square(piece).mean() + 1e-12) >= QUIETEST_RMS_DB
        if loud and piece.shape[1] >= EXCERPT_SAMPLES:
            return np.ascontiguousarray(piece)
    raise nothing_drawn(EXCERPT_SAMPLES)


def restore_every_way(
    squashed: Float64Array,
    truth: CompressorParams,
    known: Mapping[str, CompressorParams],
    net: ProfileNet,
    delimiter: str | None,
) -> Ways:
    """Restore by the true settings, by what was found, by the networks, and not at all.

    Shape:
        squashed and all results: `(C, T)`.
    """
    listeners = listen(ArraySource(squashed, SAMPLE_RATE), net)
    named = identify(listeners, known, search=False)
    searched = identify(listeners, {})
    ways = {
        "nothing": squashed,
        "true settings": inverted(squashed, truth),
        "classified": inverted(squashed, named.params),
        "searched": inverted(squashed, searched.params),
        "neural": restored(squashed, RestoreOptions(method="neural")),
        "auto": restored(squashed, RestoreOptions()),
    }
    if delimiter is not None:
        ways["De-limiter"] = restored(squashed, RestoreOptions(method="neural", model=delimiter))
    return ways


def restored(squashed: Float64Array, options: RestoreOptions) -> Float64Array:
    """Restore as the program would."""
    source = ArraySource(squashed, SAMPLE_RATE)
    net = network_on(options.device, options.model)
    suspects = suspects_of(options.device, options.profile_set) if options.method == "auto" else None
    diagnosis = analyze(source, net=judge_for(net, options), suspects=suspects)
    plan = make_plan(diagnosis, options)
    blocks = restored_blocks(
        source, plan, diagnosis, options, net, 0, source.info.frames, lambda _samples, _gain_db: None
    )
    return np.concatenate(list(blocks), axis=1).astype(np.float64)


def inverted(squashed: Float64Array, params: CompressorParams) -> Float64Array:
    """Invert; what has no stable inverse is left as it is, as `auto` would."""
    try:
        return invert(squashed, SAMPLE_RATE, params).samples
    except InversionError:
        return squashed


def measure(original: Float64Array, restored: Float64Array) -> dict[str, float]:
    """Return the literature's three figures."""
    si_sdr = metrics.si_sdr_db(original, restored)
    mse = metrics.mse(original, restored)
    log_mel = metrics.log_mel_distance(original, restored, SAMPLE_RATE)
    return {
        "si_sdr_db": EXACT_DB if si_sdr is None else min(EXACT_DB, si_sdr),
        "mse": float("nan") if mse is None else mse,
        "log_mel": float("nan") if log_mel is None else log_mel,
    }


def summarize(rows: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """Return quartiles (25, 50, 75 %) of every figure of every way."""
    return {
        way: {
            figure: [
                float(f"{q:.4g}") for q in np.quantile([row[way][figure] for row in rows], (0.25, 0.5, 0.75))
            ]
            for figure in rows[0][way]
        }
        for way in rows[0]
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m unsquash.training.profiles.restoring", description=__doc__
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--count", type=positive_int, default=12, help="recordings per line of the table")
    parser.add_argument("--sets", default="five,thirty")
    parser.add_argument("--delimiter", help="safetensors of the published De-limiter, for comparison")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    check_target(options.out, overwrite=True)
    sets = {group: load_profile_set(group) for group in options.sets.split(",")}
    recipe = load_profile_recipe(options.recipe)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    net = load_profile_net(PROFILE_MODEL)
    results = {}
    for group, known in sets.items():
        for kind in ("mix", "speech"):
            tracks = choose(corpus, "validation", kind)
            for protocol in ("paper", "file"):
                rng, rows = np.random.default_rng(3), []
                length = EXCERPT_SAMPLES if protocol == "paper" else round(FILE_S * SAMPLE_RATE)
                for _ in range(options.count):
                    original = draw_original(tracks, length, rng)
                    params = dataclasses.replace(
                        list(known.values())[int(rng.integers(len(known)))], link="max"
                    )
                    change_db = 0.0 if protocol == "paper" else rng.uniform(-LEVEL_CHANGE_DB, LEVEL_CHANGE_DB)
                    squashed = compress(original, SAMPLE_RATE, params).samples * db_to_linear(change_db)
                    truth = dataclasses.replace(params, threshold_db=params.threshold_db + change_db)
                    ways = restore_every_way(squashed, truth, known, net, options.delimiter)
                    rows.append({way: measure(original, samples) for way, samples in ways.items()})
                name = f"{group}, {kind}, {protocol}"
                results[name] = summarize(rows)
                print(name, {way: row["si_sdr_db"] for way, row in results[name].items()}, flush=True)
                write_json(options.out, results)


if __name__ == "__main__":
    run(main)
