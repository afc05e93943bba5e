# SPDX-License-Identifier: Apache-2.0
"""Norm-only and surgical tuning choose by structure, and refuse where there is nothing to choose."""

import pytest
import torch
from torch import nn

from medsetu.backbone.network import Network
from medsetu.backbone.spec import SCRATCH, InputSpec
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.tuning.group import blocks
from medsetu.tuning.part import NormOnly, Surgical, norms
from medsetu.tuning.strategy import trainable_names


@pytest.fixture
def network():
    return TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)


@pytest.mark.parametrize("name", ["convnextv2_atto", "vit_tiny_patch16_224", "resnet18", "eva02_tiny_patch14_224"])
def test_norms_of_other_libraries_are_found(name: str) -> None:
    import timm

    with torch.device("meta"):
        trunk = timm.create_model(name, num_classes=0)
    found = set(norms(trunk))
    assert found == {module for module in trunk.modules() if "Norm" in type(module).__name__ and list(module.parameters())} - {
        module for module in trunk.modules() if list(module.children())
    }
    assert not any(parameter.ndim > 1 for layer in found for parameter in layer.parameters())


def test_only_norms_and_head_move(network) -> None:
    NormOnly().free(network)
    expected = {f"trunk.{name}" for name, module in network.trunk.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert {name.rpartition(".")[0] for name in trainable_names(network)} == expected | {"head"}


def test_a_trunk_without_norms_is_refused() -> None:
    trunk = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, affine=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    plain = Network(trunk, nn.Linear(2, 1), findings=("mass",), spec=InputSpec((8, 8), 1, (0.5,), (0.25,)), weights=SCRATCH)
    with pytest.raises(ConfigError, match="no normalisation layer"):
        NormOnly().free(plain)


@pytest.mark.parametrize(
    ("chosen", "name"), [("first", "stem"), ("last", "layer4"), (0, "stem"), (-1, "layer4"), (2, "layer2"), ("layer3", "layer3")]
)
def test_a_block_is_chosen_by_place_index_or_name(network, chosen: str | int, name: str) -> None:
    Surgical(block=chosen).free(network)
    wanted = next(block for block in blocks(network) if block.name == name)
    assert set(trainable_names(network)) == {*wanted.parameters, "head.weight", "head.bias"}


@pytest.mark.parametrize("chosen", ["layr3", 5, -6, "head"])
def test_a_block_that_does_not_exist_is_refused(network, chosen: str | int) -> None:
    with pytest.raises(ConfigError, match=r"no block.*layer3"):
        Surgical(block=chosen).free(network)


def test_the_other_blocks_rest(network) -> None:
    strategy = Surgical(block="layer2")
    strategy.free(network)
    strategy.train_mode(network)
    assert network.trunk.layer2[0].bn1.training
    assert not network.trunk.bn1.training
    assert not any(module.training for module in network.trunk.layer3.modules())


def test_rates_of_the_head(network) -> None:
    strategy = Surgical(head_lr=5.0)
    strategy.free(network)
    rates = {group["name"]: group["lr"] for group in strategy.parameter_groups(network, lr=0.1, weight_decay=0.0)}
    assert rates == {"head/decay": 0.5, "head/no_decay": 0.5, "trunk/decay": 0.1, "trunk/no_decay": 0.1}
    for wrong in (NormOnly, Surgical):
        with pytest.raises(ConfigError, match="head_lr"):
            wrong(head_lr=-1.0)
