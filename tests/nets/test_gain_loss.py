from __future__ import annotations

import pytest
import torch

from unsquash.nets.gain_loss import assessment_loss, gain_error, gain_loss
from unsquash.nets.judge import Assessment


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


def test_the_shape_counts_whatever_the_scale(truth: torch.Tensor, energy: torch.Tensor) -> None:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    whole = gain_error(truth, truth, energy).unexplained
    half = gain_error(0.5 * truth + 4.0, truth, energy).unexplained
    wrong = gain_error(noise, truth, energy).unexplained
    opposite = gain_error(-truth, truth, energy).unexplained
    assert float(whole.max()) < 1e-3
    assert float(half.max()) < 1e-3
    assert float(wrong.min()) > 0.5
    assert torch.equal(opposite, torch.ones_like(opposite))


def test_wavering_on_an_untouched_file_costs_most_at_first(truth: torch.Tensor, energy: torch.Tensor) -> None:
    """By its root, not its square: a tenth of the error is far from a hundredth of the cost."""
    error_db = torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    nothing = torch.full_like(truth, 5.0)
    still = gain_loss(nothing, nothing, energy)
    little, much = (gain_loss(nothing + k * error_db, nothing, energy) - still for k in (0.1, 1.0))
    assert 0.03 * much < little < 0.3 * much


def test_assessment_loss_is_small_only_when_verdict_and_amount_are_right() -> None:
    amount_db = torch.tensor([[1.0, 5.0, 2.0]])
    sure = torch.tensor([[0.0, 9.0, 0.0]])
    right = assessment_loss(Assessment(logits=sure, reduction_db=amount_db), torch.tensor([1]), amount_db)
    wrong = assessment_loss(Assessment(logits=sure, reduction_db=amount_db), torch.tensor([0]), amount_db)
    off = assessment_loss(Assessment(logits=sure, reduction_db=2 * amount_db), torch.tensor([1]), amount_db)
    assert float(right) < 1e-3
    assert float(wrong) > 5.0
    assert 0.3 < float(off) < 0.7
