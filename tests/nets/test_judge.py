from __future__ import annotations

import torch

from unsquash.nets.features import Features
from unsquash.nets.judge import (
    HIDDEN,
    MEMBERS,
    NEAR_DB,
    STATISTICS,
    Assessment,
    Judge,
    file_statistics,
    join,
    judgement_of,
    level_spread_db,
    perceptron,
)

NEARNESS = slice(6, 6 + len(NEAR_DB))


def nothing_said(count: int = 1) -> Assessment:
    return Assessment(logits=torch.zeros(count, 3), reduction_db=torch.zeros(count, 3))


def test_statistics_say_what_they_are_named_for() -> None:
    torch.manual_seed(0)
    samples = 0.3 * torch.randn(1, 2, 256 * 64)
    samples[..., 256 * 32 :] *= 0.1
    features = Features(8, 44_100)(samples)
    loud = torch.cat([torch.full((1, 128), 6.0), torch.zeros(1, 128)], dim=1)
    deviation, mean, median, high, highest, correlation = file_statistics(features, loud, nothing_said())[
        0, :6
    ]
    assert float(correlation) > 0.85
    torch.testing.assert_close(torch.stack([high, highest]).exp(), torch.full((2,), 6.05))
    assert 5.5 < float(mean.exp()) < 6.05
    assert 0.3 < float(deviation.exp()) < 1.0
    assert 0.0 < float(median.exp()) < 6.1
    flipped = file_statistics(features, 6.0 - loud, nothing_said())[0]
    assert float(flipped[5]) < -0.85


def test_a_constant_estimate_has_finite_statistics() -> None:
    features = Features(8, 44_100)(torch.zeros(2, 1, 256 * 8))
    assert torch.isfinite(file_statistics(features, torch.full((2, 32), 3.0), nothing_said(2))).all()


def test_the_amount_is_positive_and_bounded() -> None:
    judge = Judge()
    with torch.no_grad():
        judgement = judge(1e6 * torch.randn(5, STATISTICS))
    assert judgement.amount.shape == judgement.squashed.shape == judgement.limited.shape == (5,)
    assert float(judgement.amount.min()) >= 0.04
    assert float(judgement.amount.max()) < 5.0


def test_peaks_piled_up_at_the_ceiling_are_counted() -> None:
    torch.manual_seed(0)
    samples = 0.2 * torch.randn(1, 1, 256 * 64)
    samples /= samples.abs().max()
    limited = (4.0 * samples).clamp(-1.0, 1.0)
    extract = Features(8, 44_100)
    free, piled = (
        file_statistics(extract(x), torch.zeros(1, 256), nothing_said())[0, NEARNESS]
        for x in (samples, limited)
    )
    assert (piled.diff() >= 0.0).all()
    assert float(piled[0]) > -0.1
    assert float(free[0]) < -0.9


def test_peaks_of_equal_height_differ_from_peaks_of_about_the_same() -> None:
    """A limiter's peaks are one like the other, those of music never to a hundredth of a decibel."""
    generator = torch.Generator().manual_seed(1)
    bursts = torch.zeros(64, 256)
    bursts[:, 128] = 1.0
    varied = bursts * 10.0 ** (-0.1 * torch.rand(64, 1, generator=generator) / 20.0)
    extract = Features(8, 44_100)
    equal, about = (
        file_statistics(extract((x / x.max()).reshape(1, 1, -1)), torch.zeros(1, 256), nothing_said())[
            0, NEARNESS
        ]
        for x in (bursts, varied)
    )
    assert equal[:4].tolist() == [equal[3]] * 4
    assert float(about[3]) == float(equal[3])
    assert float(about[0]) < float(equal[0]) - 0.5


def test_what_the_network_says_of_the_file_is_heard() -> None:
    features, estimate_db = Features(8, 44_100)(torch.zeros(1, 1, 256 * 8)), torch.zeros(1, 32)
    said = Assessment(logits=torch.tensor([[1.0, 2.0, 3.0]]), reduction_db=torch.tensor([[0.95, 0.0, 0.0]]))
    heard = file_statistics(features, estimate_db, said)[0, -6:]
    assert heard[:3].tolist() == [1.0, 2.0, 3.0]
    torch.testing.assert_close(heard[3:].exp(), torch.tensor([1.0, 0.05, 0.05]))


def test_members_side_by_side_answer_with_their_mean() -> None:
    torch.manual_seed(0)
    judge, members = Judge(), [perceptron(HIDDEN) for _ in range(MEMBERS)]
    join(judge.layers, members)
    statistics = torch.randn(7, STATISTICS)
    with torch.no_grad():
        joined = judge(statistics)
        mean = judgement_of(torch.stack([member(statistics) for member in members]).mean(0))
    assert torch.allclose(joined.squashed, mean.squashed, atol=1e-6)
    assert torch.allclose(joined.limited, mean.limited, atol=1e-6)
    assert torch.allclose(joined.amount, mean.amount, atol=1e-6)
    assert float(joined.squashed.std()) > 0.0


def test_what_is_artificial_is_asked_of_members_of_their_own() -> None:
    torch.manual_seed(0)
    judge, members = Judge(), [perceptron(HIDDEN, 1) for _ in range(MEMBERS)]
    statistics = torch.randn(7, STATISTICS)
    with torch.no_grad():
        before = judge(statistics).squashed
        join(judge.artificial_layers, members)
        mean = torch.stack([member(statistics)[:, 0] for member in members]).mean(0)
        assert torch.allclose(judge.artificial(statistics), mean, atol=1e-6)
        assert torch.equal(judge(statistics).squashed, before)


def test_the_spread_of_the_level_is_that_of_tenths_of_a_second() -> None:
    samples = 0.3 * torch.sin(0.1 * torch.arange(256 * 200.0)).expand(2, 1, -1).clone()
    samples[1, :, 256 * 100 :] *= 0.1
    steady, moving = level_spread_db(Features(8, 44_100)(samples)).tolist()
    assert 0.0 <= steady < 0.1
    assert abs(moving - 20.0) < 0.5
