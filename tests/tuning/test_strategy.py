# SPDX-License-Identifier: Apache-2.0
"""What moves, how fast, and what stays bit for bit."""

import pytest
import torch
from torch import nn

from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.tuning.strategy import Full, LinearProbe, parameter_groups, trainable_names


@pytest.fixture
def network():
    return TimmBackbone("test_resnet", size=32).build(["effusion", "mass"], seed=0)


def steps(network, strategy, count: int = 3) -> None:
    strategy.free(network)
    optimizer = torch.optim.AdamW(strategy.parameter_groups(network, lr=0.1, weight_decay=0.1))
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        strategy.train_mode(network)
        optimizer.zero_grad()
        logits = network(torch.rand(4, 1, 32, 32, generator=generator))
        nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.0, 1.0]]).expand(4, 2)).backward()
        optimizer.step()
        network.eval()


def test_linear_probe_leaves_the_trunk_bit_identical(network) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps(network, LinearProbe())
    after = network.state_dict()
    assert any(name.endswith("running_mean") for name in after)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == name.startswith("trunk."), name


def test_full_moves_every_parameter_and_statistic(network) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps(network, Full())
    assert all(not torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_full_frees_what_a_probe_froze(network) -> None:
    LinearProbe().free(network)
    assert trainable_names(network) == ("head.weight", "head.bias")
    Full().free(network)
    assert len(trainable_names(network)) == len(list(network.parameters()))


def test_modes(network) -> None:
    network.eval()
    LinearProbe().train_mode(network)
    assert network.head.training
    assert not any(module.training for module in network.trunk.modules())
    Full().train_mode(network)
    assert all(module.training for module in network.modules())


def test_groups_partition_by_name(network) -> None:
    """T29: every trainable parameter in exactly one group, and the head is the declared head, wherever it stands."""
    network.trunk.late = nn.Linear(2, 2)  # registered last: 'the last two parameters' would take it for the head
    groups = parameter_groups(network, lr=1.0, weight_decay=0.1, head_lr=10.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    placed = [names[id(parameter)] for group in groups for parameter in group["params"]]
    assert sorted(placed) == sorted(names.values())
    by_group = {group["name"]: {names[id(parameter)] for parameter in group["params"]} for group in groups}
    assert by_group["head/decay"] == {"head.weight"}
    assert by_group["head/no_decay"] == {"head.bias"}
    assert "trunk.late.weight" in by_group["trunk/decay"]
    assert by_group["trunk/no_decay"] == {name for name, parameter in network.trunk.named_parameters("trunk") if parameter.ndim == 1}


def test_rates_and_decay(network) -> None:
    groups = {group["name"]: group for group in Full(head_lr=10.0).parameter_groups(network, lr=0.01, weight_decay=0.2)}
    assert groups["head/decay"]["lr"] == pytest.approx(0.1)
    assert groups["trunk/decay"]["lr"] == 0.01
    assert groups["trunk/decay"]["weight_decay"] == 0.2
    assert groups["trunk/no_decay"]["weight_decay"] == groups["head/no_decay"]["weight_decay"] == 0


def test_a_probe_has_no_trunk_group(network) -> None:
    strategy = LinearProbe()
    strategy.free(network)
    assert [group["name"] for group in strategy.parameter_groups(network, lr=0.1, weight_decay=0.1)] == ["head/decay", "head/no_decay"]


def test_position_embeddings_are_not_decayed() -> None:
    network = TimmBackbone("test_vit", size=32).build(["mass"], seed=0)
    groups = {group["name"]: group["params"] for group in Full().parameter_groups(network, lr=0.1, weight_decay=0.1)}
    assert any(parameter is network.trunk.pos_embed for parameter in groups["trunk/no_decay"])
    assert network.trunk.pos_embed.ndim == 3


def test_zero_is_a_value_and_less_is_refused() -> None:
    """T13: a head that does not move may be asked for."""
    assert Full(head_lr=0.0).head_lr == 0.0
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"head_lr"):
            LinearProbe(head_lr=wrong)
