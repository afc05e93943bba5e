# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch.nn import functional

from medsetu.core.errors import ConfigError
from medsetu.training.loss import Asymmetric, AucMargin, CrossEntropy, Focal, GroupDro, Loss, MaskedBCE, prevalence_weight

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


EVERY: list[Loss] = [CrossEntropy(), CrossEntropy(0.1), Focal(), Asymmetric(), AucMargin(), GroupDro(by="class"), GroupDro(by="site")]


def example(count: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logit = torch.randn(count, 2, generator=generator)
    label = (torch.rand(count, 2, generator=generator) > 0.6).float()
    label[::5, 1] = NAN
    return logit, label, torch.arange(count) % 3


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_no_loss_depends_on_the_size_of_the_batch(loss: Loss) -> None:
    """T43, for each: the same films twice over."""
    logit, label, group = example()
    module = loss.build(torch.ones(2), groups=3).eval()
    once = module(logit, label, group)
    assert once > 0
    if isinstance(loss, AucMargin):  # a film and its copy are a pair of their own kind: none is added
        assert module(logit.repeat(2, 1), label.repeat(2, 1), None).item() == pytest.approx(once.item(), rel=1e-5)
    assert module(logit.repeat(2, 1), label.repeat(2, 1), group.repeat(2)).item() == pytest.approx(once.item(), rel=1e-5)


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_unknown_entries_carry_no_gradient_in_any_loss(loss: Loss) -> None:
    logit, label, group = example()
    logit = logit.bfloat16().requires_grad_()
    value = loss.build(torch.tensor([2.0, 0.5]), groups=3)(logit, label, group)
    value.backward()
    assert value.dtype == torch.float32
    assert logit.grad is not None
    assert torch.isfinite(logit.grad).all()
    assert (logit.grad[label.isnan()] == 0).all()
    assert (logit.grad[~label.isnan()] != 0).any()
    empty = loss.build(torch.ones(2), groups=3)(logit, torch.full_like(label, NAN), group)
    empty.backward()
    assert empty.item() == 0


def test_focal_and_asymmetric_are_the_published_formulas() -> None:
    logit, label = torch.tensor([[2.0], [2.0], [-3.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    p = torch.sigmoid(logit).flatten().tolist()
    focal = [(1 - p[0]) ** 2 * -math.log(p[0]), p[1] ** 2 * -math.log(1 - p[1]), p[2] ** 2 * -math.log(1 - p[2])]
    assert Focal(2.0).build(torch.ones(1))(logit, label).item() == pytest.approx(sum(focal) / 3, rel=1e-5)
    shifted = [max(value - 0.05, 0) for value in p]
    negative = [shifted[1] ** 4 * -math.log(1 - shifted[1]), shifted[2] ** 4 * -math.log(1 - shifted[2])]
    wanted = ((1 - p[0]) * -math.log(p[0]) + sum(negative)) / 3
    assert Asymmetric(1.0, 4.0, 0.05).build(torch.full((1,), 9.0))(logit, label).item() == pytest.approx(wanted, rel=1e-5)
    plain, bce = Focal(0.0).build(torch.tensor([3.0])), MaskedBCE(torch.tensor([3.0]))
    assert plain(logit, label).item() == pytest.approx(bce(logit, label).item(), rel=1e-6)


def test_the_margin_loss_is_the_mean_over_pairs() -> None:
    logit, label = torch.tensor([[1.0], [-1.0], [0.5]]), torch.tensor([[1.0], [0.0], [0.0]])
    high, *low = torch.sigmoid(logit).flatten().tolist()
    wanted = sum((1 - (high - one)) ** 2 for one in low) / 2
    assert AucMargin().build(torch.ones(1))(logit, label).item() == pytest.approx(wanted, rel=1e-6)
    assert AucMargin().build(torch.ones(1))(logit, torch.ones(3, 1)).item() == 0


def test_a_group_that_fares_worse_weighs_more_and_its_weight_is_kept() -> None:
    module = GroupDro(by="site", rate=1.0).build(torch.ones(1), groups=2)
    logit, label, group = torch.tensor([[4.0], [-4.0]]), torch.ones(2, 1), torch.tensor([0, 1])
    easy, hard = (math.log1p(math.exp(-value)) for value in (4, -4))
    share = math.exp(hard) / (math.exp(hard) + math.exp(easy))
    assert module(logit, label, group).item() == pytest.approx(share * hard + (1 - share) * easy, rel=1e-5)
    assert module.state_dict()["weight"].tolist() == pytest.approx([1 - share, share], rel=1e-4)
    before = module.weight.clone()
    module.eval()(logit, label, group)
    assert torch.equal(module.weight, before)
    module.train()(logit[:1], label[:1], group[:1])  # the absent group is not forgotten
    assert module.weight[1] > 0.9


def test_a_loss_over_sites_wants_sites() -> None:
    with pytest.raises(ConfigError, match="name no group"):
        GroupDro().build(torch.ones(1), groups=2)(torch.zeros(2, 1), torch.ones(2, 1))


@pytest.mark.parametrize(
    "wrong",
    [lambda: CrossEntropy(1.0), lambda: Focal(-1), lambda: Asymmetric(shift=1), lambda: AucMargin(0), lambda: GroupDro(by="country")],
)
def test_impossible_numbers_are_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="A loss cannot have"):
        wrong()
