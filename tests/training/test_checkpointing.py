# SPDX-License-Identifier: Apache-2.0
import copy

import pytest
import torch
from torch.utils.checkpoint import checkpoint as torch_checkpoint

from medsetu.backbone.network import Network
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.training import checkpointing
from medsetu.training.checkpointing import checkpoint_blocks
from training.conftest import small_network


def network(name: str) -> Network:
    size = 160 if "vit" in name else 32
    return TimmBackbone(name, size=size).build(["tuberculosis"], seed=0).train()


def step(model: Network) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    image = torch.randn(4, model.spec.channels, *model.spec.size)
    model(image).square().sum().backward()
    grown = {f"grad {name}": part.grad for name, part in model.named_parameters() if part.grad is not None}
    return grown | {name: part.clone() for name, part in model.state_dict().items()}


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_gradients_and_statistics_are_the_same_with_and_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(checkpointing, "checkpoint", lambda *args, **kwargs: calls.append(1) or torch_checkpoint(*args, **kwargs))
    plain, spared = network(name), network(name)
    blocks = checkpoint_blocks(spared)
    first, second = step(plain), step(spared)
    assert blocks == len(calls) > 0
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_copy_recomputes_its_own_blocks() -> None:
    """Averaged weights are a copy of the network: it must not call the original."""
    spared = network("test_resnet")
    checkpoint_blocks(spared)
    other = copy.deepcopy(spared)
    with torch.no_grad():
        for part in other.parameters():
            part.zero_()
    assert other(torch.ones(2, other.spec.channels, 32, 32)).abs().max() == 0


def test_a_trunk_without_blocks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no blocks"):
        checkpoint_blocks(small_network())
