# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch.nn import functional

from medsetu.training.loss import MaskedBCE, prevalence_weight

NAN = float("nan")


def test_agrees_with_torch_where_everything_is_known() -> None:
    logit, label = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([[0.0, 1, 1]] * 5)
    assert torch.allclose(MaskedBCE(torch.ones(3))(logit, label), functional.binary_cross_entropy_with_logits(logit, label))


def test_unknown_stays_nan_and_carries_no_gradient() -> None:
    logit = torch.tensor([[2.0, -1.0], [0.5, 3.0]], requires_grad=True)
    label = torch.tensor([[1.0, NAN], [NAN, 0.0]])
    loss = MaskedBCE(torch.ones(2))(logit, label)
    loss.backward()
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(3))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert logit.grad is not None
    assert logit.grad[0, 1] == 0
    assert logit.grad[1, 0] == 0


def test_nothing_known_is_zero_and_still_differentiable() -> None:
    logit = torch.zeros(2, 1, requires_grad=True)
    loss = MaskedBCE(torch.ones(1))(logit, torch.full((2, 1), NAN))
    loss.backward()
    assert loss.item() == 0


def test_loss_ignores_batch_size() -> None:
    """T43: the same films twice give the same loss."""
    logit, label = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1.0], [0.0]])
    loss = MaskedBCE(torch.tensor([3.0]))
    assert torch.allclose(loss(logit, label), loss(logit.repeat(4, 1), label.repeat(4, 1)))


def test_prevalence_weight_is_negatives_over_positives_within_bounds() -> None:
    label = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, NAN], [NAN, 0, 1], *[[0.0, 0, 1]] * 98])
    weight = prevalence_weight(label, limit=50.0)
    assert weight.tolist() == [50.0, 1.0, 1.0]
