# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medsetu.adaptation.alignment import Coral, Dann
from medsetu.core.errors import ConfigError
from medsetu.training.module import StageModule, _channels_last
from medsetu.training.plan import StagePlan
from training.conftest import ToyData, run, small_network


@pytest.mark.parametrize(("shape", "ordered"), [((2, 3, 8, 8), True), ((1, 1, 4, 8, 8), False)])
def test_pictures_become_channels_last_and_volumes_pass(shape: tuple[int, ...], ordered: bool) -> None:
    image = torch.zeros(shape)
    moved = _channels_last(image)
    assert moved.shape == shape
    assert (moved is image) is not ordered


def test_the_network_is_channels_last_too() -> None:
    module = StageModule(small_network(), plan=StagePlan(side="local", findings=("tuberculosis",)), positive_weight=torch.ones(1), steps=1)
    assert module.network.trunk[0].weight.is_contiguous(memory_format=torch.channels_last)


def aligned(folder: Path, alignment: Coral | Dann | None) -> dict[str, torch.Tensor]:
    """Weights after one epoch on toy films, met by films of another brightness."""
    data = ToyData()
    data.unlabelled = lambda names, epoch: torch.full((len(names), 1, 16, 16), 3.0) + torch.arange(16.0)  # type: ignore[attr-defined]
    plan = StagePlan(side="global", findings=("tuberculosis",), select_on="local", epochs=1, lr=3e-3, batch_size=8, alignment=alignment)
    return load_file(run(folder, plan=plan, data=data).weights)


def test_an_alignment_changes_the_weights_and_repeats_and_none_is_the_default(tmp_path: Path) -> None:
    plain, none, coral, again, dann = (
        aligned(tmp_path / str(number), one) for number, one in enumerate((None, Coral(0.0), Coral(5.0), Coral(5.0), Dann()))
    )
    assert StagePlan(side="local", findings=("tuberculosis",)).alignment is None
    assert all(torch.equal(coral[name], again[name]) for name in coral)
    weights = [name for name in plain if name.startswith("head.")]
    assert weights
    assert set(dann) == set(plain)  # the classifier of the side is no part of the network
    for other in (coral, dann):
        assert any(not torch.equal(other[name], plain[name]) for name in weights)
    assert none.keys() == plain.keys()


def test_an_alignment_to_the_own_side_is_refused() -> None:
    with pytest.raises(ConfigError, match="alignment"):
        StagePlan(side="local", findings=("tuberculosis",), alignment=Coral())
