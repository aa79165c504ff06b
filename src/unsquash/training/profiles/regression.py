"""What views tell of settings: `python -m unsquash.training.profiles.regression RECIPE` and places.

A regressor for each view of a recording (`encoders`) is trained on the same excerpts, for the same number of
steps, and asked about recordings of held-out artists in both protocols, compressed by the published sets and
by any settings; and about several excerpts of one recording together. Mean squared errors, and those of the
best answer that is always the same.
"""

from __future__ import annotations

import dataclasses
import math
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from unsquash.analysis.space import HIGHEST, LOWEST, WIDEST_KNEE_DB, compressor_at, place_of
from unsquash.audio import check_target
from unsquash.dsp.compressor import CompressorParams
from unsquash.nets.gain import GainNet
from unsquash.nets.profile import EXCERPT_SAMPLES
from unsquash.options import DEFAULT_MODEL
from unsquash.training.commands import counted, positive_int, run, write_json
from unsquash.training.corpus import Track, choose, load_corpus
from unsquash.training.learner import Optimizer
from unsquash.training.mixes import Mixer
from unsquash.training.profiles.encoders import VIEWS, Posterior, Regressor, View, Views, regression_loss
from unsquash.training.profiles.evaluate import SETTINGS, normalized
from unsquash.training.profiles.examples import Protocol, add_noise, draw_piece, profile_sets, squash
from unsquash.training.profiles.train import load_profile_recipe
from unsquash.units import Float64Array
from unsquash.weights import load_gain_net

Group = Literal["five", "thirty", "any"]
GROUPS: tuple[Group, ...] = ("five", "thirty", "any")

COMPRESSORS_PER_PIECE = 4
"""Every drawn piece is compressed in so many ways: drawing it takes longest."""

ANY_SHARE, UNSMOOTHED_SHARE, PAPER_SHARE, NOISE_SHARE = 0.6, 0.35, 0.4, 0.5
NOISE_SNR_DB = (20.0, 65.0)
PROTOCOLS: tuple[tuple[str, Protocol, int], ...] = (
    ("paper", "paper", 1),
    ("in-situ", "in-situ", 1),
    ("four excerpts", "in-situ", 4),
)
BATCH, RATE, BLOCK_RATE, WEIGHT_DECAY, WARM_UP_STEPS = 16, 1.5e-3, 6e-3, 1e-2, 100
DB_PER_UNIT = float(HIGHEST[0] - LOWEST[0])
SILENCE = 1e-3
_WHOLE = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Excerpts as all encoders may see them, and what is to be found.

    Shape:
        waveform: `(N, T)`; features: `(N, F, n)`; reduction_db: `(N, 4·n)`; from_rest, smoothed, peak_dbfs:
        `(N,)`; places: `(N, 6)`, thresholds relative to the excerpt's peak, NaN where a coordinate does not
        count.
    """

    waveform: npt.NDArray[np.int16]
    features: npt.NDArray[np.float16]
    reduction_db: npt.NDArray[np.float16]
    from_rest: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    smoothed: npt.NDArray[np.float32]
    peak_dbfs: npt.NDArray[np.float32]

    @staticmethod
    def of(rows: Sequence[Examples]) -> Examples:
        """Put examples together."""
        names = [field.name for field in dataclasses.fields(Examples)]
        return Examples(**{name: np.concatenate([getattr(row, name) for row in rows]) for name in names})

    @property
    def truth(self) -> Float64Array:
        """Where the compressor lies that made all of them, the threshold being that for full scale."""
        place = self.places[0].astype(np.float64)
        place[0] += self.peak_dbfs[0] / DB_PER_UNIT
        return np.asarray(place)

    def __len__(self) -> int:
        return len(self.places)

    def without_waveform(self) -> Examples:
        """Return them for encoders that do not see the waveform, which takes most of the memory."""
        return dataclasses.replace(self, waveform=self.waveform[..., :0])

    def views(self, rows: npt.NDArray[np.int64]) -> Views:
        """Return what encoders see of some of them."""
        return Views(
            waveform=torch.from_numpy(self.waveform[rows].astype(np.float32) / _WHOLE),
            features=torch.from_numpy(self.features[rows].astype(np.float32)),
            reduction_db=torch.from_numpy(self.reduction_db[rows].astype(np.float32)),
            from_rest=torch.from_numpy(self.from_rest[rows]),
        )


class Maker:
    """Makes examples: draws originals, compresses them, looks at the result.

    Args:
        tracks: where originals come from.
        net: whose estimates the gain view consists of.
    """

    def __init__(self, tracks: Sequence[Track], net: GainNet) -> None:
        self._mixer, self._net = Mixer(tracks), net
        self._features = net.features

    def varied(self, rng: np.random.Generator) -> Examples:
        """Make examples to learn from, of one piece."""
        protocol: Protocol = "paper" if rng.random() < PAPER_SHARE else "in-situ"
        piece = draw_piece(self._mixer, rng, protocol)
        made = []
        for _ in range(COMPRESSORS_PER_PIECE):
            group: Group = "any" if rng.random() < ANY_SHARE else GROUPS[int(rng.integers(2))]
            params = draw_settings(group, rng, unsmoothed_share=UNSMOOTHED_SHARE)
            excerpt = squash(piece, params, protocol)
            if rng.random() < NOISE_SHARE:
                excerpt = add_noise(excerpt, rng.uniform(*NOISE_SNR_DB), rng)
            made.append(self.look(excerpt.squashed, params, from_rest=protocol == "paper"))
        return Examples.of(made)

    def asked(self, group: Group, protocol: Protocol, count: int, rng: np.random.Generator) -> Examples:
        """Make `count` successive excerpts of one recording to ask about; silent ones are left out."""
        params = draw_settings(group, rng)
        before = (count - 1) * EXCERPT_SAMPLES
        made = squash(draw_piece(self._mixer, rng, protocol, before), params, protocol, before)
        pieces = np.split(np.concatenate([made.lead, made.squashed], axis=1), count, axis=1)
        heard = [piece for piece in pieces if np.abs(piece).max() > SILENCE]
        return Examples.of([self.look(piece, params, from_rest=made.from_rest) for piece in heard])

    def look(self, squashed: Float64Array, params: CompressorParams, *, from_rest: bool) -> Examples:
        """Look at an excerpt, made by a compressor that is to be found."""
        peak = float(np.abs(squashed).max())
        samples = torch.from_numpy(np.ascontiguousarray(squashed / peak, dtype=np.float32))
        with torch.inference_mode():
            features = self._features(samples[None])
            reduction_db = self._net(features, self._net.pool(self._net.embed(features)))
        peak_dbfs = 20.0 * math.log10(peak)
        return Examples(
            waveform=np.rint(_WHOLE * samples.mean(dim=0, keepdim=True).numpy()).astype(np.int16),
            features=features.numpy().astype(np.float16),
            reduction_db=reduction_db.numpy().astype(np.float16),
            from_rest=np.array([from_rest], dtype=np.float32),
            places=place_seen(params, peak_dbfs)[None].astype(np.float32),
            smoothed=np.array([params.smoothing != "none"], dtype=np.float32),
            peak_dbfs=np.array([peak_dbfs], dtype=np.float32),
        )


def draw_settings(
    group: Group, rng: np.random.Generator, *, unsmoothed_share: float = 0.0
) -> CompressorParams:
    """Draw a compressor of a published set, or any."""
    if group == "any":
        return compressor_at(rng.random(LOWEST.size), smoothed=rng.random() >= unsmoothed_share)
    known = profile_sets()[GROUPS.index(group)]
    return known[int(rng.integers(len(known)))]


def place_seen(params: CompressorParams, peak_dbfs: float) -> Float64Array:
    """Return where a compressor lies, seen from the peak of what it made; NaN where nothing is to be seen."""
    place = place_of(dataclasses.replace(params, threshold_db=params.threshold_db - peak_dbfs))
    if params.smoothing == "none":
        release = place_of(dataclasses.replace(params, release_ms=params.detector_release_ms))[5]
        place[3:] = params.knee_db / WIDEST_KNEE_DB, np.nan, release
    return place


def train(view: View, examples: Examples, *, bands: int, steps: int, seed: int) -> Regressor:
    """Train a regressor for so many steps."""
    torch.manual_seed(seed)
    net = Regressor(view, bands, examples.features.shape[1] - bands).train()
    optimizer = Optimizer(net, rate=RATE, block_rate=BLOCK_RATE, weight_decay=WEIGHT_DECAY)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        rows = rng.integers(len(examples), size=BATCH)
        net.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = net(examples.views(rows))
        loss = regression_loss(
            posterior, torch.from_numpy(examples.places[rows]), torch.from_numpy(examples.smoothed[rows])
        )
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        optimizer.step(warm * 0.5 * (1.0 + math.cos(math.pi * step / steps)))
    return net.eval()


def settled(posterior: Posterior, peak_dbfs: npt.NDArray[np.float32]) -> tuple[Float64Array, Float64Array]:
    """Unite what is believed of excerpts of one recording, gain smoothing taken for granted.

    Shape:
        peak_dbfs: `(N,)`; results: `(6,)` each, mean and deviation, the threshold being that for full scale.
    """
    means = posterior.means[:, 1].double().numpy().copy()
    means[:, 0] += peak_dbfs / DB_PER_UNIT
    precision = np.exp(-2.0 * posterior.log_deviations[:, 1].double().numpy())
    total = precision.sum(axis=0)
    return (precision * means).sum(axis=0) / total, 1.0 / np.sqrt(total)


def errors(net: Regressor, recordings: Sequence[Examples], group: Group) -> dict[str, float]:
    """Return mean squared errors of the settings, together and one by one, and how far off deviations are.

    `surprise` is the mean of squared errors over variances, in the coordinates of the search; 1 if honest.
    """
    said, true, surprises = [], [], []
    for one in recordings:
        with torch.inference_mode():
            posterior = net(one.views(np.arange(len(one))))
        mean, deviation = settled(posterior, one.peak_dbfs)
        surprises.append(np.square((mean - one.truth) / deviation).mean())
        said.append(in_units(np.clip(mean, 0.0, 1.0), group))
        true.append(in_units(one.truth, group))
    by_setting = np.square(np.array(said) - np.array(true)).mean(axis=0)
    return {
        "mse": float(by_setting.mean()),
        **dict(zip(SETTINGS, map(float, by_setting), strict=True)),
        "surprise": float(np.mean(surprises)),
    }


def in_units(place: Float64Array, group: Group) -> Float64Array:
    """Return settings in units of their ranges: in the published thirty, or what is searched for any."""
    return place if group == "any" else normalized(compressor_at(place, smoothed=True))


def spread(recordings: Sequence[Examples], group: Group) -> float:
    """Return the variance of the true settings: the error of the best answer that is always the same."""
    return float(np.var([in_units(one.truth, group) for one in recordings], axis=0).mean())


def regression_parser(module: str, description: str | None, *, examples: int, steps: int) -> ArgumentParser:
    """Make a parser of what every command that trains a regressor is told, with these defaults."""
    parser = ArgumentParser(prog=f"python -m unsquash.training.profiles.{module}", description=description)
    parser.add_argument("recipe", type=Path, help="of a profile network: who is held out, and the seed")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--examples", type=positive_int, default=examples)
    parser.add_argument("--steps", type=positive_int, default=steps)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = regression_parser("regression", __doc__, examples=4000, steps=1200)
    parser.add_argument("--asked", type=positive_int, default=120, help="recordings of every kind")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    check_target(options.out, overwrite=True)
    recipe = load_profile_recipe(options.recipe)
    corpus = load_corpus(options.audio, options.cache, validation_artists=recipe.validation_artists)
    judge = load_gain_net(DEFAULT_MODEL)
    rng = np.random.default_rng(recipe.seed)
    maker = Maker(choose(corpus, "train"), judge)
    asker = Maker(choose(corpus, "validation"), judge)
    pieces = range(-(-options.examples // COMPRESSORS_PER_PIECE))
    examples = Examples.of(list(counted("pieces", (maker.varied(rng) for _ in pieces))))
    questions: dict[tuple[Group, str], list[Examples]] = {}
    for group in GROUPS:
        for word, protocol, count in PROTOCOLS:
            questions[group, word] = [asker.asked(group, protocol, count, rng) for _ in range(options.asked)]
    results: dict[str, dict[str, object]] = {
        "always the same": {
            f"{group}, {word}": spread(asked, group) for (group, word), asked in questions.items()
        }
    }
    print(results, flush=True)
    for view in VIEWS:
        begun = time.process_time()
        net = train(view, examples, bands=judge.config.mel_bands, steps=options.steps, seed=recipe.seed)
        results[view] = {
            "minutes": round((time.process_time() - begun) / 60.0, 1),
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            **{f"{group}, {word}": errors(net, asked, group) for (group, word), asked in questions.items()},
        }
        print(view, results[view], flush=True)
        write_json(options.out, results)


if __name__ == "__main__":
    run(main)
