# SPDX-License-Identifier: Apache-2.0
"""Heads on frozen features against scikit-learn, with unknown labels, constant features and scales far apart."""

import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.tuning import frozen
from medsetu.tuning.frozen import FrozenLogistic, FrozenNeighbours


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(80, 6, generator=generator) * torch.tensor([1.0, 100.0, 0.01, 1.0, 1.0, 0.0]) + 5
    label = (feature[:, [0, 3]] + torch.randn(80, 2, generator=generator) > 5).float()
    label[::4, 1] = float("nan")
    return feature, label


def test_the_folded_head_says_what_scikit_learn_says(drawn) -> None:
    feature, label = drawn
    weight = torch.tensor([2.0, 0.5])
    for facts, head in FrozenLogistic(strengths=(0.01, 1.0)).heads(feature, label, weight=weight):
        logit = head(feature).detach().numpy()
        for column in range(2):
            known = torch.isfinite(label[:, column]).numpy()
            standard = StandardScaler().fit(feature.double().numpy())
            oracle = LogisticRegression(C=facts["C"], class_weight={0: 1.0, 1: float(weight[column])}, tol=1e-8, max_iter=10_000)
            oracle.fit(standard.transform(feature.double().numpy())[known], label[known, column].numpy())
            expected = make_pipeline(standard, oracle).decision_function(feature.double().numpy())
            assert np.allclose(logit[:, column], expected, atol=2e-3), facts


def test_an_unknown_label_teaches_nothing(drawn) -> None:
    feature, label = drawn
    first = next(FrozenLogistic(strengths=(1.0,)).heads(feature, label, weight=torch.ones(2)))[1]
    other = label.clone()
    other[torch.isnan(label)] = 1.0
    second = next(FrozenLogistic(strengths=(1.0,)).heads(feature, other, weight=torch.ones(2)))[1]
    assert torch.equal(first.weight[0], second.weight[0])
    assert not torch.allclose(first.weight[1], second.weight[1])


def test_neighbours_remember_the_images(drawn) -> None:
    feature, label = drawn
    found = list(FrozenNeighbours(neighbours=(1, 7)).heads(feature, label, weight=torch.ones(2)))
    assert [facts["k"] for facts, _ in found] == [head.k for _, head in found] == [1, 7]
    assert all(isinstance(head, NearestHead) and head.bank.shape == feature.shape for _, head in found)


def test_too_few_steps_are_said(drawn, monkeypatch, caplog) -> None:
    monkeypatch.setattr(frozen, "_STEPS", 1)
    with caplog.at_level(logging.WARNING):
        list(FrozenLogistic(strengths=(1.0,)).heads(*drawn, weight=torch.ones(2)))
    assert "has not converged" in caplog.text


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: FrozenLogistic(strengths=(0.0,)), "strengths"),
        (lambda: FrozenLogistic(strengths=()), "strengths"),
        (lambda: FrozenNeighbours(neighbours=(0,)), "neighbours"),
    ],
)
def test_wrong_values_are_refused(make, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        make()


def test_nothing_is_left_to_train() -> None:
    network = TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)
    FrozenLogistic().free(network)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ConfigError, match="solved, not trained"):
        FrozenLogistic().parameter_groups(network, lr=1.0, weight_decay=0.0)
