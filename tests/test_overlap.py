"""Chunks without seams: an engine's gain must not depend on how its input was cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unsquash.errors import OptionError
from unsquash.overlap import PIECE_SAMPLES, GainStage, Grid, UnlinkedEngine, cut, run
from unsquash.units import apply_gain_db


class MovingAverage:
    """A gain that depends on `reach` samples on both sides, and is wrong near the edges of what it sees."""

    def __init__(self, grid: Grid, reach: int) -> None:
        self.grid = grid
        self.reach = reach

    def start(self) -> None:
        return None

    def gain_db(self, samples, state):
        kernel = np.ones(2 * self.reach + 1) / (2 * self.reach + 1)
        level = np.abs(samples).max(axis=0)
        return np.convolve(level, kernel, mode="same")[np.newaxis] * 6.0, state


class RunningSum:
    """A gain that depends on everything before."""

    grid = Grid(core_samples=37)

    def start(self) -> float:
        return 0.0

    def gain_db(self, samples, state):
        total = state + np.cumsum(samples[:1], axis=1)
        return total, float(total[0, -1])


def blocks_of(samples, sizes):
    start = 0
    for size in itertools.cycle(sizes):
        if start >= samples.shape[1]:
            return
        yield samples[:, start : start + size]
        start += size


@given(
    length=st.integers(1, 700),
    core=st.integers(1, 200),
    context=st.integers(0, 90),
    crossfade=st.integers(0, 40),
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=5),
)
@settings(max_examples=200)
def test_cores_tile_the_stream_and_carry_their_context(length, core, context, crossfade, sizes):
    grid = Grid(core_samples=core, context_samples=context, crossfade_samples=min(crossfade, core))
    samples = np.arange(float(length))[np.newaxis]
    position = 0
    for chunk in cut(blocks_of(samples, sizes), grid):
        first = int(chunk.samples[0, 0])
        assert chunk.lead == min(position, context)
        assert first == position - chunk.lead
        assert np.array_equal(chunk.samples[0], np.arange(first, first + chunk.samples.shape[1]))
        end = position + chunk.core
        assert chunk.tail == min(grid.crossfade_samples, length - end)
        assert first + chunk.samples.shape[1] == min(length, end + grid.crossfade_samples + context)
        position = end
    assert position == length


@pytest.mark.parametrize("sizes", [[1000], [1], [17, 3, 400], [64]])
@pytest.mark.parametrize("core", [40, 111, 333, 5000])
def test_enough_context_makes_chunked_equal_unchunked(sizes, core):
    samples = np.random.default_rng(1).standard_normal((2, 1000))
    reach = 25
    grid = Grid(core_samples=core, context_samples=reach, crossfade_samples=10)
    whole = MovingAverage(Grid(core_samples=10_000), reach).gain_db(samples, None)[0]
    pieces = list(run(MovingAverage(grid, reach), blocks_of(samples, sizes)))
    assert np.array_equal(np.concatenate([s for s, _ in pieces], axis=1), samples)
    assert np.allclose(np.concatenate([g for _, g in pieces], axis=1), whole, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: MovingAverage(Grid(core_samples=40, context_samples=25), 25), RunningSum]
)
def test_chunks_looked_at_side_by_side_give_the_same(make):
    samples = np.random.default_rng(1).standard_normal((1, 1000))
    alone, together = (list(run(make(), blocks_of(samples, [77]), at_once)) for at_once in (1, 4))
    assert len(alone) == len(together) > 3
    for (heard, gain_db), (heard_too, gain_too_db) in zip(alone, together, strict=True):
        assert np.array_equal(heard, heard_too)
        assert np.array_equal(gain_db, gain_too_db)


def test_too_little_context_is_visible():
    samples = np.random.default_rng(1).standard_normal((1, 1000))
    whole = MovingAverage(Grid(core_samples=10_000), 25).gain_db(samples, None)[0]
    engine = MovingAverage(Grid(core_samples=100), 25)
    cut_up = np.concatenate([g for _, g in run(engine, blocks_of(samples, [1000]))], axis=1)
    assert np.abs(cut_up - whole).max() > 0.1


def test_the_crossfade_removes_the_step_between_two_opinions():
    class Opinion(MovingAverage):
        calls = 0

        def gain_db(self, samples, state):
            self.calls += 1
            return np.full((1, samples.shape[1]), float(self.calls % 2)), state

    hard = np.concatenate(
        [g for _, g in run(Opinion(Grid(core_samples=100), 0), [np.ones((1, 500))])], axis=1
    )
    grid = Grid(core_samples=100, crossfade_samples=50)
    soft = np.concatenate([g for _, g in run(Opinion(grid, 0), [np.ones((1, 500))])], axis=1)
    assert np.abs(np.diff(hard)).max() == 1.0
    assert np.abs(np.diff(soft)).max() < 0.05


@pytest.mark.parametrize("sizes", [[500], [1], [36, 1, 38]])
def test_state_is_carried_exactly(sizes):
    samples = np.random.default_rng(2).standard_normal((1, 500))
    gains = np.concatenate([g for _, g in run(RunningSum(), blocks_of(samples, sizes))], axis=1)
    assert np.allclose(gains[0], np.cumsum(samples[0]), atol=1e-12)


def test_strength_scales_decibels_and_the_cap_holds():
    class Constant(MovingAverage):
        def gain_db(self, samples, state):
            return np.full((1, samples.shape[1]), 8.0), state

    engine = Constant(Grid(core_samples=64), 0)
    seen = []
    stage = GainStage(engine, strength=0.5, max_gain_db=3.0, observe=lambda _, gain: seen.append(gain))
    (restored,) = list(stage.process([np.ones((2, 50))]))
    assert np.allclose(restored, 10 ** (3.0 / 20))
    assert np.all(seen[0] == 3.0)
    half = np.concatenate(list(GainStage(engine, strength=0.5).process([np.ones((2, 50))])), axis=1)
    assert np.allclose(half, 10 ** (4.0 / 20))


def test_a_stage_hands_long_cores_on_in_short_pieces():
    samples = np.random.default_rng(4).standard_normal((2, 2 * PIECE_SAMPLES + 5))
    seen = []
    stage = GainStage(MovingAverage(Grid(core_samples=10**6), 3), observe=lambda _, gain: seen.append(gain))
    pieces = list(stage.process([samples]))
    assert [piece.shape[1] for piece in pieces] == [PIECE_SAMPLES, PIECE_SAMPLES, 5]
    assert np.array_equal(np.concatenate(pieces, axis=1), apply_gain_db(samples, seen[0]))


def test_zero_decibels_are_bit_exact():
    class Nothing(MovingAverage):
        def gain_db(self, samples, state):
            return np.zeros((1, samples.shape[1])), state

    samples = np.random.default_rng(3).standard_normal((2, 1000))
    out = np.concatenate(
        list(GainStage(Nothing(Grid(core_samples=99), 0)).process(blocks_of(samples, [77]))), axis=1
    )
    assert np.array_equal(out, samples)


def test_unlinked_channels_get_their_own_gain():
    samples = np.stack([np.full(50, 0.5), np.full(50, 1.0)])
    gain, _ = UnlinkedEngine(MovingAverage(Grid(core_samples=64), 0)).gain_db(samples, None)
    assert np.allclose(gain[0], 3.0)
    assert np.allclose(gain[1], 6.0)


@pytest.mark.parametrize(
    "lengths",
    [
        {"core_samples": 0},
        {"core_samples": 5, "context_samples": -1},
        {"core_samples": 5, "crossfade_samples": 6},
    ],
)
def test_impossible_grids_are_refused(lengths):
    with pytest.raises(OptionError):
        Grid(**lengths)
