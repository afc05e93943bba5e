# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch

from medsetu.training.prediction import predict
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
