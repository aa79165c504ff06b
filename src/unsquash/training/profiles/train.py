"""Train a profile network: `python -m unsquash.training.profiles.train RECIPE` and places.

Background processes make recordings; whenever one is drawn from the pool it meets new rivals of the
compressor that made it. `OUT` receives `log.jsonl`, `model.safetensors` (the averaged network, to ship) and
`state.safetensors` (to resume).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional

from unsquash.nets.profile import ProfileNet, ProfileNetConfig
from unsquash.training.checkpoint import STATE, load_profile_net
from unsquash.training.commands import run
from unsquash.training.examples import Workers
from unsquash.training.learner import Learner
from unsquash.training.profiles.examples import ProfileExample, ProfileSource, profile_sets
from unsquash.training.profiles.priors import COMPANIES, candidates
from unsquash.training.recipe import check_recipe, read_recipe
from unsquash.training.sitting import check_schedule, open_folder, sit, sitting_parser


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRecipe:
    """Everything that decides a training but the place of its files."""

    name: str
    seed: int = 1
    minutes: float = 60.0
    """Length of the whole schedule; resumed sittings count together."""
    validation_artists: tuple[str, ...] = ()
    validation_examples: int = 400
    batch: int = 8
    candidates: int = 12
    pool_examples: int = 4000
    reuse: float = 3.0
    learning_rate: float = 1.5e-3
    block_learning_rate: float = 6e-3
    """Of Muon, for the convolutions within gated blocks."""
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    ema_decay: float = 0.998
    validate_every: int = 1000
    net: ProfileNetConfig = field(default_factory=ProfileNetConfig)

    def __post_init__(self) -> None:
        """Check what would otherwise fail late, or not at all."""
        check_recipe(self)


def load_profile_recipe(path: Path) -> ProfileRecipe:
    """Read a recipe.

    Raises:
        OptionError: It is not TOML, or holds an unknown, missing or unfit key.
    """
    return read_recipe(path, ProfileRecipe, ProfileNetConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBatch:
    """Recordings, each with candidates of which the first is the true one.

    Shape:
        features: `(B, F, n)`; curves_db: `(B, K, n)`; state_known: `(B,)`.
    """

    features: torch.Tensor
    curves_db: torch.Tensor
    state_known: torch.Tensor


def collate(examples: Sequence[ProfileExample], count: int, rng: np.random.Generator) -> ProfileBatch:
    """Put examples together, each with `count` candidates drawn afresh."""
    curves = [e.curves_db(candidates(e.drawn, count, rng)) for e in examples]
    return ProfileBatch(
        features=torch.from_numpy(np.stack([e.features for e in examples]).astype(np.float32)),
        curves_db=torch.from_numpy(np.stack(curves)),
        state_known=torch.tensor([float(e.state_known) for e in examples]),
    )


class ProfileTrainer(Learner[ProfileNet]):
    """A profile network, and one step of its training."""

    def __init__(self, recipe: ProfileRecipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        super().__init__(
            ProfileNet(recipe.net).to(device),
            rate=recipe.learning_rate,
            block_rate=recipe.block_learning_rate,
            weight_decay=recipe.weight_decay,
            warmup_steps=recipe.warmup_steps,
            ema_decay=recipe.ema_decay,
        )
        self.recipe = recipe
        self.device = device

    def step(self, batch: ProfileBatch, done: float) -> float:
        """Train on one batch, `done` (0…1) of the schedule being over; returns the loss."""
        self.net.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            scores = _scores(self.net, batch, self.device)
        truth = torch.zeros(len(scores), dtype=torch.long, device=self.device)
        return self.descend(functional.cross_entropy(scores, truth), done)


@torch.no_grad()
def validate(
    net: ProfileNet, examples: Sequence[ProfileExample], count: int, device: torch.device
) -> dict[str, float]:
    """Return how often the true one of `count` scores highest, by what its company is like."""
    rng = np.random.default_rng(0)
    right: dict[str, list[float]] = {company: [] for company in COMPANIES}
    losses: list[float] = []
    for example in examples:
        scores = _scores(net, collate([example], count, rng), device)
        right[example.drawn.company].append(float(scores[0].argmax() == 0))
        losses.append(-float(torch.log_softmax(scores[0], 0)[0]))
    accuracy = {f"right_{key}": round(float(np.mean(hits)), 3) for key, hits in right.items() if hits}
    return {"unseen_loss": round(float(np.mean(losses)), 4), **accuracy}


def train(
    recipe: ProfileRecipe,
    source: ProfileSource,
    out: Path,
    *,
    device: str,
    workers: int,
    minutes: float,
    resume: bool,
    begin_with: Path | None = None,
    compiled: bool = False,
) -> None:
    """Train for at most `minutes` of the schedule: anew, from given weights, or where it was left."""
    open_folder(out, resume=resume, begin_with=begin_with)
    trainer = ProfileTrainer(recipe, torch.device(device))
    if begin_with is not None:
        trainer.begin_with(load_profile_net(begin_with).state_dict())
    if resume:
        trainer.load(out / STATE)
    check_schedule(recipe, trainer.progress)
    if compiled:
        trainer.net.compile()
    generated = source.generate("validation", 0, 1)
    held_out = [next(generated) for _ in range(recipe.validation_examples)]

    def step(examples: list[ProfileExample], done: float, rng: np.random.Generator) -> float:
        return trainer.step(collate(examples, recipe.candidates, rng), done)

    def record(losses: list[float]) -> None:
        trainer.record(losses, validate(trainer.average, held_out, recipe.candidates, trainer.device), out)

    producers = Workers(source, workers, trainer.progress.examples)
    sit(recipe, trainer.progress, producers, step, record, minutes=minutes)


def _scores(net: ProfileNet, batch: ProfileBatch, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(
        net(batch.features.to(device), batch.curves_db.to(device), batch.state_known.to(device))
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = sitting_parser("python -m unsquash.training.profiles.train", __doc__)
    parser.add_argument("--compile", action="store_true", help="faster steps; needs a C++ compiler")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = load_profile_recipe(options.recipe)
    source = ProfileSource(
        audio=options.audio,
        cache=options.cache,
        validation_artists=recipe.validation_artists,
        mel_bands=recipe.net.mel_bands,
        seed=recipe.seed,
        sets=tuple(map(tuple, profile_sets())),
    )
    minutes = recipe.minutes if options.minutes is None else options.minutes
    train(
        recipe,
        source,
        options.out,
        device=options.device,
        workers=options.workers,
        minutes=minutes,
        resume=options.resume,
        begin_with=options.begin_with,
        compiled=options.compile,
    )


if __name__ == "__main__":
    run(main)
