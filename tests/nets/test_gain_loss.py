from __future__ import annotations

import pytest
import torch

from unsquash.nets.gain import Assessment
from unsquash.nets.gain_loss import assessment_loss, gain_error, gain_loss


@pytest.fixture
def truth() -> torch.Tensor:
    return 3.0 * torch.rand((2, 400), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def energy() -> torch.Tensor:
    return torch.rand((2, 400), generator=torch.Generator().manual_seed(1))


def test_a_constant_offset_is_no_error_but_is_reported(truth: torch.Tensor, energy: torch.Tensor) -> None:
    error = gain_error(truth + 2.5, truth, energy)
    torch.testing.assert_close(error.squared, torch.zeros(2), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(error.offset_db, torch.full((2,), 2.5))


def test_small_errors_predict_the_si_sdr(truth: torch.Tensor, energy: torch.Tensor) -> None:
    estimate = truth + 0.3 * torch.randn((2, 400), generator=torch.Generator().manual_seed(2))
    squared = gain_error(estimate, truth, energy).squared
    original = energy.sqrt()
    restored = original * 10 ** ((estimate - truth) / 20)
    target = original * (original * restored).sum(1, keepdim=True) / energy.sum(1, keepdim=True)
    noise = (restored - target).square().sum(1) / target.square().sum(1)
    torch.testing.assert_close(squared, noise, rtol=0.05, atol=0.0)


def test_silent_moments_do_not_count(truth: torch.Tensor, energy: torch.Tensor) -> None:
    energy[:, 200:] = 0.0
    estimate = truth.clone()
    estimate[:, 200:] += 7.0
    assert float(gain_error(estimate, truth, energy).squared.max()) < 1e-9


def test_an_all_silent_excerpt_has_a_finite_loss(truth: torch.Tensor) -> None:
    assert torch.isfinite(gain_loss(truth + 1.0, truth, torch.zeros_like(truth)))


def test_the_loss_prefers_the_truth(truth: torch.Tensor, energy: torch.Tensor) -> None:
    nothing = torch.zeros_like(truth)
    half = gain_loss(0.5 * truth, truth, energy)
    assert gain_loss(truth, truth, energy) < half < gain_loss(nothing, truth, energy)


def test_wavering_on_an_untouched_file_costs_more_than_on_a_squashed_one(
    truth: torch.Tensor, energy: torch.Tensor
) -> None:
    error_db = torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    untouched = gain_loss(5.0 + error_db, torch.full_like(truth, 5.0), energy)
    assert untouched > 1.5 * gain_loss(truth + error_db, truth, energy)


def test_assessment_loss_is_small_only_when_verdict_and_amount_are_right() -> None:
    amount_db = torch.tensor([[1.0, 5.0, 2.0]])
    sure = torch.tensor([[0.0, 9.0, 0.0]])
    right = assessment_loss(Assessment(logits=sure, reduction_db=amount_db), torch.tensor([1]), amount_db)
    wrong = assessment_loss(Assessment(logits=sure, reduction_db=amount_db), torch.tensor([0]), amount_db)
    off = assessment_loss(Assessment(logits=sure, reduction_db=2 * amount_db), torch.tensor([1]), amount_db)
    assert float(right) < 1e-3
    assert float(wrong) > 5.0
    assert 0.3 < float(off) < 0.7
