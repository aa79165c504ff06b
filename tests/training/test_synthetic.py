"""Sounds that nobody played: what they are, and that a judge can learn to tell them from music."""

from __future__ import annotations

import numpy as np
import torch

from unsquash.nets.gain import GainNet, GainNetConfig
from unsquash.nets.judge import STATISTICS
from unsquash.training.corpus import SAMPLE_RATE
from unsquash.training.degrade import degrade, squash_by_profile
from unsquash.training.judging import Outcomes, fit_artificial
from unsquash.training.synthetic import Synthesizer
from unsquash.units import Float64Array

LENGTH = 4 * SAMPLE_RATE


def drawn(seed: int) -> Float64Array:
    return Synthesizer().draw(LENGTH, np.random.default_rng(seed))


def test_they_reach_full_scale_and_differ() -> None:
    sounds = [drawn(seed) for seed in range(30)]
    for sound in sounds:
        assert sound.shape == (2, LENGTH)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() == 1.0
    assert len({sound.tobytes() for sound in sounds}) == 30
    assert np.array_equal(drawn(3), sounds[3])
    silent = [float((np.abs(sound) < 1e-6).mean()) for sound in sounds]
    assert max(silent) > 0.5
    assert min(silent) < 0.01


def test_as_many_as_wanted_are_left_as_they_are() -> None:
    for seed in range(10):
        example = degrade(drawn(seed), np.random.default_rng(seed), plugin_share=0.0, untouched_share=1.0)
        assert (example.kind, example.chain) == ("none", ())


def test_a_published_compressor_squashes_with_its_true_gain(music: Float64Array) -> None:
    for seed in range(6):
        example = squash_by_profile(music, np.random.default_rng(seed))
        assert example.chain[0].split("/")[0] in ("five", "thirty")
        squashed = example.original * example.gain
        factor = (example.squashed * squashed).sum() / np.square(squashed).sum()
        error = np.square(example.squashed - factor * squashed).sum() / np.square(example.squashed).sum()
        assert error < 1e-3


def test_the_judge_learns_what_is_no_music() -> None:
    """The second statistic tells what nobody played, the first what was squashed: only both together do."""

    def outcomes(count: int, is_synthetic: bool, seed: int) -> Outcomes:
        generator = torch.Generator().manual_seed(seed)
        verdict = torch.arange(count) % 3
        statistics = torch.randn(count, STATISTICS, generator=generator)
        statistics[:, 0] += 6.0 * (verdict > 0)
        statistics[:, 1] += 6.0 * is_synthetic
        nothing = torch.zeros(count)
        return Outcomes(
            statistics=statistics, variance=nothing, covariance=nothing, untouched=nothing, verdict=verdict
        )

    torch.manual_seed(0)
    judge = GainNet(GainNetConfig(mel_bands=8, fine_channels=4, coarse_channels=4)).judge
    fit_artificial(judge, outcomes(600, False, 0), outcomes(300, True, 1), seed=0)
    with torch.no_grad():
        music, synthetic = outcomes(90, False, 2), outcomes(90, True, 3)
        of_music, of_synthetic = judge.artificial(music.statistics), judge.artificial(synthetic.statistics)
    assert (of_music < 0.0).float().mean() > 0.95
    assert (of_synthetic[synthetic.verdict == 0] > 0.0).float().mean() > 0.85
    assert (of_synthetic[synthetic.verdict > 0] < 0.0).float().mean() > 0.85
