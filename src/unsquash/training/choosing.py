"""What `auto` chooses, beside each engine alone: `python -m unsquash.training.choosing RECIPE` and places.

Pieces of held-out artists, squashed in every way there is or not at all, are restored by the network alone,
by the inverse of the compressor that is found alone (whatever speaks for it), and as `auto` would. Per kind:
the mean gain in SI-SDR of each, and how often `auto` falls below doing nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unsquash.analysis.identification import identify
from unsquash.analysis.listening import listen
from unsquash.audio import ArraySource, check_target
from unsquash.dsp.compressor import compress
from unsquash.dsp.profiles import load_profile_set
from unsquash.errors import OptionError
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.options import DEFAULT_MODEL, PUBLISHED
from unsquash.stages import suspects_of
from unsquash.training import codecs, processors
from unsquash.training.commands import positive_int, run, write_json
from unsquash.training.corpus import SAMPLE_RATE, choose, load_corpus
from unsquash.training.evaluate import HARM_DB, capped_si_sdr_db, restore_both
from unsquash.training.profiles.restoring import draw_original, inverted
from unsquash.training.recipe import load_recipe
from unsquash.units import Float64Array, db_to_linear
from unsquash.weights import load_gain_net

PIECE_S = 20.0
QUIETEST_PEAK_DBFS, LEVEL_CHANGE_DB = -3.0, 10.0
SPEECH_SHARE = 0.25
UNTOUCHED = "untouched"
ENGINES = ("neural", "model")

Way = Callable[[Float64Array, np.random.Generator], Float64Array]
"""A piece, peak at full scale, and what to draw from, to what became of it; `(2, T)` each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One piece: SI-SDR in dB, as from `capped_si_sdr_db`, of what was given and of each restoration."""

    kind: str
    method: str
    nothing: float
    neural: float
    model: float
    auto: float


def published(group: str, *, whole: bool) -> Way:
    """Compress by one of a published set: five seconds from rest, or more, its level changed afterwards."""

    def way(original: Float64Array, rng: np.random.Generator) -> Float64Array:
        profiles = list(load_profile_set(group).values())
        params = dataclasses.replace(profiles[int(rng.integers(len(profiles)))], link="max")
        piece = original if whole else original[:, :EXCERPT_SAMPLES]
        change_db = rng.uniform(-LEVEL_CHANGE_DB, LEVEL_CHANGE_DB) if whole else 0.0
        return np.asarray(compress(piece, SAMPLE_RATE, params).samples * db_to_linear(change_db))

    return way


def released(process: Way) -> Way:
    """Squash, then set the level and round to 16 bits, as for a release."""

    def way(original: Float64Array, rng: np.random.Generator) -> Float64Array:
        squashed = process(original, rng)
        scaled = squashed * (db_to_linear(rng.uniform(QUIETEST_PEAK_DBFS, 0.0)) / np.abs(squashed).max())
        return np.asarray(np.round(scaled * 32767.0) / 32768.0)

    return way


WAYS: Mapping[str, Way] = {
    UNTOUCHED: released(lambda original, _: original),
    "five, paper": published("five", whole=False),
    "five, file": published("five", whole=True),
    "thirty, paper": published("thirty", whole=False),
    "thirty, file": published("thirty", whole=True),
    "five, released": released(published("five", whole=True)),
    "thirty, released": released(published("thirty", whole=True)),
    "compressor plug-ins": released(codecs.compressor_plugin),
    "limiter plug-ins": released(codecs.limiter_plugin),
    "simulated compressor": released(processors.compressor),
    "seven parameters": released(processors.seven_parameter),
    "simulated limiter": released(processors.limiter),
    "hard clip": released(processors.hard_clip),
}


def summarize(choices: Sequence[Choice]) -> dict[str, dict[str, float | int]]:
    """Per kind, and for all that was squashed: mean gains in dB, and where `auto` falls behind.

    `better` is the mean of the better engine: in each kind that which is better there on average.
    """
    kinds: defaultdict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        kinds[choice.kind].append(choice)
    rows = {kind: _row(some) for kind, some in kinds.items()}
    squashed = [choice for choice in choices if choice.kind != UNTOUCHED]
    if squashed:
        better = np.average(
            [rows[kind]["better"] for kind in kinds if kind != UNTOUCHED],
            weights=[len(some) for kind, some in kinds.items() if kind != UNTOUCHED],
        )
        rows["all squashed"] = _row(squashed) | {"better": round(float(better), 3)}
    return rows


def _row(some: Sequence[Choice]) -> dict[str, float | int]:
    def gain_db(way: str) -> float:
        return round(float(np.mean([getattr(one, way) - one.nothing for one in some])), 3)

    gains = {way: gain_db(way) for way in (*ENGINES, "auto")}
    return {
        "pieces": len(some),
        "nothing": round(float(np.mean([one.nothing for one in some])), 3),
        **gains,
        "better": max(gains[engine] for engine in ENGINES),
        "left alone": sum(one.method == "none" for one in some),
        "worse than nothing": sum(one.auto < one.nothing - HARM_DB for one in some),
        "worst": round(min(one.auto - one.nothing for one in some), 3),
    }


def _ways(kinds: str) -> dict[str, Way]:
    wanted = [kind.strip() for kind in kinds.split(";")]
    if strange := [kind for kind in wanted if kind not in WAYS]:
        raise OptionError(f"no kind {strange[0]!r}", hint=f"There are: {'; '.join(WAYS)}.")
    return {kind: WAYS[kind] for kind in wanted}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.choosing", description=__doc__)
    parser.add_argument("recipe", type=Path, help="of the gain network: it says who is held out")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--count", type=positive_int, default=8, help="pieces of each kind")
    parser.add_argument("--kinds", default="; ".join(WAYS), help="separated by semicolons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    check_target(options.out, overwrite=True)
    ways = _ways(options.kinds)
    torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    tracks = {kind: choose(corpus, "validation", kind) for kind in ("mix", "speech")}
    net, suspects = load_gain_net(DEFAULT_MODEL), suspects_of("cpu", PUBLISHED)
    choices = []
    for kind, way in ways.items():
        for number in range(options.count):
            rng = np.random.default_rng([options.seed, list(WAYS).index(kind), number])
            some = tracks["speech" if rng.random() < SPEECH_SHARE else "mix"]
            original = draw_original(some, round(PIECE_S * SAMPLE_RATE), rng)
            squashed = way(original, rng)
            original = original[:, : squashed.shape[1]]
            neural, auto, _, plan = restore_both(squashed, SAMPLE_RATE, net)
            listeners = listen(ArraySource(squashed, SAMPLE_RATE), suspects.net)
            found = identify(listeners, suspects.known)
            restored = {"neural": neural, "model": inverted(squashed, found.params), "auto": auto}
            given = {"nothing": squashed, **restored}
            measured = {name: capped_si_sdr_db(original, samples) for name, samples in given.items()}
            choices.append(Choice(kind=kind, method=plan.method, **measured))
            print(choices[-1], flush=True)
        write_json(options.out, summarize(choices))


if __name__ == "__main__":
    run(main)
