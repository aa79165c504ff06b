from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from unsquash.errors import AudioReadError, UnsquashError
from unsquash.nets.features import Features
from unsquash.training import codecs
from unsquash.training.corpus import Part
from unsquash.training.degrade import Example
from unsquash.training.examples import EXCERPT_SAMPLES, Source, Workers, to_control_rate
from unsquash.training.mixes import Mixer
from unsquash.units import Float64Array


@pytest.fixture
def source(corpus_folder: Path, cache_folder: Path) -> Source:
    torch.set_num_threads(1)  # as in a worker: sums differ in the last bit
    return Source(
        audio=[corpus_folder],
        cache=cache_folder,
        validation_artists=("b",),
        mel_bands=8,
        noise_bands=4,
        seed=3,
        plugin_share=0.0,
    )


def test_mixes_are_full_length_and_normalized_whatever_is_drawn(source: Source) -> None:
    mixer = Mixer(source.tracks("train"))
    for seed in range(30):
        original = mixer.draw(50_000, np.random.default_rng(seed))
        assert original.shape == (2, 50_000)
        assert np.abs(original).max() == pytest.approx(1.0)


def test_the_control_rate_target_is_the_gain_relative_to_where_least_was_done(music: Float64Array) -> None:
    samples = music[:, : 64 * 1024]
    gain = np.full_like(samples, 10 ** (-3.0 / 20))
    gain[:, : 10 * 1024] = 10 ** (-9.0 / 20)
    example = Example(
        original=samples, squashed=gain * samples, gain=gain, kind="limited", chain=("limiter",)
    )
    made = to_control_rate(example, Features(8, 44_100))
    assert made.features.shape == (8 + 28, 256)
    np.testing.assert_allclose(made.reduction_db[:160], 6.0, atol=0.01)
    np.testing.assert_allclose(made.reduction_db[160:], 0.0, atol=0.01)
    assert made.energy.mean() == pytest.approx(1.0, rel=1e-5)
    assert made.amount_db[1] == pytest.approx(6.0, abs=0.01)


@pytest.mark.slow
def test_examples_depend_on_seed_and_number_only(source: Source) -> None:
    first = list(islice(source.generate("train", 0, 1), 3))
    skipping = list(islice(source.generate("train", 0, 2), 2))
    np.testing.assert_array_equal(first[2].features, skipping[1].features)
    assert not np.array_equal(first[0].features, first[1].features)
    assert first[0].features.shape[1] == EXCERPT_SAMPLES // 256


@pytest.mark.slow
def test_workers_deliver_the_same_examples(source: Source) -> None:
    expected = next(source.generate("train", 4, 1))
    workers = Workers(source, 1, 4)
    try:
        while (received := workers.take(wait=True)) is None:
            pass
    finally:
        workers.stop()
    np.testing.assert_array_equal(received.features, expected.features)


@dataclass(frozen=True)
class Failing:
    """Gives one number, and then no more for this reason."""

    error: UnsquashError | None

    def generate(self, part: Part, first: int, step: int) -> Iterator[int]:
        yield first
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "said"), [(AudioReadError("no music", hint="Get some."), "no music"), (None, "has ended")]
)
def test_a_worker_that_ends_is_not_waited_for(error: UnsquashError | None, said: str) -> None:
    workers = Workers(Failing(error), 1, 7)
    try:
        with pytest.raises(UnsquashError, match=said) as failure:
            _ = [workers.take(wait=True) for _ in range(60)]
    finally:
        workers.stop()
    assert failure.value.hint


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg, which pip cannot install")
def test_a_terminals_interrupt_does_not_reach_the_programs_of_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            groups.append(os.getpgid(self.pid))

    monkeypatch.setattr(subprocess, "Popen", Watched)
    codecs.compressor_plugin(np.ones((2, 44_100)), np.random.default_rng(0))
    assert groups
    assert os.getpgrp() not in groups
