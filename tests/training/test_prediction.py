# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch

from medsetu.training.prediction import predict, view
from training.conftest import ToyData, small_network


def test_scores_are_probabilities_in_loader_order_and_repeatable() -> None:
    network = small_network().train()
    first = predict(network, ToyData().val_dataloader()[0], device=torch.device("cpu"))
    second = predict(network, ToyData().val_dataloader()[0], device=torch.device("cpu"))
    assert first.sample_id == [f"toy/{index}" for index in range(48, 64)]
    assert first.score.shape == (16, 1)
    assert first.feature.shape == (16, 16)
    assert ((first.score >= 0) & (first.score <= 1)).all()
    assert np.array_equal(first.score, second.score)


def test_views_are_averaged_as_probabilities_and_features_stay() -> None:
    network, batches = small_network(), list(ToyData().val_dataloader()[0])
    plain = predict(network, batches, device=torch.device("cpu"))
    flipped = predict(network, [{**batch, "image": batch["image"].flip(-1)} for batch in batches], device=torch.device("cpu"))
    both = predict(network, batches, device=torch.device("cpu"), views=["flip"])
    assert np.allclose(both.score, (plain.score + flipped.score) / 2, atol=1e-6)
    assert not np.allclose(both.score, plain.score)
    assert np.array_equal(both.feature, plain.feature)


def test_shifts_go_where_they_say() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    for name, axis, moved in (("up", 2, -1), ("down", 2, 1), ("left", 3, -1), ("right", 3, 1)):
        found = view(image, name)
        inside = torch.roll(image, moved, axis)
        kept = slice(0, 2) if moved < 0 else slice(1, 3)
        rows, columns = (kept, slice(None)) if axis == 2 else (slice(None), kept)
        assert found.shape == image.shape
        assert torch.equal(found[0, 0, rows, columns], inside[0, 0, rows, columns])
