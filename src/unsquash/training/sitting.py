"""One sitting of a training: background processes make examples, the latest are kept, batches are drawn."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from unsquash.audio import check_target
from unsquash.errors import OptionError, UnsquashError
from unsquash.training.checkpoint import STATE, Progress
from unsquash.training.commands import Interruption, device, positive_float, positive_int
from unsquash.training.examples import Workers

Made = TypeVar("Made")

FIRST_EXAMPLES = 320
"""How many examples are made before the first step."""


def sitting_parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """Make a parser of what every training is told on its command line."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders with catalog.csv")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio (11 MB a minute)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--minutes", type=positive_float, help="stop this sitting earlier than the recipe's schedule"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the state in OUT was left")
    parser.add_argument("--begin-with", type=Path, help="weights to start a new schedule from")
    parser.add_argument("--workers", type=positive_int, default=1, help="processes that make examples")
    parser.add_argument("--threads", type=positive_int, default=2, help="threads of the trainer")
    parser.add_argument("--device", type=device, default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def open_folder(out: Path, *, resume: bool, begin_with: Path | None) -> None:
    """Make the folder of a training, unless that would lose one, or options contradict each other.

    Raises:
        OptionError: It holds a training that is not to be resumed; or `resume` has weights to begin with.
        OutputError: Nothing can be written there.
    """
    if resume and begin_with is not None:
        raise OptionError("--resume goes on with weights of its own", hint="Leave --begin-with out.")
    state = out / STATE
    if not resume and state.exists():
        raise OptionError(f"{out} holds a training", hint="Go on with --resume, or choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    check_target(state, overwrite=True)


def check_schedule(schedule: Schedule, progress: Progress) -> None:
    """Refuse to sit where nothing is left to do.

    Raises:
        OptionError: The schedule is over.
    """
    if progress.elapsed_s >= 60.0 * schedule.minutes:
        raise OptionError(
            f"the schedule of {schedule.minutes:g} minutes is over",
            hint="Give a recipe of more minutes, or begin a new training with --begin-with.",
        )


class Schedule(Protocol):
    """What a recipe says of a sitting."""

    @property
    def seed(self) -> int:
        """Draws the batches."""

    @property
    def minutes(self) -> float:
        """Length of the whole schedule; resumed sittings count together."""

    @property
    def batch(self) -> int:
        """Examples per step."""

    @property
    def pool_examples(self) -> int:
        """How many of the latest examples are kept."""

    @property
    def reuse(self) -> float:
        """How often an example is drawn on average; new ones wait where they come faster."""

    @property
    def validate_every(self) -> int:
        """Steps between two records."""


class Pool(Generic[Made]):
    """The latest examples, from which batches are drawn."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._examples: list[Made] = []
        self.received = 0
        self.drawn = 0

    def add(self, example: Made) -> None:
        """Keep an example, in the place of the oldest if the pool is full."""
        if len(self._examples) < self._capacity:
            self._examples.append(example)
        else:
            self._examples[self.received % self._capacity] = example
        self.received += 1

    def draw(self, count: int, rng: np.random.Generator) -> list[Made]:
        """Draw a batch at random."""
        self.drawn += count
        return [self._examples[int(i)] for i in rng.integers(len(self._examples), size=count)]


def sit(
    schedule: Schedule,
    progress: Progress,
    producers: Workers[Made],
    step: Callable[[list[Made], float, np.random.Generator], float],
    record: Callable[[list[float]], None],
    *,
    minutes: float,
) -> None:
    """Train until the schedule or the sitting is over; an interrupt or a lost producer costs nothing learned.

    Args:
        schedule: The recipe.
        progress: How far the training is; kept up to date.
        producers: Make the examples; stopped in the end.
        step: Trains on a batch, so much (0…1) of the schedule being over, and returns the loss.
        record: Takes the losses since it was last called: every so often, and in the end.
        minutes: Length of the sitting.

    Raises:
        KeyboardInterrupt: It was interrupted; the step under way was still taken.
    """
    pool: Pool[Made] = Pool(schedule.pool_examples)
    first, losses = progress.examples, list[float]()
    with Interruption() as interruption:
        try:
            while pool.received < min(schedule.pool_examples, FIRST_EXAMPLES) and not interruption.asked:
                _refill(pool, producers, wait=True)
            before_s, begun = progress.elapsed_s, time.monotonic()
            while (sitting_s := time.monotonic() - begun) < 60.0 * minutes and not interruption.asked:
                progress.elapsed_s = before_s + sitting_s
                done = progress.elapsed_s / (60.0 * schedule.minutes)
                if done >= 1.0:
                    break
                if pool.received * schedule.reuse <= pool.drawn + schedule.reuse * FIRST_EXAMPLES:
                    _refill(pool, producers, wait=False)
                rng = np.random.default_rng([schedule.seed, 7, progress.step])
                losses.append(step(pool.draw(schedule.batch, rng), done, rng))
                progress.examples = first + pool.received
                if progress.step % schedule.validate_every == 0:
                    record(losses)
                    losses = []
        except UnsquashError:  # of the producers, between two steps
            if losses:
                record(losses)
            raise
        else:
            if losses:
                record(losses)
        finally:
            producers.stop()
    if interruption.asked:
        raise KeyboardInterrupt


def _refill(pool: Pool[Made], producers: Workers[Made], *, wait: bool) -> None:
    example = producers.take(wait=wait)
    while example is not None:
        pool.add(example)
        example = producers.take(wait=False)
