from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from unsquash.errors import OptionError, OutputError, UnsquashError
from unsquash.training import sitting
from unsquash.training.checkpoint import Progress
from unsquash.training.recipe import Recipe
from unsquash.training.sitting import FIRST_EXAMPLES, Pool, check_schedule, open_folder, sit, sitting_parser

BURST = 12


class Producers:
    """Makes numbers, from `first` on; `BURST` of them are always waiting."""

    def __init__(self, first: int) -> None:
        self.number, self.stopped, self.taken = first, False, 0

    def take(self, *, wait: bool) -> int | None:
        self.taken = self.taken + 1 if self.taken < BURST else 0
        if self.taken == 0 and not wait:
            return None
        self.number += 1
        return self.number

    def stop(self) -> None:
        self.stopped = True


class Clock:
    """A clock on which every look takes a second."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 1.0
        return self.now_s


def test_the_pool_keeps_the_latest() -> None:
    pool: Pool[int] = Pool(2)
    for example in (0, 1, 2):
        pool.add(example)
    assert set(pool.draw(50, np.random.default_rng(0))) == {1, 2}
    assert (pool.received, pool.drawn) == (3, 50)


@pytest.mark.parametrize("failing", [False, True])
def test_a_sitting_follows_its_schedule(monkeypatch, failing: bool) -> None:
    monkeypatch.setattr(sitting, "time", Clock())
    recipe = Recipe(name="x", minutes=10.0, batch=8, pool_examples=500, reuse=2.0, validate_every=20)
    progress, producers = Progress(step=7, elapsed_s=540.0, examples=1000), Producers(1000)
    shares, seen, records = [], set(), []

    def step(batch: list[int], done: float, rng: np.random.Generator) -> float:
        assert len(batch) == 8
        if failing:
            raise RuntimeError
        progress.step += 1
        shares.append(done)
        seen.update(batch)
        return float(progress.step)

    def sitting_of(minutes: float) -> None:
        sit(recipe, progress, producers, step, records.append, minutes=minutes)  # type: ignore[arg-type]

    if failing:
        with pytest.raises(RuntimeError):
            sitting_of(5.0)
        assert producers.stopped
        return
    sitting_of(5.0)
    assert producers.stopped
    np.testing.assert_allclose(shares, np.arange(541, 600) / 600.0)  # the last minute of ten
    assert [len(losses) for losses in records] == [13, 20, 20, 6]
    assert [loss for losses in records for loss in losses] == list(range(8, 67))
    fresh = progress.examples - 1000 - FIRST_EXAMPLES
    assert 8 * 58 / 2 <= fresh <= 8 * 59 / 2 + 2 * BURST  # as many as are wanted, not all there could be
    assert min(seen) > 1000


def test_a_sitting_may_end_before_its_schedule(monkeypatch) -> None:
    monkeypatch.setattr(sitting, "time", Clock())
    recipe = Recipe(name="x", minutes=10.0, batch=8, pool_examples=500, validate_every=1000)
    progress, steps = Progress(), []
    sit(
        recipe,
        progress,
        Producers(0),  # type: ignore[arg-type]
        lambda batch, done, rng: steps.append(done) or 0.0,
        lambda losses: None,
        minutes=0.5,
    )
    assert len(steps) == 29
    assert progress.elapsed_s == 29.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_learned_is_recorded_when_a_sitting_is_interrupted(
    monkeypatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(sitting, "time", Clock())
    recipe = Recipe(name="x", minutes=10.0, batch=8, pool_examples=500, validate_every=1000)
    progress, producers, records = Progress(), Producers(0), []

    def step(batch: list[int], done: float, rng: np.random.Generator) -> float:
        progress.step += 1
        if progress.step == 5:
            signal.raise_signal(number)
        return float(progress.step)

    with pytest.raises(KeyboardInterrupt):
        sit(recipe, progress, producers, step, records.append, minutes=5.0)  # type: ignore[arg-type]
    assert records == [[1.0, 2.0, 3.0, 4.0, 5.0]]
    assert producers.stopped


def test_what_was_learned_is_recorded_when_the_producers_end(monkeypatch) -> None:
    class Ending(Producers):
        def take(self, *, wait: bool) -> int | None:
            if self.number > 400:
                raise UnsquashError("a process has ended")
            return super().take(wait=wait)

    monkeypatch.setattr(sitting, "time", Clock())
    recipe = Recipe(name="x", minutes=10.0, batch=8, pool_examples=500, reuse=2.0, validate_every=1000)
    progress, producers, records = Progress(), Ending(0), []

    def step(batch: list[int], done: float, rng: np.random.Generator) -> float:
        progress.step += 1
        return 1.0

    with pytest.raises(UnsquashError, match="a process has ended"):
        sit(recipe, progress, producers, step, records.append, minutes=5.0)  # type: ignore[arg-type]
    assert [len(losses) for losses in records] == [progress.step]
    assert progress.step > 5
    assert producers.stopped


def test_a_training_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    open_folder(out, resume=False, begin_with=None)
    (out / "state.safetensors").write_bytes(b"hours of work")
    open_folder(out, resume=True, begin_with=None)
    with pytest.raises(OptionError, match="holds a training"):
        open_folder(out, resume=False, begin_with=tmp_path / "weights.safetensors")
    with pytest.raises(OptionError, match="weights of its own"):
        open_folder(out, resume=True, begin_with=tmp_path / "weights.safetensors")


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").mkdir()
    with pytest.raises(OutputError):
        open_folder(tmp_path, resume=True, begin_with=None)


def test_a_schedule_that_is_over_is_not_sat_through() -> None:
    recipe = Recipe(name="x", minutes=10.0)
    check_schedule(recipe, Progress(elapsed_s=599.0))
    with pytest.raises(OptionError, match="the schedule of 10 minutes is over"):
        check_schedule(recipe, Progress(elapsed_s=600.0))


@pytest.mark.parametrize("option", ["--minutes", "--workers", "--threads", "--device"])
def test_an_option_that_makes_no_sense_is_a_usage_error(option: str) -> None:
    with pytest.raises(SystemExit) as end:
        sitting_parser("train", "").parse_args(
            ["recipe.toml", "--audio", "a", "--cache", "c", "--out", "o", option, "0"]
        )
    assert end.value.code == 2
