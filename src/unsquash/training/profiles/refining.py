"""What a search adds to a regression: `python -m unsquash.training.profiles.refining RECIPE` and places.

A regressor (`encoders`) is trained as in `regression`; then recordings of held-out artists, compressed by the
published sets, are restored by the exact inverse of what it says, by that of settings searched for, and by
the gain network. Which sets there are is known to none of the three.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from unsquash.analysis.identification import identify
from unsquash.analysis.listening import Listener, listen
from unsquash.analysis.space import LOWEST, NOTHING, compressor_at
from unsquash.audio import ArraySource, check_target
from unsquash.dsp.compressor import CompressorParams, compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.nets.profile import EXCERPT_SAMPLES, ProfileNet
from unsquash.options import DEFAULT_MODEL, PROFILE_MODEL, RestoreOptions
from unsquash.training.commands import counted, positive_int, run, write_json
from unsquash.training.corpus import SAMPLE_RATE, Track, choose, load_corpus
from unsquash.training.profiles.encoders import Regressor
from unsquash.training.profiles.regression import (
    COMPRESSORS_PER_PIECE,
    DB_PER_UNIT,
    Examples,
    Maker,
    regression_parser,
    settled,
    train,
)
from unsquash.training.profiles.restoring import (
    FILE_S,
    LEVEL_CHANGE_DB,
    Ways,
    draw_original,
    inverted,
    measure,
    restored,
)
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.units import Float64Array, db_to_linear
from unsquash.weights import load_gain_net, load_profile_net


def regressed(
    net: Regressor, maker: Maker, listeners: Sequence[Listener], *, from_rest: bool
) -> CompressorParams:
    """Return the settings that a regressor finds in all excerpts of a recording, gain smoothing included."""
    seen = Examples.of([maker.look(one.excerpt.samples, NOTHING, from_rest=from_rest) for one in listeners])
    with torch.inference_mode():
        posterior = net(seen.views(np.arange(len(seen))))
    place, _ = settled(posterior, seen.peak_dbfs)
    found = compressor_at(np.clip(place, 0.0, 1.0), smoothed=True)
    threshold_db = float(LOWEST[0] + DB_PER_UNIT * place[0])
    return dataclasses.replace(found, threshold_db=min(0.0, max(-120.0, threshold_db)), link="max")


def ways(
    squashed: Float64Array, net: Regressor, maker: Maker, profile_net: ProfileNet, *, from_rest: bool
) -> Ways:
    """Restore by regressed settings, by settings searched for, by the gain network, and not at all.

    Shape:
        squashed and all results: `(C, T)`.
    """
    listeners = listen(ArraySource(squashed, SAMPLE_RATE), profile_net)
    return {
        "nothing": squashed,
        "regressed": inverted(squashed, regressed(net, maker, listeners, from_rest=from_rest)),
        "searched": inverted(squashed, identify(listeners, {}).params),
        "neural": restored(squashed, RestoreOptions(method="neural")),
    }


def compare(
    net: Regressor,
    maker: Maker,
    tracks: Sequence[Track],
    known: Sequence[CompressorParams],
    protocol: str,
    count: int,
) -> dict[str, float]:
    """Return the mean SI-SDR in dB of every way, over so many recordings compressed by known compressors."""
    profile_net, rng = load_profile_net(PROFILE_MODEL), np.random.default_rng(5)
    length = EXCERPT_SAMPLES if protocol == "paper" else round(FILE_S * SAMPLE_RATE)
    rows = []
    for _ in range(count):
        original = draw_original(tracks, length, rng)
        params = dataclasses.replace(known[int(rng.integers(len(known)))], link="max")
        change_db = 0.0 if protocol == "paper" else rng.uniform(-LEVEL_CHANGE_DB, LEVEL_CHANGE_DB)
        squashed = compress(original, SAMPLE_RATE, params).samples * db_to_linear(change_db)
        restored_by = ways(squashed, net, maker, profile_net, from_rest=protocol == "paper")
        rows.append({way: measure(original, samples)["si_sdr_db"] for way, samples in restored_by.items()})
    return {way: round(float(np.mean([row[way] for row in rows])), 2) for way in rows[0]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = regression_parser("refining", __doc__, examples=6000, steps=3000)
    parser.add_argument("--count", type=positive_int, default=12, help="recordings per line of the table")
    parser.add_argument("--sets", default="five,thirty")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    check_target(options.out, overwrite=True)
    sets = {group: list(load_profile_set(group).values()) for group in options.sets.split(",")}
    recipe = load_profile_recipe(options.recipe)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    judge, rng = load_gain_net(DEFAULT_MODEL), np.random.default_rng(recipe.seed)
    asked = {kind: choose(corpus, "validation", kind) for kind in ("mix", "speech")}
    maker = Maker(choose(corpus, "train"), judge)
    pieces = range(-(-options.examples // COMPRESSORS_PER_PIECE))
    made = (maker.varied(rng).without_waveform() for _ in pieces)
    examples = Examples.of(list(counted("pieces", made)))
    net = train(
        "all but the waveform",
        examples,
        bands=judge.config.mel_bands,
        steps=options.steps,
        seed=recipe.seed,
    )
    results = {}
    for group, known in sets.items():
        for kind, tracks in asked.items():
            for protocol in ("paper", "file"):
                name = f"{group}, {kind}, {protocol}"
                results[name] = compare(net, maker, tracks, known, protocol, options.count)
                print(name, results[name], flush=True)
                write_json(options.out, results)


if __name__ == "__main__":
    run(main)
