"""Train a gain network: `python -m unsquash.training.train RECIPE --audio DIR --cache DIR --out DIR`.

Background processes make examples; the trainer keeps the latest in a pool and draws its batches from there.
Runs on CPU in bfloat16 where the processor has it, on one GPU without change. `OUT` receives `log.jsonl`,
`model.safetensors` (the averaged network, to ship) and `state.safetensors` (to resume).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from unsquash.nets.gain import GainNet
from unsquash.nets.gain_loss import assessment_loss, gain_loss
from unsquash.training.checkpoint import STATE, load_net
from unsquash.training.codecs import available_plugins
from unsquash.training.commands import run
from unsquash.training.examples import NetExample, Source, Workers
from unsquash.training.learner import Learner
from unsquash.training.recipe import Recipe, load_recipe
from unsquash.training.sitting import check_schedule, open_folder, sit, sitting_parser
from unsquash.training.validate import Batch, collate, validate


class Trainer(Learner[GainNet]):
    """A gain network, and one step of its training."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        super().__init__(
            GainNet(recipe.net, dropout=recipe.dropout).to(device),
            rate=recipe.learning_rate,
            block_rate=recipe.block_learning_rate,
            weight_decay=recipe.weight_decay,
            warmup_steps=recipe.warmup_steps,
            ema_decay=recipe.ema_decay,
        )
        self.recipe = recipe
        self.device = device

    def step(self, batch: Batch, done: float, rng: np.random.Generator) -> float:
        """Train on one batch, `done` (0…1) of the schedule being over; returns the loss."""
        recipe = self.recipe
        self.net.train()
        batch = batch.to(self.device)
        crop, whole = batch.cropped(recipe.crop_frames, rng), rng.random() < 0.7
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            conditioning = self.net.pool(self.net.embed((batch if whole else crop).features))
            assessment = self.net.assess(conditioning)
            estimate_db = self.net(crop.features, conditioning)
        loss = gain_loss(estimate_db, crop.reduction_db, crop.energy)
        assessed = assessment_loss(assessment, batch.verdict, batch.amount_db)
        return self.descend(loss + recipe.assessment_weight * assessed, done)


def train(
    recipe: Recipe,
    source: Source,
    out: Path,
    *,
    device: str,
    workers: int,
    minutes: float,
    resume: bool,
    begin_with: Path | None = None,
) -> None:
    """Train for at most `minutes` of the schedule: anew, from given weights, or where it was left."""
    open_folder(out, resume=resume, begin_with=begin_with)
    trainer = Trainer(recipe, torch.device(device))
    if begin_with is not None:
        trainer.begin_with(load_net(begin_with).state_dict())
    if resume:
        trainer.load(out / STATE)
    check_schedule(recipe, trainer.progress)
    held_out = _take(source, recipe.validation_examples)

    def step(examples: list[NetExample], done: float, rng: np.random.Generator) -> float:
        return trainer.step(collate(examples), done, rng)

    def record(losses: list[float]) -> None:
        trainer.record(losses, validate(trainer.average, held_out, trainer.device), out)

    producers = Workers(source, workers, trainer.progress.examples)
    sit(recipe, trainer.progress, producers, step, record, minutes=minutes)


def _take(source: Source, count: int) -> list[NetExample]:
    examples = source.generate("validation", 0, 1)
    return [next(examples) for _ in range(count)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = sitting_parser("python -m unsquash.training.train", __doc__)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    plugins = available_plugins()
    print(f"plug-ins: {', '.join(plugins) or 'none, so none is simulated'}", flush=True)
    source = Source.of(recipe, options.audio, options.cache, plugins)
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
    )


if __name__ == "__main__":
    run(main)
