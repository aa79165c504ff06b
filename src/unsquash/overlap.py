"""Run an engine over a recording of any length in chunks, without seams.

Each chunk is a core with context on both sides. The engine sees all of it; the gain of the context is
discarded (near the edges of what it sees a network is wrong), then neighbouring chunks are cross-faded in
decibels over the first samples of the later core. An engine whose result depends on everything before
(a compressor's inverse) carries its state instead and needs neither context nor cross-fade.

```
chunk k      |--context--|------- core k -------|-xf-|--context--|
chunk k+1                       |--context--|------ core k+1 ------|-xf-|--context--|
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unsquash.errors import OptionError
from unsquash.parallel import in_order
from unsquash.units import FloatArray, apply_gain_db

PIECE_SAMPLES = 32_768
"""A stage's output comes in pieces that stay in the processor's cache while they are measured and written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How a recording is cut: lengths in samples at the recording's own rate."""

    core_samples: int
    context_samples: int = 0
    crossfade_samples: int = 0

    def __post_init__(self) -> None:
        if self.core_samples < 1 or self.context_samples < 0 or self.crossfade_samples < 0:
            raise OptionError("a chunk needs at least one core sample and no negative context")
        if self.crossfade_samples > self.core_samples:
            raise OptionError("the cross-fade is longer than the core of a chunk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One piece as the engine sees it: `samples[:, lead : lead + core]` is its own, the rest is context."""

    samples: FloatArray
    lead: int
    core: int
    tail: int  # samples after the core whose gain is kept for the cross-fade


class GainEngine(Protocol):
    """Answers one question: how many decibels, at each sample, undo the squash?"""

    @property
    def grid(self) -> Grid:
        """How this engine wants its input cut."""

    def start(self) -> Any:
        """Return the state before the first sample (None for an engine without memory)."""

    def gain_db(self, samples: FloatArray, state: Any) -> tuple[FloatArray, Any]:
        """Return the gain to apply to `samples`, and the state after them.

        Shape:
            samples: `(C, T)`; gain: `(C, T)`, or `(1, T)` when the channels share it.
        """


class Stage(Protocol):
    """A step of a plan: a stream of `(C, t)` blocks in, the same number of samples out."""

    def process(self, blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Transform the stream."""


def cut(blocks: Iterable[FloatArray], grid: Grid) -> Iterator[Chunk]:
    """Cut a stream of blocks into overlapping chunks; memory holds one chunk and one block.

    Shape:
        blocks: `(C, t)` each, any t; every chunk holds its core plus what context exists.
    """
    waiting: list[FloatArray] = []
    length = lead = 0
    ahead = grid.crossfade_samples + grid.context_samples
    for block in blocks:
        waiting.append(block)
        length += block.shape[1]
        if length < lead + grid.core_samples + ahead:
            continue
        buffer = np.concatenate(waiting, axis=1)
        while buffer.shape[1] >= lead + grid.core_samples + ahead:
            end = lead + grid.core_samples
            yield Chunk(
                samples=buffer[:, : end + ahead],
                lead=lead,
                core=grid.core_samples,
                tail=grid.crossfade_samples,
            )
            drop = max(0, end - grid.context_samples)
            buffer = buffer[:, drop:]
            lead = end - drop
        waiting, length = [buffer.copy()], buffer.shape[1]
    if not waiting:
        return
    buffer = np.concatenate(waiting, axis=1)
    while buffer.shape[1] > lead:
        core = min(grid.core_samples, buffer.shape[1] - lead)
        end = lead + core
        tail = min(grid.crossfade_samples, buffer.shape[1] - end)
        yield Chunk(samples=buffer[:, : end + ahead], lead=lead, core=core, tail=tail)
        drop = max(0, end - grid.context_samples)
        buffer = buffer[:, drop:]
        lead = end - drop


def run(
    engine: GainEngine, blocks: Iterable[FloatArray], at_once: int = 1
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield `(samples, gain_db)` for the whole stream, in order, each sample once.

    Args:
        engine: what estimates the gain.
        blocks: the stream.
        at_once: how many chunks an engine without memory looks at side by side; the result is the same.

    Shape:
        samples: `(C, t)`; gain_db: `(C, t)` or `(1, t)`.
    """
    state = engine.start()

    def look(chunk: Chunk) -> tuple[Chunk, FloatArray]:
        nonlocal state
        gain_db, state = engine.gain_db(chunk.samples, state)
        return chunk, gain_db

    kept: FloatArray | None = None  # the previous chunk's opinion of this core's first samples
    for chunk, gain_db in in_order(look, cut(blocks, engine.grid), at_once if state is None else 1):
        core_db = gain_db[:, chunk.lead : chunk.lead + chunk.core]
        if kept is not None and kept.shape[1]:
            core_db = _crossfade(kept, core_db)
        end = chunk.lead + chunk.core
        kept = gain_db[:, end : end + chunk.tail]
        yield chunk.samples[:, chunk.lead : end], core_db


def _crossfade(earlier_db: FloatArray, later_db: FloatArray) -> FloatArray:
    """Blend the first samples of `later_db` from `earlier_db` with a raised cosine."""
    n = min(earlier_db.shape[1], later_db.shape[1])
    weight = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    blended = later_db.copy()
    blended[:, :n] = earlier_db[:, :n] * (1.0 - weight) + later_db[:, :n] * weight
    return blended


class GainStage:
    """Apply an engine's gain, scaled by a strength and capped.

    Args:
        engine: what estimates the gain.
        strength: 0 to 1, multiplies the gain in dB (no comb filter, unlike a wet/dry mix).
        max_gain_db: upper limit of the applied gain; None for no limit.
        step_db: the applied gain is rounded to multiples of it, so that it can be saved exactly in few bits.
        at_once: how many chunks are looked at side by side, if the engine has no memory.
        observe: called with every `(samples, gain_db)` that was applied, in order.
    """

    def __init__(
        self,
        engine: GainEngine,
        *,
        strength: float = 1.0,
        max_gain_db: float | None = None,
        step_db: float | None = None,
        at_once: int = 1,
        observe: Callable[[FloatArray, FloatArray], None] | None = None,
    ) -> None:
        self.engine = engine
        self.strength = strength
        self.max_gain_db = max_gain_db
        self.step_db = step_db
        self.at_once = at_once
        self.observe = observe

    def process(self, blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Yield the restored stream."""
        for samples, engine_gain_db in run(self.engine, blocks, self.at_once):
            gain_db = engine_gain_db * self.strength if self.strength != 1.0 else engine_gain_db
            if self.max_gain_db is not None:
                gain_db = np.minimum(gain_db, self.max_gain_db)
            if self.step_db is not None:
                gain_db = np.rint(gain_db / self.step_db) * self.step_db
            if self.observe is not None:
                self.observe(samples, gain_db)
            for start in range(0, samples.shape[1], PIECE_SAMPLES):
                piece = slice(start, start + PIECE_SAMPLES)
                yield apply_gain_db(samples[:, piece], gain_db[:, piece])


class UnlinkedEngine:
    """Run an engine without memory on each channel by itself."""

    def __init__(self, engine: GainEngine) -> None:
        self.engine = engine

    @property
    def grid(self) -> Grid:
        """The wrapped engine's grid."""
        return self.engine.grid

    def start(self) -> None:
        """Return None: there is no memory."""

    def gain_db(self, samples: FloatArray, state: Any) -> tuple[FloatArray, Any]:
        """Return one gain per channel.

        Shape:
            samples: `(C, T)`; gain: `(C, T)`.
        """
        gains = [self.engine.gain_db(channel[np.newaxis], state)[0] for channel in samples]
        return np.concatenate(gains, axis=0), state
