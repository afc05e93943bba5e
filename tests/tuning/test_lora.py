# SPDX-License-Identifier: Apache-2.0
"""Low-rank updates: how many parameters move, what stays, and that the merged network says the same."""

import builtins
import copy

import pytest
import torch
from torch import nn

from medsetu.backbone.weights import load_weights, save_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError, ResourceError
from medsetu.training.plan import StagePlan
from medsetu.tuning.lora import Lora, adapted_layers
from medsetu.tuning.statistics import hold_statistics
from medsetu.tuning.strategy import trainable_names
from training.conftest import resumed_like_whole

RANK = 2


def fresh(name: str = "test_resnet"):
    return TimmBackbone(name, size=32).build(["mass", "effusion"], seed=0)


def images(count: int = 4):
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def tuned(network, strategy, steps: int = 3):
    """Train as a stage would, and leave in evaluation mode."""
    torch.manual_seed(0)
    strategy.install(network)
    strategy.free(network)
    optimizer = torch.optim.AdamW(strategy.parameter_groups(network, lr=0.05, weight_decay=0.1))
    for _ in range(steps):
        strategy.train_mode(network)
        hold_statistics(network, strategy.statistics)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(images()), torch.tensor([[0.0, 1.0]] * 4)).backward()
        optimizer.step()
    return network.eval()


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_the_merged_network_says_what_the_unmerged_says(name: str, dora: bool, tmp_path) -> None:
    start = fresh(name)
    network = tuned(copy.deepcopy(start), Lora(rank=RANK, dora=dora))
    with torch.no_grad():
        unmerged, untouched = network(images()), start.eval()(images())
    assert (unmerged - untouched).abs().max() > 1e-2
    save_weights(Lora(rank=RANK, dora=dora).export(network), tmp_path / "w.safetensors")
    plain = fresh(name)
    assert load_weights(plain, tmp_path / "w.safetensors").share == 1.0
    with torch.no_grad():
        assert torch.allclose(plain.eval()(images()), unmerged, atol=1e-5)
        assert torch.equal(network(images()), unmerged), "exporting changes nothing"


@pytest.mark.parametrize("dora", [False, True])
def test_the_start_is_the_starting_network(dora: bool) -> None:
    start, network = fresh().eval(), fresh()
    Lora(rank=RANK, dora=dora).install(network)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(images()), start(images()), atol=1e-6)
    merged = Lora().export(network).state_dict()
    assert list(merged) == list(start.state_dict())
    for key, tensor in start.state_dict().items():
        assert torch.equal(merged[key], tensor) or (dora and torch.allclose(merged[key], tensor, atol=1e-6)), key


def test_only_adapted_layers_and_the_head_change() -> None:
    start = fresh()
    for module in start.trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts residual branches at zero, and a frozen zero lets no gradient through
    merged = Lora().export(tuned(copy.deepcopy(start), Lora(rank=RANK, layers=("conv",))))
    moved = {key for key, tensor in start.state_dict().items() if not torch.equal(merged.state_dict()[key], tensor)}
    adapted = {f"trunk.{name}.weight" for name in adapted_layers(start, kinds=("conv",))}
    assert moved == adapted | {"head.weight", "head.bias"}, "batch statistics and norms stay"


@pytest.mark.parametrize("layers", [("linear",), ("conv",), ("linear", "conv")])
def test_as_many_parameters_move_as_the_rank_says(layers: tuple[str, ...]) -> None:
    network = fresh("test_vit") if "linear" in layers else fresh()
    head, expected = sum(parameter.numel() for parameter in network.head.parameters()), 0
    for name in adapted_layers(network, kinds=layers):
        layer = network.trunk.get_submodule(name)
        inputs, outputs = (
            (layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else (layer.in_channels, layer.out_channels)
        )
        expected += RANK * (inputs * (layer.weight[0, 0].numel() if layer.weight.ndim == 4 else 1) + outputs)
    strategy = Lora(rank=RANK, layers=layers)
    strategy.install(network)
    strategy.free(network)
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) == expected + head
    assert not any("base_layer" in name for name in trainable_names(network))


def test_every_parameter_is_in_one_group_and_lengths_are_not_decayed() -> None:
    network, strategy = fresh(), Lora(rank=RANK, dora=True, head_lr=10.0)
    strategy.install(network)
    strategy.free(network)
    groups = {group["name"]: group for group in strategy.parameter_groups(network, lr=0.1, weight_decay=0.2)}
    placed = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert sorted(placed) == sorted(id(parameter) for parameter in network.parameters() if parameter.requires_grad)
    assert groups["trunk/length"]["weight_decay"] == 0
    assert groups["trunk/decay"]["weight_decay"] == 0.2
    assert groups["head/decay"]["lr"] == pytest.approx(1.0)


def test_layers_are_found_by_what_they_do() -> None:
    network = fresh()
    network.trunk.unused = nn.Linear(2, 2)  # never called
    assert "unused" not in adapted_layers(network, kinds=("linear", "conv"))
    with pytest.raises(ConfigError, match="no layer of kind linear"):
        adapted_layers(network, kinds=("linear",))
    grouped = [module for module in fresh("test_efficientnet").trunk.modules() if isinstance(module, nn.Conv2d) and module.groups > 1]
    assert grouped
    depthwise = fresh("test_efficientnet")
    names = adapted_layers(depthwise, kinds=("conv",))
    assert all(depthwise.trunk.get_submodule(name).groups == 1 for name in names)


def test_looking_for_layers_leaves_modes_and_statistics(tmp_path) -> None:
    network = fresh()
    network.trunk.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    adapted_layers(network, kinds=("conv",))
    assert network.training
    assert not network.trunk.training
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}, {"layers": ("norm",)}, {"layers": ()}, {"head_lr": -1.0}])
def test_wrong_values_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Lora(**wrong)


def test_a_missing_package_names_the_install_line(monkeypatch) -> None:
    genuine = builtins.__import__

    def without(name, *args, **more):
        if name == "peft":
            raise ImportError(name)
        return genuine(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ResourceError, match=r"pip install 'medsetu\[lora\]'"):
        Lora().install(fresh())


@pytest.mark.parametrize("dora", [False, True])
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path, dora: bool) -> None:
    tuning = Lora(rank=RANK, dora=dora, dropout=0.1)
    plan = StagePlan(side="local", findings=("tuberculosis",), epochs=3, lr=3e-3, batch_size=8, ema=0.5, tuning=tuning)
    resumed_like_whole(tmp_path, plan=plan)
