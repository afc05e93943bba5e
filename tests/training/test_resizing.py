# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from medsetu.core.errors import ConfigError
from medsetu.training.resizing import Resizing
from training.conftest import small_network


def test_sizes_never_fall_and_end_full() -> None:
    sizes = [Resizing(0.3, 0.7, 16).size(epoch, epochs=12, full=(224, 192)) for epoch in range(12)]
    assert sizes == sorted(sizes)
    assert sizes[0] == (64, 64)
    assert sizes[-1] == (224, 192)
    assert all(side % 16 == 0 for size in sizes for side in size)


def test_pictures_shrink_in_early_epochs_only() -> None:
    image = torch.rand(2, 1, 64, 64)
    assert Resizing(multiple=8).apply(image, epoch=0, epochs=10).shape == (2, 1, 32, 32)
    assert Resizing(multiple=8).apply(image, epoch=9, epochs=10) is image


def test_a_network_of_one_size_is_refused_and_is_left_as_it_was() -> None:
    network = small_network()
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(256, 16))
    network.trunk = fixed
    with pytest.raises(ConfigError, match="does not accept images of 8 x 8"):
        Resizing(multiple=8).require_accepted(network, epochs=10)
    network = small_network().train()
    Resizing(multiple=8).require_accepted(network, epochs=10)
    assert network.training


@pytest.mark.parametrize("wrong", [{"start": 0.0}, {"start": 1.0}, {"full_from": 0.0}, {"multiple": 0}])
def test_impossible_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="resize"):
        Resizing(**wrong)  # type: ignore[arg-type]
