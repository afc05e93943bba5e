# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from medsetu.training.module import StageModule, _channels_last
from medsetu.training.plan import StagePlan
from training.conftest import small_network


@pytest.mark.parametrize(("shape", "ordered"), [((2, 3, 8, 8), True), ((1, 1, 4, 8, 8), False)])
def test_pictures_become_channels_last_and_volumes_pass(shape: tuple[int, ...], ordered: bool) -> None:
    image = torch.zeros(shape)
    moved = _channels_last(image)
    assert moved.shape == shape
    assert (moved is image) is not ordered


def test_the_network_is_channels_last_too() -> None:
    module = StageModule(small_network(), plan=StagePlan(side="local", findings=("tuberculosis",)), positive_weight=torch.ones(1), steps=1)
    assert module.network.trunk[0].weight.is_contiguous(memory_format=torch.channels_last)
