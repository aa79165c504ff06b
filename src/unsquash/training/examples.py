"""Examples as the network is trained on them: features, gain reduction and energy at the control rate.

A network example is some 20 kB per second instead of 700, so that a pool of hours fits into memory and
every degraded excerpt can be used several times.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from unsquash.errors import UnsquashError
from unsquash.nets.features import SUBFRAME_SAMPLES, Features
from unsquash.nets.gain import QUANTUM_SAMPLES, VERDICTS
from unsquash.training.codecs import PLUGINS
from unsquash.training.corpus import SAMPLE_RATE, Part, Track, load_corpus
from unsquash.training.degrade import Example, degrade
from unsquash.training.mixes import MOVED_SHARE, Mixer
from unsquash.training.recipe import Recipe
from unsquash.units import Float64Array

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)

EXCERPT_SAMPLES = 688 * QUANTUM_SAMPLES
"""16 s: half of it is the excerpt of a training step, all of it the 'file' that conditions the network."""

LEAD_IN_SAMPLES = 3 * SAMPLE_RATE // 2
TAIL_SAMPLES = 4096
SILENCE_POWER = 1e-5
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetExample:
    """One example at the control rate.

    Shape:
        features: `(F, n)`; reduction_db: `(4n,)`, ≥ 0 and 0 where least was done; energy: `(4n,)`, of the
        original, mean 1; verdict: index into `VERDICTS`; amount_db: `(3,)`, mean, maximum and deviation of
        the reduction.
    """

    features: npt.NDArray[np.float16]
    reduction_db: npt.NDArray[np.float16]
    energy: npt.NDArray[np.float32]
    verdict: int
    amount_db: npt.NDArray[np.float32]


class Originals(Protocol):
    """What draws originals: a `Mixer`, or a `Synthesizer`."""

    def draw(self, length: int, rng: np.random.Generator) -> Float64Array:
        """Draw an original with a peak of ±1, shape `(2, length)`."""


Squash: TypeAlias = Callable[[Float64Array, np.random.Generator], Example]


def make_example(originals: Originals, squash: Squash, rng: np.random.Generator) -> Example:
    """Draw an original and squash it; the processors have settled before the excerpt begins."""
    inside = slice(LEAD_IN_SAMPLES, LEAD_IN_SAMPLES + EXCERPT_SAMPLES)
    silent = True
    while silent:
        original = originals.draw(LEAD_IN_SAMPLES + EXCERPT_SAMPLES + TAIL_SAMPLES, rng)
        silent = float(np.square(original[:, inside]).mean()) < SILENCE_POWER
    example = squash(original, rng)
    return Example(
        original=example.original[:, inside],
        squashed=example.squashed[:, inside],
        gain=example.gain[:, inside],
        kind=example.kind,
        chain=example.chain,
    )


def to_control_rate(example: Example, features: Features) -> NetExample:
    """Compute what the network sees and should answer."""
    power = np.square(example.original)
    reduction_db = -20.0 * np.log10(np.maximum(example.gain, 1e-4))
    energy = _per_subframe(power.sum(axis=0))
    weighted = _per_subframe((power * reduction_db).sum(axis=0))
    plain = _per_subframe(reduction_db.mean(axis=0))
    loud = energy > 1e-5 * energy.max()
    target = np.where(loud, weighted / np.maximum(energy, 1e-30), plain)
    target = np.clip(target - np.percentile(target[loud], 5.0), 0.0, 30.0)
    mean = float((energy * target).sum() / energy.sum())
    deviation = float(np.sqrt((energy * np.square(target - mean)).sum() / energy.sum()))
    peak = float(np.abs(example.squashed).max())
    samples = torch.from_numpy(np.ascontiguousarray(example.squashed / peak, dtype=np.float32))
    return NetExample(
        features=features(samples[None])[0].numpy().astype(np.float16),
        reduction_db=target.astype(np.float16),
        energy=(energy / energy.mean()).astype(np.float32),
        verdict=VERDICTS.index(example.kind),
        amount_db=np.array([mean, np.percentile(target[loud], 99.5), deviation], dtype=np.float32),
    )


def generate(
    originals: Originals, squash: Squash, features: Features, *, seed: int, first: int, step: int
) -> Iterator[NetExample]:
    """Generate examples number `first`, `first + step`, …; each depends on the seed and its number only."""
    number = first
    while True:
        rng = np.random.default_rng([seed, number])
        yield to_control_rate(make_example(originals, squash, rng), features)
        number += step


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where and how examples are made; can be sent to another process."""

    audio: Sequence[Path]
    cache: Path
    validation_artists: tuple[str, ...]
    mel_bands: int
    noise_bands: int
    seed: int
    plugin_share: float
    moved_share: float = MOVED_SHARE

    @staticmethod
    def of(recipe: Recipe, audio: Sequence[Path], cache: Path, plugins: Sequence[str]) -> Source:
        """Follow a recipe; real plug-ins take part if all of them work on this machine."""
        return Source(
            audio=audio,
            cache=cache,
            validation_artists=recipe.validation_artists,
            mel_bands=recipe.net.mel_bands,
            noise_bands=recipe.net.noise_bands,
            seed=recipe.seed,
            plugin_share=recipe.plugin_share if set(plugins) == set(PLUGINS) else 0.0,
        )

    def tracks(self, part: Part) -> list[Track]:
        """Open the tracks of one part of the corpus; there may be none."""
        everything = load_corpus(self.audio, self.cache, validation_artists=self.validation_artists)
        return [track for track in everything if track.part == part]

    def generate(self, part: Part, first: int, step: int) -> Iterator[NetExample]:
        """Generate examples of one part of the corpus.

        Raises:
            AudioReadError: There is no music in that part.
        """
        mixer = Mixer(self.tracks(part), moved_share=self.moved_share)
        seed = self.seed if part == "train" else self.seed + 1_000_003
        squash = partial(degrade, plugin_share=self.plugin_share)
        features = Features(self.mel_bands, SAMPLE_RATE, self.noise_bands)
        return generate(mixer, squash, features, seed=seed, first=first, step=step)


class Generator(Protocol[Made_co]):
    """What makes examples."""

    def generate(self, part: Part, first: int, step: int) -> Iterator[Made_co]:
        """Generate examples `first`, `first + step`, … without end."""


class Workers(Generic[Made]):
    """Background processes that generate training examples without end."""

    def __init__(self, source: Generator[Made], count: int, first: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[Made | UnsquashError] = context.Queue(maxsize=8)
        self._processes = [
            context.Process(target=_work, args=(source, first + i, count, self._queue), daemon=True)
            for i in range(count)
        ]
        for process in self._processes:
            process.start()

    def take(self, *, wait: bool) -> Made | None:
        """Take one example; None if none is ready, or comes within a moment if `wait` is true.

        Raises:
            UnsquashError: A process has ended.
        """
        try:
            made = self._queue.get(block=wait, timeout=PATIENCE_S)
        except queue.Empty:
            if all(process.is_alive() for process in self._processes):
                return None
            raise UnsquashError(
                "a process that makes examples has ended",
                hint="What it said is above; if nothing, memory may have run out: give fewer --workers.",
            ) from None
        if isinstance(made, UnsquashError):
            raise made
        return made

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()


def _work(
    source: Generator[Made], first: int, step: int, examples: multiprocessing.Queue[Made | UnsquashError]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the trainer ends its workers itself
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    trainer = multiprocessing.parent_process()
    for example in _until_an_error(source.generate("train", first, step)):
        while trainer is None or trainer.is_alive():  # a killed trainer leaves no workers behind
            with contextlib.suppress(queue.Full):
                examples.put(example, timeout=5.0)
                break
        else:
            examples.cancel_join_thread()  # nobody will read what is still in the pipe
            return


def _until_an_error(examples: Iterator[Made]) -> Iterator[Made | UnsquashError]:
    try:
        yield from examples
    except UnsquashError as error:
        yield error


def _per_subframe(signal: Float64Array) -> Float64Array:
    return np.asarray(signal.reshape(-1, SUBFRAME_SAMPLES).mean(axis=1))
