# SPDX-License-Identifier: Apache-2.0
"""Side adapters: where they stand in networks of every library, that the start is the start, and that nothing else moves."""

import copy
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import nn

from medsetu.backbone.adapter import attached
from medsetu.backbone.xrv import XrvBackbone
from medsetu.backbone.zoo import MonaiBackbone, TimmBackbone, TorchvisionBackbone
from medsetu.core.errors import ConfigError
from medsetu.training.plan import StagePlan
from medsetu.tuning.adapter import SideAdapters, adapter_sites
from medsetu.tuning.group import blocks
from medsetu.tuning.strategy import Full, LinearProbe, trainable_names
from training.conftest import resumed_like_whole, run

FAMILIES = {  # how many units, the first and the last one
    "timm resnet": (TimmBackbone("resnet18", size=32), 8, "layer1.0", "layer4.1"),
    "timm vit": (TimmBackbone("test_vit", size=32), 12, "blocks.0.attn", "blocks.5.mlp"),
    "timm convnext": (TimmBackbone("test_convnext", size=32), 9, "stages.0", "stages.3.blocks.1"),
    "timm efficientnet": (TimmBackbone("test_efficientnet", size=32), 4, "blocks.1", "blocks.4"),
    "torchvision vit": (TorchvisionBackbone("vit_b_16", size=32), 24, "encoder.layers.encoder_layer_0.self_attention", None),
    "torchvision swin": (TorchvisionBackbone("swin_t", size=32), 24, "features.1.0.attn", "features.7.1.mlp"),
    "torchvision mobilenet": (TorchvisionBackbone("mobilenet_v2", size=32), 17, "features.1", "features.17"),
    "monai resnet": (MonaiBackbone("resnet18", size=32), 8, "layer1.0", "layer4.1"),
    "monai densenet": (MonaiBackbone("densenet121", size=32), 58, "features.denseblock1.denselayer1", None),
    "monai volumes": (MonaiBackbone("resnet10", dimensions=3, size=16), 4, "layer1", "layer4"),
    "xrv densenet": (XrvBackbone("densenet121", size=32), 58, "features.denseblock1.denselayer1", None),
}


def fresh(name: str = "test_resnet"):
    return TimmBackbone(name, size=32).build(["mass", "effusion"], seed=0)


def images(network):
    return torch.rand(2, 1, *network.spec.size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES)
def test_units_of_every_library_are_found_and_the_start_is_the_start(family: str) -> None:
    backbone, count, first, last = FAMILIES[family]
    network = backbone.build(["mass"], seed=0).eval()
    with torch.no_grad():
        before = network(images(network))
    SideAdapters(hidden=8).install(network)
    found = list(attached(network))
    assert (len(found), found[0]) == (count, first)
    assert last is None or found[-1] == last
    with torch.no_grad():
        assert torch.equal(network.eval()(images(network)), before)
        for adapter in network.adapters.values():
            nn.init.normal_(adapter.up.weight)
        assert not torch.equal(network(images(network)), before), "they are heard"
    placed = [name for block in blocks(network) for name in block.parameters]
    assert sorted(placed) == sorted(name for name, _ in network.named_parameters())


def test_dense_layers_that_append_are_adapted_where_they_are_new() -> None:
    libraries = [XrvBackbone("densenet121", size=32), MonaiBackbone("densenet121", size=32), TorchvisionBackbone("densenet121", size=32)]
    sites = [adapter_sites(backbone.build(["mass"], seed=0), hidden=32, place="after") for backbone in libraries]
    for found in sites:
        assert {(site["width"], site["hidden"]) for site in found.values()} == {(32, 16)}
    assert sites[0]["features.denseblock1.denselayer2"]["skip"] == 64 + 32
    assert sites[2]["features.denseblock1.denselayer2"]["skip"] == 0


def test_a_trunk_without_units_has_one_at_each_layer() -> None:
    network = fresh()
    seeing = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3))
    network.trunk = nn.Sequential(OrderedDict(features=seeing, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), last=nn.Linear(8, 96)))
    network.stem = nn.Identity()
    assert list(adapter_sites(network, hidden=8, place="after")) == ["features.0", "features.3", "last"]


def test_channels_lie_where_the_layers_put_them() -> None:
    square = TimmBackbone("test_resnet", size=128).build(["mass"], seed=0)  # layer1 answers with 32 channels of 32 x 32
    assert adapter_sites(square, hidden=8, place="after")["layer1"]["layout"] == "image"
    swin = TorchvisionBackbone("swin_t", size=64).build(["mass"], seed=0)  # (B, H, W, C)
    site = adapter_sites(swin, hidden=8, place="after")["features.1.0.mlp"]
    assert (site["layout"], site["width"]) == ("token", 96)


def test_beside_stands_only_where_the_shape_stays() -> None:
    resnet, found = TimmBackbone("resnet18", size=32).build(["mass"], seed=0), ["layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]
    assert list(adapter_sites(resnet, hidden=8, place="beside")) == found
    with pytest.raises(ConfigError, match="can stand beside"):
        SideAdapters(place="beside").install(fresh("test_efficientnet"))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("norm", [False, True])
def test_adapters_head_and_if_wanted_norms_move(name: str, norm: bool) -> None:
    network, strategy = fresh(name), SideAdapters(hidden=8, norm=norm)
    strategy.install(network)
    strategy.free(network)
    moving = set(trainable_names(network))
    own = {each for each, _ in network.named_parameters() if each.startswith(("adapters.", "head."))}
    assert own <= moving
    rest = {each for each, parameter in network.named_parameters() if each in moving - own and parameter.ndim == 1}
    assert rest == moving - own
    assert bool(rest) == norm
    placed = [id(parameter) for group in strategy.parameter_groups(network, lr=0.1, weight_decay=0.1) for parameter in group["params"]]
    assert sorted(placed) == sorted(id(parameter) for parameter in network.parameters() if parameter.requires_grad)


def test_the_next_stage_goes_on_with_them_or_says_why_not() -> None:
    network = fresh()
    SideAdapters(hidden=8).install(network)
    kept = copy.deepcopy(network.adapters.state_dict())
    SideAdapters(hidden=8).install(network)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.adapters.state_dict().items())
    with pytest.raises(ConfigError, match="not those asked for"):
        SideAdapters(hidden=4).install(network)
    Full().free(network)
    assert any(name.startswith("adapters.") for name in trainable_names(network))


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"place": "below"}, {"head_lr": -1.0}])
def test_wrong_values_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SideAdapters(**wrong)


def test_killed_and_resumed_ends_with_the_same_weights(tmp_path, plan: StagePlan) -> None:
    tuned = replace(plan, tuning=SideAdapters(hidden=4, norm=True), ema=0.5, accumulate=2)
    resumed_like_whole(tmp_path, plan=tuned)


def test_they_learn_what_a_head_alone_does_not(tmp_path, plan: StagePlan) -> None:
    longer = replace(plan, epochs=6, lr=3e-2)
    probe = run(tmp_path / "probe", plan=replace(longer, tuning=LinearProbe()))
    adapted = run(tmp_path / "adapted", plan=replace(longer, tuning=SideAdapters()))
    assert adapted.best_value < probe.best_value
    assert adapted.parameters_trained > probe.parameters_trained
