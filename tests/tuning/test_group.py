# SPDX-License-Identifier: Apache-2.0
"""T29: every parameter of every family of networks is in exactly one block, and blocks run from the image to the head."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from medsetu.backbone.network import Network
from medsetu.backbone.spec import SCRATCH, InputSpec
from medsetu.backbone.xrv import XrvBackbone
from medsetu.backbone.zoo import MonaiBackbone, TimmBackbone, TorchvisionBackbone
from medsetu.core.place import config_folder
from medsetu.recipe.instantiate import build
from medsetu.tuning.group import block_of, blocks

RESNET = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
DENSENET = ["stem", *(f"features.denseblock{number}" for number in range(1, 5)), "head"]
FAMILIES = {
    "timm resnet": (TimmBackbone("resnet152"), RESNET),
    "timm densenet": (TimmBackbone("densenet121"), DENSENET),
    "timm convnext": (TimmBackbone("convnext_base"), ["stem", *(f"stages.{number}" for number in range(4)), "head"]),
    "timm vit": (TimmBackbone("vit_tiny_patch16_224"), ["stem", *(f"blocks.{number}" for number in range(12)), "head"]),
    "timm vit with pooling by attention": (
        TimmBackbone("vit_base_patch16_siglip_224"),
        ["stem", *(f"blocks.{number}" for number in range(12)), "attn_pool", "head"],
    ),
    "torchvision resnet": (TorchvisionBackbone("resnet50"), RESNET),
    "torchvision densenet": (TorchvisionBackbone("densenet121"), DENSENET),
    "torchvision convnext": (TorchvisionBackbone("convnext_tiny"), ["stem", *(f"features.{number}" for number in (1, 3, 5, 7)), "head"]),
    "torchvision vit": (
        TorchvisionBackbone("vit_b_16"),
        ["stem", *(f"encoder.layers.encoder_layer_{number}" for number in range(12)), "head"],
    ),
    "torchvision vgg": (
        TorchvisionBackbone("vgg19"),
        [*(f"features.{number}" for number in (0, 5, 10, 19, 28)), "classifier.0", "head"],
    ),
    "torchvision efficientnet": (TorchvisionBackbone("efficientnet_b0"), ["stem", *(f"features.{n}" for n in range(1, 8)), "head"]),
    "monai resnet": (MonaiBackbone("resnet10"), RESNET),
    "monai densenet": (MonaiBackbone("densenet121"), DENSENET),
    "monai efficientnet": (MonaiBackbone("efficientnet-b0"), ["stem", *(f"_blocks.{number}" for number in range(7)), "head"]),
    "xrv densenet": (XrvBackbone("densenet121"), DENSENET),
    "xrv resnet": (XrvBackbone("resnet50"), RESNET),
}


def around(trunk: nn.Module) -> Network:
    return Network(trunk, nn.Linear(2, 1), findings=("mass",), spec=InputSpec((32, 32), 1, (0.5,), (0.25,)), weights=SCRATCH)


def require_partition(network: Network) -> None:
    placed = [name for block in blocks(network) for name in block.parameters]
    assert sorted(placed) == sorted(name for name, _ in network.named_parameters())
    assert blocks(network)[-1].parameters == ("head.weight", "head.bias")
    assert all(block.parameters for block in blocks(network))
    assert len({block.name for block in blocks(network)}) == len(blocks(network))


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_of_a_family(family: str) -> None:
    backbone, expected = FAMILIES[family]
    with torch.device("meta"):  # the structure alone, without drawing weights
        network = around(backbone.trunk(channels=1, state=None))
    assert [block.name for block in blocks(network)] == expected
    require_partition(network)
    reader = next(f"trunk.{name}.weight" for name, module in network.trunk.named_modules() if isinstance(module, nn.Conv2d))
    assert block_of(network)[reader] == expected[0]


@pytest.mark.parametrize("path", sorted((config_folder() / "backbone").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_backbone_that_can_be_named_has_blocks(path: Path) -> None:
    backbone = build({**OmegaConf.to_container(OmegaConf.load(path)), "weights": None}, where="backbone")
    with torch.device("meta"):
        network = around(backbone.trunk(channels=backbone.channels, state=None))
    require_partition(network)
    assert len(blocks(network)) >= 5
    assert max(len(block.parameters) for block in blocks(network)) < 0.8 * len(list(network.parameters()))


def test_transitions_and_last_norms_belong_to_the_block_before() -> None:
    with torch.device("meta"):
        place = block_of(around(TorchvisionBackbone("densenet121").trunk(channels=1, state=None)))
    assert place["trunk.features.transition1.conv.weight"] == "features.denseblock1"
    assert place["trunk.features.norm5.weight"] == "features.denseblock4"
    assert place["trunk.features.norm0.weight"] == "stem"


def test_tokens_and_position_embeddings_belong_to_the_stem() -> None:
    place = block_of(TimmBackbone("test_vit", size=32).build(["mass"], seed=0))
    assert {place[f"trunk.{name}"] for name in ("cls_token", "pos_embed", "patch_embed.proj.weight")} == {"stem"}
    assert place["trunk.norm.weight"] == "blocks.5"


class Strange(nn.Module):
    """Parameters on the module itself, one shared by two children, and a child without any."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.one, self.two, self.none = nn.Linear(2, 2), nn.Linear(2, 2), nn.Identity()
        self.two.weight = self.one.weight
        self.table = nn.ParameterList([nn.Parameter(torch.ones(2))])


def convolutions(count: int) -> list[nn.Module]:
    return [nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU()) for _ in range(count)]


@pytest.mark.parametrize(
    ("trunk", "expected"),
    [
        (nn.Linear(2, 2), ["stem", "head"]),
        (nn.Identity(), ["head"]),
        (Strange(), ["one", "two", "head"]),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, 3)), ["0", "2", "head"]),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)), ["0", "2", "head"]),
        (nn.Sequential(*convolutions(3)), ["0.0", "1.0", "2.0", "head"]),
        (nn.Sequential(nn.ModuleList([nn.Sequential(*convolutions(2))])), [f"0.0.{number}.0" for number in range(2)] + ["head"]),
    ],
)
def test_unknown_trees_are_still_partitioned(trunk: nn.Module, expected: list[str]) -> None:
    network = around(trunk)
    assert [block.name for block in blocks(network)] == expected
    require_partition(network)
