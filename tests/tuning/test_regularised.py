# SPDX-License-Identifier: Apache-2.0
"""The trunk is pulled to where it started, the head is not."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.training.fit import fit_stage
from medsetu.training.plan import StagePlan
from medsetu.tuning.regularised import StartingPoint
from medsetu.tuning.strategy import Full
from training.conftest import CPU, OPTIONS, ToyData, resumed_like_whole, small_network


@pytest.mark.parametrize(("norm", "value"), [("l1", 0.1 * 3 * 0.5), ("l2", 0.1 / 2 * 3 * 0.25)])
def test_value_and_gradient(norm: str, value: float) -> None:
    network = small_network()
    pull = StartingPoint(norm=norm, strength=0.1).penalty(network)
    assert pull() == 0
    pull().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in network.trunk.parameters())
    with torch.no_grad():
        network.trunk[0].weight.view(-1)[:3] += torch.tensor([0.5, -0.5, 0.5])
        network.head.weight += 1  # is not pulled
    assert pull().item() == pytest.approx(value, rel=1e-5)
    pull().backward()
    slope = 0.1 if norm == "l1" else 0.1 * 0.5
    expected = torch.zeros_like(network.trunk[0].weight)
    expected.view(-1)[:3] = slope * torch.tensor([1.0, -1.0, 1.0])
    assert torch.allclose(network.trunk[0].weight.grad, expected)
    assert network.head.weight.grad is None


def test_starting_weights_follow_the_device_and_stay_out_of_the_checkpoint() -> None:
    network = small_network()
    pull = StartingPoint().penalty(network)
    assert not list(pull.parameters())
    assert not pull.state_dict()
    assert len(list(pull.buffers())) == len(list(network.trunk.parameters()))
    assert {buffer.device.type for buffer in copy.deepcopy(pull).to("meta").buffers()} == {"meta"}


def test_only_the_head_decays_to_zero() -> None:
    network = small_network()
    groups = StartingPoint(head_lr=2.0).parameter_groups(network, lr=0.1, weight_decay=0.2)
    assert {group["name"]: group["weight_decay"] for group in groups if group["weight_decay"]} == {"head/decay": 0.2}
    assert {group["lr"] for group in groups if group["name"].startswith("head/")} == {0.2}
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


@pytest.mark.parametrize(("norm", "strength"), [("l1", 10.0), ("l2", 1000.0)])
def test_a_strong_pull_holds_the_trunk_near_its_start(tmp_path: Path, plan: StagePlan, norm: str, strength: float) -> None:
    def distance(folder: str, strategy) -> float:
        network = small_network()
        start = [parameter.detach().clone() for parameter in network.trunk.parameters()]
        told = replace(plan, tuning=strategy, weight_decay=0.0, clip=0.0)
        fit_stage(network, ToyData(), plan=told, folder=tmp_path / folder, seed=0, hardware=CPU, options=OPTIONS)
        return sum((one - two).square().sum().item() for one, two in zip(network.trunk.parameters(), start, strict=True)) ** 0.5

    free, without = distance("free", Full()), distance("without", StartingPoint(norm=norm, strength=0.0))
    assert without == free  # no strength, no change: bit for bit the same path
    assert distance("held", StartingPoint(norm=norm, strength=strength)) < free / 3


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_pull_survives_a_kill_with_averaged_weights(tmp_path: Path, plan: StagePlan, norm: str) -> None:
    resumed_like_whole(tmp_path, plan=replace(plan, tuning=StartingPoint(norm=norm, strength=1.0), ema=0.5))


def test_values_outside_their_range_are_refused() -> None:
    for wrong in ({"norm": "l3"}, {"strength": -1.0}, {"strength": float("nan")}, {"head_lr": -1.0}):
        with pytest.raises(ConfigError):
            StartingPoint(**wrong)
