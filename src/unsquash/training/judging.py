"""Fit the judge of a trained network: how much of its estimate to give back, and whether to.

`python -m unsquash.training.judging MODEL RECIPE --audio DIR --cache DIR --out FILE` runs the network as it
is over fresh excerpts and fits only the judge, on outcomes: what a multiple of the estimate does to the
SI-SDR is a quadratic of three numbers per excerpt, so that thousands fit at once. Half of the excerpts are of
music that the network was trained on, half of what a catalogue keeps for the judge, if any does; as they are,
without bands that move. Sounds that nobody played (`training/synthetic.py`) then teach it what is no music:
what comes from machines looks squashed to whoever knows music alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as functional

from unsquash.audio import check_target
from unsquash.nets.features import Features
from unsquash.nets.gain import VERDICTS, GainNet
from unsquash.nets.gain_loss import SQUARED_FLOOR, gain_error
from unsquash.nets.judge import (
    AMOUNT_OUTPUT,
    HIDDEN,
    MEMBERS,
    Judge,
    Judgement,
    join,
    judgement_of,
    perceptron,
)
from unsquash.training.checkpoint import load_net, save_net
from unsquash.training.codecs import available_plugins
from unsquash.training.commands import counted, positive_int, run
from unsquash.training.corpus import SAMPLE_RATE, Part
from unsquash.training.degrade import degrade, squash_by_profile
from unsquash.training.examples import NetExample, Originals, Source, Squash, generate
from unsquash.training.mixes import Mixer
from unsquash.training.recipe import load_recipe
from unsquash.training.synthetic import Synthesizer
from unsquash.training.validate import collate

FIRST_NUMBER = 2_000_000
"""Far from the examples that the network was trained on."""

HELD_OUT_SHARE = 0.2
LEAST_EXAMPLES = 20
"""Of fewer, a member's held-out share may have none that was squashed."""

SYNTHETIC_SHARE, PUBLISHED_SHARE = 0.45, 0.15
"""Excerpts of sounds that nobody played, and of music that published compressors squashed, for each one of
music: what is artificial is learned from them, too, what is squashed is not."""

_NONE = VERDICTS.index("none")

TRUST, CAUTION = 0.5, 0.75
"""Half of what the judge learns from is music that the network was trained on, where it is surer. On artists
held out, this power of the fitted amount and this multiple of it do better than the amount as it is."""

NOTICEABLE_ERROR = 1e-3
"""30 dB of SI-SDR: the amount is fitted to what can be heard; whether to restore at all is asked apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What the judge sees of each excerpt, and what decides how a multiple of the estimate would do.

    Shape:
        statistics: `(N, STATISTICS)`; the rest `(N,)`: the estimate's variance, its covariance with the
        truth and the truth's variance, energy-weighted, in nepers², and the verdict.
    """

    statistics: torch.Tensor
    variance: torch.Tensor
    covariance: torch.Tensor
    untouched: torch.Tensor
    verdict: torch.Tensor

    def __getitem__(self, chosen: torch.Tensor) -> Outcomes:
        """Return some of the excerpts."""
        return Outcomes(
            statistics=self.statistics[chosen],
            variance=self.variance[chosen],
            covariance=self.covariance[chosen],
            untouched=self.untouched[chosen],
            verdict=self.verdict[chosen],
        )

    def __add__(self, others: Outcomes) -> Outcomes:
        """Return these excerpts and others."""
        columns = {
            field.name: torch.cat([getattr(self, field.name), getattr(others, field.name)])
            for field in dataclasses.fields(self)
        }
        return Outcomes(**columns)

    def gain_db(self, amount: torch.Tensor, floor: float = SQUARED_FLOOR) -> torch.Tensor:
        """Return what giving back `amount` times the estimate gains, in dB of SI-SDR (for small errors).

        Errors below `floor`, in nepers², do not count.
        """
        error = self.untouched - 2.0 * amount * self.covariance + amount.square() * self.variance
        return -10.0 * torch.log10((error.clamp_min(0.0) + floor) / (self.untouched + floor))


@torch.no_grad()
def observe(net: GainNet, examples: Iterable[NetExample]) -> Outcomes:
    """Run the network over excerpts."""
    rows: list[tuple[torch.Tensor, ...]] = []
    device = next(net.parameters()).device
    for example in examples:
        batch = collate([example]).to(device)
        conditioning = net.pool(net.embed(batch.features))
        estimate_db = net(batch.features, conditioning)
        nothing = torch.zeros_like(estimate_db)
        error = gain_error(estimate_db, batch.reduction_db, batch.energy)
        variance = gain_error(estimate_db, nothing, batch.energy).squared
        covariance = 0.5 * (variance + error.untouched - error.squared)
        statistics = net.statistics(batch.features, estimate_db, conditioning)
        rows.append((statistics, variance, covariance, error.untouched, batch.verdict))
    columns = [torch.cat(column).cpu() for column in zip(*rows, strict=True)]
    return Outcomes(
        statistics=columns[0],
        variance=columns[1],
        covariance=columns[2],
        untouched=columns[3],
        verdict=columns[4],
    )


def excerpts(source: Source, count: int) -> Iterator[NetExample]:
    """Draw excerpts to fit a judge on: half of them of music that the network never heard, if possible."""
    parts: list[Part] = ["train", "judging"] if source.tracks("judging") else ["train"]
    for part in parts:
        yield from islice(source.generate(part, FIRST_NUMBER, 1), count // len(parts))


def published_excerpts(source: Source, count: int) -> Iterator[NetExample]:
    """Draw excerpts of music that published compressors squashed: some leave less of it than any machine."""
    music = Mixer(source.tracks("train"), moved_share=0.0)
    return islice(_numbered(source, music, squash_by_profile), count)


def synthetic_excerpts(source: Source, count: int) -> Iterator[NetExample]:
    """Draw excerpts of sounds that nobody played, half of them as they were made."""
    squash = partial(degrade, plugin_share=source.plugin_share, untouched_share=0.5)
    return islice(_numbered(source, Synthesizer(), squash), count)


def _numbered(source: Source, originals: Originals, squash: Squash) -> Iterator[NetExample]:
    features = Features(source.mel_bands, SAMPLE_RATE, source.noise_bands)
    return generate(originals, squash, features, seed=source.seed, first=FIRST_NUMBER, step=1)


def fit_judge(net: GainNet, outcomes: Outcomes, *, seed: int, steps: int = 1200) -> float:
    """Fit the judge's members, each on other excerpts, all at once.

    Returns the mean SI-SDR gain in dB on those that a member was not fitted on, whatever its doubts.
    """
    judge = net.judge
    judge.centre.copy_(outcomes.statistics.mean(0))
    judge.spread.copy_(outcomes.statistics.std(0).clamp_min(1e-3))
    seen = dataclasses.replace(outcomes, statistics=judge.standardized(outcomes.statistics))
    fitted = [_fit_member(seen, MEMBERS * seed + number, steps) for number in range(MEMBERS)]
    join(judge.layers, [member for member, _ in fitted])
    return sum(gained_db for _, gained_db in fitted) / MEMBERS


def fit_artificial(
    judge: Judge, music: Outcomes, synthetic: Outcomes, *, seed: int, steps: int = 700
) -> None:
    """Fit what tells sounds that nobody played, and nobody squashed, from all else; after `fit_judge`."""
    seen = judge.standardized((music + synthetic).statistics)
    is_as_made = torch.cat([torch.zeros(len(music.verdict)), (synthetic.verdict == _NONE).float()])
    members = []
    for number in range(MEMBERS):
        torch.manual_seed(MEMBERS * seed + number)
        member = perceptron(HIDDEN, 1)
        optimizer = torch.optim.AdamW(member.parameters(), lr=3e-3, weight_decay=0.3)
        for _ in range(steps):
            loss = functional.binary_cross_entropy_with_logits(member(seen)[:, 0], is_as_made)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        members.append(member)
    join(judge.artificial_layers, members)


def _fit_member(outcomes: Outcomes, seed: int, steps: int) -> tuple[torch.nn.Sequential, float]:
    """Fit a perceptron, keep it as it was when best on a held-out share; with its mean gain there."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(outcomes.verdict), generator=generator)
    count = round(HELD_OUT_SHARE * len(order))
    held_out, fitted = outcomes[order[:count]], outcomes[order[count:]]
    torch.manual_seed(seed)
    member = perceptron(HIDDEN)
    optimizer = torch.optim.AdamW(member.parameters(), lr=3e-3, weight_decay=0.3)
    best, lowest, gained_db = member.state_dict(), float("inf"), 0.0
    for _ in range(steps):
        loss = _loss(judgement_of(member(fitted.statistics)), fitted)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            judgement = judgement_of(member(held_out.statistics))
            unseen = float(_loss(judgement, held_out))
        if unseen < lowest:
            lowest, gained_db = unseen, float(held_out.gain_db(judgement.amount).mean())
            best = {name: value.clone() for name, value in member.state_dict().items()}
    member.load_state_dict(best)
    return member, gained_db


@torch.no_grad()
def moderate(judge: Judge) -> None:
    """Draw the amounts that a judge gives towards `CAUTION`."""
    last = judge.layers[-1]
    if not isinstance(last, torch.nn.Linear):
        raise TypeError("a judge ends in a linear layer")
    last.weight[AMOUNT_OUTPUT] *= TRUST
    last.bias[AMOUNT_OUTPUT] = TRUST * last.bias[AMOUNT_OUTPUT] + math.log(CAUTION)


def _loss(judgement: Judgement, outcomes: Outcomes) -> torch.Tensor:
    is_squashed = outcomes.verdict != _NONE
    squashed = functional.binary_cross_entropy_with_logits(
        judgement.squashed, is_squashed.to(judgement.squashed.dtype)
    )
    limited = functional.binary_cross_entropy_with_logits(
        judgement.limited[is_squashed],
        (outcomes.verdict[is_squashed] == VERDICTS.index("limited")).to(judgement.limited.dtype),
    )
    gain_db = outcomes.gain_db(judgement.amount, NOTICEABLE_ERROR)
    return -0.3 * gain_db.mean() + squashed + 0.3 * limited


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m unsquash.training.judging", description=__doc__)
    parser.add_argument("model", type=Path, help="model.safetensors as training leaves it")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument(
        "--examples", type=positive_int, default=2400, help="excerpts of music; others are added"
    )
    options = parser.parse_args(arguments)
    if options.examples < LEAST_EXAMPLES:
        parser.error(f"argument --examples: at least {LEAST_EXAMPLES} are needed")
    check_target(options.out, overwrite=True)
    recipe = load_recipe(options.recipe)
    source = Source.of(recipe, options.audio, options.cache, available_plugins())
    net = load_net(options.model)
    published_count = round(PUBLISHED_SHARE * options.examples)
    synthetic_count = round(SYNTHETIC_SHARE * options.examples)
    unmoved = dataclasses.replace(source, moved_share=0.0)
    music = observe(net, counted("music", excerpts(unmoved, options.examples)))
    print(f"mean gain on the held-out share: {fit_judge(net, music, seed=recipe.seed):+.2f} dB", flush=True)
    moderate(net.judge)
    published = observe(net, counted("compressed music", published_excerpts(source, published_count)))
    synthetic = observe(net, counted("sounds", synthetic_excerpts(source, synthetic_count)))
    fit_artificial(net.judge, music + published, synthetic, seed=recipe.seed)
    save_net(net, options.out)


if __name__ == "__main__":
    run(main)
