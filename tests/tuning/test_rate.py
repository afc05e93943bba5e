# SPDX-License-Identifier: Apache-2.0
"""Rates of blocks: decaying with depth, or following the relative gradient of each update."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.training.fit import fit_stage
from medsetu.training.hardware import Hardware
from medsetu.training.plan import StagePlan
from medsetu.tuning.group import blocks
from medsetu.tuning.rate import AutoRGN, LayerwiseDecay, relative_gradients
from training.conftest import CPU, OPTIONS, ToyData, resumed_like_whole, small_network


@pytest.fixture
def network():
    return TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_rates_decay_from_the_head_to_the_image(name: str) -> None:
    network = TimmBackbone(name, size=32).build(["mass"], seed=0)
    strategy = LayerwiseDecay(decay=0.5, head_lr=3.0)
    strategy.free(network)
    groups = strategy.parameter_groups(network, lr=0.1, weight_decay=0.2)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    own = dict(network.named_parameters())
    assert len(rates) == len(own) == sum(len(group["params"]) for group in groups)
    *trunk, head = blocks(network)
    for depth, block in enumerate(reversed(trunk), start=1):
        assert [rates[id(own[each])] for each in block.parameters] == pytest.approx([0.1 * 0.5**depth] * len(block.parameters))
    assert [rates[id(own[each])] for each in head.parameters] == pytest.approx([0.3, 0.3])
    assert {group["weight_decay"] for group in groups if group["name"].endswith("/no_decay")} == {0.0}
    assert {group["weight_decay"] for group in groups if group["name"].endswith("/decay")} == {0.2}


def test_a_decay_of_one_is_full_and_others_are_refused(network) -> None:
    assert {group["lr"] for group in LayerwiseDecay(decay=1.0).parameter_groups(network, lr=0.1, weight_decay=0.0)} == {0.1}
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="decay"):
            LayerwiseDecay(decay=wrong)


def test_rates_follow_the_relative_gradient(network) -> None:
    """Against norms computed with numpy, block by block."""
    strategy = AutoRGN()
    strategy.free(network)
    optimizer = torch.optim.AdamW(strategy.parameter_groups(network, lr=0.1, weight_decay=0.0))
    network(torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    own = dict(network.named_parameters())

    def length(block, of) -> float:
        return sum(float((of(own[name]).numpy().astype("float64") ** 2).sum()) for name in block.parameters) ** 0.5

    ratio = {block.name: length(block, lambda one: one.grad) / length(block, lambda one: one.detach()) for block in blocks(network)}
    largest = max(ratio.values())
    strategy.before_step(network, optimizer)
    got = {group["name"].rpartition("/")[0]: group["lr"] for group in optimizer.param_groups}
    assert got == {name: pytest.approx(0.1 * value / largest, rel=1e-4) for name, value in ratio.items()}
    assert len(set(got.values())) == len(got)


def test_a_common_factor_of_the_gradients_changes_nothing() -> None:
    """So neither clipping afterwards, nor the number of accumulated batches, nor a loss scale does."""
    members = [[nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2, 2))] for _ in range(3)]
    for block in members:
        for each in block:
            each.grad = torch.randn(each.shape)
    before = relative_gradients(members)
    for block in members:
        for each in block:
            each.grad = each.grad * 64
    assert torch.allclose(before, relative_gradients(members))
    assert before.max() == 1


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0])
def test_gradients_that_say_nothing_change_no_rate(value: float) -> None:
    one, two = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    one.grad, two.grad = torch.tensor([value]), torch.tensor([0.0 if value == 0 else 1.0])
    assert relative_gradients([[one], [two]]).tolist() == [1.0, 1.0]


def test_half_precision_gradients_do_not_overflow() -> None:
    one = nn.Parameter(torch.full((4,), 300.0, dtype=torch.float16))
    two = nn.Parameter(torch.full((4,), 300.0, dtype=torch.float16))
    one.grad, two.grad = torch.full_like(one, 300.0), torch.full_like(two, 150.0)
    assert relative_gradients([[one], [two]]).tolist() == [1.0, 0.5]


def test_groups_beside_the_network_and_frozen_blocks_keep_their_rate(network) -> None:
    strategy = AutoRGN()
    strategy.free(network)
    groups = strategy.parameter_groups(network, lr=0.1, weight_decay=0.0)
    beside = nn.Parameter(torch.ones(1))
    beside.grad = torch.ones(1)
    network.head(torch.ones(1, network.head.in_features)).sum().backward()
    optimizer = torch.optim.AdamW([*groups, {"name": "alignment", "params": [beside], "lr": 0.7}])
    strategy.before_step(network, optimizer)
    assert {group["name"]: group["lr"] for group in optimizer.param_groups}["alignment"] == 0.7
    assert {group["lr"] for group in optimizer.param_groups} == {0.7, 0.1}


@pytest.mark.parametrize("change", [{"accumulate": 4}, {"accumulate": 2, "clip": 0.0}], ids=["accumulate", "unclipped"])
def test_rates_that_follow_gradients_survive_a_kill(tmp_path: Path, plan: StagePlan, change: dict[str, float]) -> None:
    resumed_like_whole(tmp_path, plan=replace(plan, tuning=AutoRGN(), **change))


def test_rates_are_scaled_from_the_schedule_anew_at_each_update(tmp_path: Path, plan: StagePlan, monkeypatch) -> None:
    """A rate that was scaled twice would fall to nothing; also under autocast and with accumulated batches."""
    seen: list[list[float]] = []
    scale = AutoRGN.before_step

    def spy(self, network, optimizer) -> None:
        start = [group["lr"] for group in optimizer.param_groups]
        scale(self, network, optimizer)
        seen.append([*start, max(group["lr"] for group in optimizer.param_groups)])

    monkeypatch.setattr(AutoRGN, "before_step", spy)
    plan = replace(plan, tuning=AutoRGN(), warmup=0.0, accumulate=2)
    for number, hardware in enumerate((CPU, Hardware("cpu", "bf16-mixed"))):
        seen.clear()
        fit_stage(small_network(), ToyData(), plan=plan, folder=tmp_path / str(number), seed=0, hardware=hardware, options=OPTIONS)
        assert len(seen) == 9
        for rates in seen:
            assert len(set(rates)) == 1  # all start at the scheduled rate, and the largest of them stays there
        assert [rates[0] for rates in seen] == sorted((rates[0] for rates in seen), reverse=True)
        assert seen[0][0] == pytest.approx(plan.lr)
