# SPDX-License-Identifier: Apache-2.0
"""The vote of neighbours against scikit-learn, and what an unknown label does to it."""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from medsetu.backbone.nearest import NearestHead


def drawn(count: int = 60, width: int = 5):
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(count, width, generator=generator) * torch.rand(count, 1, generator=generator) * 9
    label = (feature[:, :2] + torch.randn(count, 2, generator=generator) > 0).float()
    return feature, label, torch.randn(11, width, generator=generator)


def test_the_vote_is_that_of_scikit_learn_by_cosine() -> None:
    bank, label, asked = drawn()
    score = NearestHead(bank, label, k=7)(asked).sigmoid().numpy()
    for column in range(2):
        oracle = KNeighborsClassifier(7, metric="cosine", algorithm="brute").fit(bank.numpy(), label[:, column].numpy())
        assert np.allclose(score[:, column], (7 * oracle.predict_proba(asked.numpy())[:, 1] + 1) / 9, atol=1e-6)


def test_an_unknown_label_is_no_neighbour() -> None:
    bank, label, asked = drawn()
    blind = label.clone()
    blind[::3, 0] = float("nan")
    known = torch.isfinite(blind[:, 0])
    both, one = NearestHead(bank, blind, k=5)(asked), NearestHead(bank[known], label[known][:, :1], k=5)(asked)
    assert torch.equal(both[:, :1], one)
    assert torch.equal(both[:, 1:], NearestHead(bank, label[:, 1:], k=5)(asked))


def test_more_neighbours_than_labels_is_all_of_them() -> None:
    bank, label, asked = drawn()
    share = (label.sum(0) + 1) / (len(label) + 2)
    assert torch.allclose(NearestHead(bank, label, k=10_000)(asked).sigmoid(), share.expand(11, 2))
