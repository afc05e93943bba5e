# SPDX-License-Identifier: Apache-2.0
"""CORAL and DANN as losses: known values, gradients the right way round, and features that become alike."""

import pytest
import torch
from torch import nn

from medsetu.adaptation.alignment import Coral, Dann, coral_loss, reversal, reverse_gradient
from medsetu.core.errors import ConfigError


def features(n, *, seed, scale=(1.0, 1.0), shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator) * torch.tensor(scale) + shift


def test_coral_is_the_distance_of_covariances_and_sees_no_mean():
    a, b = features(50, seed=0), features(60, seed=1, scale=(2.0, 1.0))
    expected = ((a.T.cov() - b.T.cov()) ** 2).sum() / (4 * 2**2)
    torch.testing.assert_close(coral_loss(a, b), expected)
    torch.testing.assert_close(coral_loss(a + 5, b), expected)
    assert float(coral_loss(a, a)) == 0


def test_coral_grows_with_the_planted_difference():
    a = features(500, seed=0)
    values = [float(coral_loss(a, features(500, seed=1, scale=(scale, 1.0)))) for scale in (1.0, 1.5, 2.0)]
    assert values[0] < values[1] < values[2]


def test_the_gradient_is_reversed_and_the_value_is_not():
    x = torch.tensor([2.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    y.backward()
    assert (y.item(), x.grad.item()) == (2.0, -0.25)


def test_the_reversal_grows_over_the_stage():
    steps = [reversal(progress) for progress in (0.0, 0.1, 0.5, 1.0)]
    assert steps == sorted(steps)
    assert steps[0] == 0


def covariance(a, b):
    return (a.T.cov() - b.T.cov()).abs().max()


def mean(a, b):
    return (a.mean(0) - b.mean(0)).abs().max()


@pytest.mark.parametrize(
    ("alignment", "distance", "other"),
    [
        (Coral(), covariance, features(64, seed=1, scale=(1.0, 3.0))),
        (Dann(hidden=16), mean, features(64, seed=1, shift=torch.tensor([0.0, 2.0]))),
    ],
    ids=["coral", "dann"],
)
def test_a_penalty_makes_the_features_of_two_sides_alike(alignment, distance, other):
    """A layer meets two sides that differ; trained on the penalty alone, with a term that forbids shrinking to nothing."""
    own = features(64, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, penalty = nn.Linear(2, 2), alignment.build(2, seed=0)
    optimizer = torch.optim.SGD([*layer.parameters(), *penalty.parameters()], lr=0.3)
    before = distance(layer(own), layer(other)).item()
    for step in range(160):
        optimizer.zero_grad()
        spread = (layer(own).std(0) - 1).pow(2).sum()
        (penalty(layer(own), layer(other), progress=step / 160) + spread).backward()
        optimizer.step()
    assert distance(layer(own), layer(other)).item() < before / 3


def test_the_classifier_of_the_side_learns_while_the_features_unlearn():
    penalty = Dann().build(2, seed=0)
    own = features(32, seed=0).requires_grad_()
    penalty(own, features(32, seed=1, shift=1.0), progress=1.0).backward()
    forward = own.grad.clone()
    plain = features(32, seed=0).requires_grad_()
    logit = penalty.classifier(plain)
    (nn.functional.binary_cross_entropy_with_logits(logit, torch.zeros_like(logit)) / 2).backward()
    torch.testing.assert_close(forward, -reversal(1.0) * plain.grad)


def test_the_classifier_depends_on_its_seed_and_touches_no_generator():
    state = torch.random.get_rng_state()
    one, same, other = (Dann().build(3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["classifier.0.weight"], other["classifier.0.weight"])


@pytest.mark.parametrize("make", [lambda: Coral(weight=-1), lambda: Dann(side="here"), lambda: Dann(hidden=0)])
def test_impossible_values_are_refused(make):
    with pytest.raises(ConfigError):
        make()
