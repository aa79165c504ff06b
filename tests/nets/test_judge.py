from __future__ import annotations

import torch

from unsquash.nets.features import Features
from unsquash.nets.judge import HIDDEN, MEMBERS, STATISTICS, Judge, file_statistics, judgement_of, perceptron


def test_statistics_say_what_they_are_named_for() -> None:
    torch.manual_seed(0)
    samples = 0.3 * torch.randn(1, 2, 256 * 64)
    samples[..., 256 * 32 :] *= 0.1
    features = Features(8, 44_100)(samples)
    loud = torch.cat([torch.full((1, 128), 6.0), torch.zeros(1, 128)], dim=1)
    deviation, mean, median, high, highest, correlation = file_statistics(features, loud)[0, :6]
    assert float(correlation) > 0.85
    torch.testing.assert_close(torch.stack([high, highest]).exp(), torch.full((2,), 6.05))
    assert 5.5 < float(mean.exp()) < 6.05
    assert 0.3 < float(deviation.exp()) < 1.0
    assert 0.0 < float(median.exp()) < 6.1
    flipped = file_statistics(features, 6.0 - loud)[0]
    assert float(flipped[5]) < -0.85


def test_a_constant_estimate_has_finite_statistics() -> None:
    features = Features(8, 44_100)(torch.zeros(2, 1, 256 * 8))
    assert torch.isfinite(file_statistics(features, torch.full((2, 32), 3.0))).all()


def test_the_amount_is_positive_and_bounded() -> None:
    judge = Judge()
    with torch.no_grad():
        judgement = judge(1e6 * torch.randn(5, STATISTICS))
    assert judgement.amount.shape == judgement.helps.shape == judgement.limited.shape == (5,)
    assert float(judgement.amount.min()) >= 0.04
    assert float(judgement.amount.max()) < 5.0


def test_peaks_piled_up_at_the_ceiling_are_counted() -> None:
    torch.manual_seed(0)
    samples = 0.2 * torch.randn(1, 1, 256 * 64)
    samples /= samples.abs().max()
    limited = (4.0 * samples).clamp(-1.0, 1.0)
    extract = Features(8, 44_100)
    free, piled = (file_statistics(extract(x), torch.zeros(1, 256))[0, 6:] for x in (samples, limited))
    assert (piled.diff() >= 0.0).all()
    assert float(piled[0]) > -0.1
    assert float(free[0]) < -0.9


def test_members_side_by_side_answer_with_their_mean() -> None:
    torch.manual_seed(0)
    judge, members = Judge(), [perceptron(HIDDEN) for _ in range(MEMBERS)]
    judge.join(members)
    statistics = torch.randn(7, STATISTICS)
    with torch.no_grad():
        joined = judge(statistics)
        mean = judgement_of(torch.stack([member(statistics) for member in members]).mean(0))
    assert torch.allclose(joined.helps, mean.helps, atol=1e-6)
    assert torch.allclose(joined.limited, mean.limited, atol=1e-6)
    assert torch.allclose(joined.amount, mean.amount, atol=1e-6)
    assert float(joined.helps.std()) > 0.0
