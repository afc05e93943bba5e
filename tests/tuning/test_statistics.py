# SPDX-License-Identifier: Apache-2.0
"""Running statistics of batch normalisation: local, frozen, mixed."""

import copy
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.training.fit import fit_stage
from medsetu.training.plan import StagePlan
from medsetu.tuning.part import Surgical
from medsetu.tuning.statistics import batch_norms, hold_statistics, prepare_statistics
from medsetu.tuning.strategy import Full, LinearProbe, Strategy
from training.conftest import CPU, OPTIONS, ToyData, resumed_like_whole, run, small_network


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("momentum", [0.1, 0.9, 1.0])
def test_mixed_is_the_stated_mixture_at_every_update(share: float, momentum: float) -> None:
    start = nn.BatchNorm1d(3, momentum=momentum)
    start.running_mean.normal_()
    start.running_var.uniform_(0.5, 2)
    local, mixed = copy.deepcopy(start), copy.deepcopy(start)
    prepare_statistics(mixed, "mixed", starting_share=share)
    for _ in range(5):
        batch = torch.randn(16, 3) * 3 + 1
        assert torch.equal(local.train()(batch), mixed.train()(batch))  # training itself sees batches, not the mixture
        mixed.eval()(batch)  # and looking changes nothing
        for name in ("running_mean", "running_var"):
            expected = share * getattr(start, name) + (1 - share) * getattr(local, name)
            assert torch.allclose(getattr(mixed, name), expected, atol=1e-5), name


def test_what_is_mixed_in_is_not_saved_and_survives_a_copy() -> None:
    layer = nn.Sequential(nn.BatchNorm1d(2))
    names = set(layer.state_dict())
    prepare_statistics(layer, "mixed", starting_share=1.0)
    assert set(layer.state_dict()) == names
    twin = copy.deepcopy(layer)
    twin(torch.randn(8, 2) + 5)
    assert torch.allclose(twin[0].running_mean, torch.zeros(2))
    assert twin[0].num_batches_tracked == 1
    assert layer[0].num_batches_tracked == 0


def test_averaging_over_all_batches_cannot_be_mixed() -> None:
    with pytest.raises(ConfigError, match="cannot be mixed"):
        prepare_statistics(nn.BatchNorm1d(2, momentum=None), "mixed", starting_share=0.5)
    for wrong in ({"statistics": "forzen"}, {"starting_share": 1.5}, {"starting_share": float("nan")}):
        with pytest.raises(ConfigError):
            Full(**wrong)


def test_a_network_without_batch_statistics_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    network = TimmBackbone("test_vit", size=32).build(["mass"], seed=0)
    with caplog.at_level(logging.INFO):
        prepare_statistics(network, "frozen", starting_share=0.5)
    assert len([record for record in caplog.records if "no batch statistics" in record.message]) == 1
    before = [module.training for module in network.modules()]
    hold_statistics(network, "frozen")
    assert [module.training for module in network.modules()] == before
    caplog.clear()
    prepare_statistics(small_network(), "frozen", starting_share=0.5)
    assert not caplog.records


def trained(folder: Path, plan: StagePlan, strategy: Strategy) -> tuple[nn.BatchNorm2d, nn.BatchNorm2d]:
    """First batch normalisation before and after a stage."""
    network = TimmBackbone("test_resnet", size=16).build(["tuberculosis"], seed=0)
    layer = next(batch_norms(network))
    before = copy.deepcopy(layer)
    told = replace(plan, tuning=strategy, epochs=1)
    fit_stage(network, ToyData(n=16), plan=told, folder=folder, seed=0, hardware=CPU, options=OPTIONS)
    return before, layer


@pytest.mark.parametrize(
    ("strategy", "statistics_move", "weights_move"),
    [
        (Full(), True, True),
        (Full(statistics="frozen"), False, True),
        (Full(statistics="mixed", starting_share=0.5), True, True),
        (Full(statistics="mixed", starting_share=1.0), False, True),
        (LinearProbe(), False, False),
        (LinearProbe(statistics="local"), True, False),
        (LinearProbe(statistics="mixed"), True, False),
        (Surgical(block="first"), True, True),
        (Surgical(block="last"), False, False),
        (Surgical(block="first", statistics="frozen"), False, True),
    ],
    ids=repr,
)
def test_what_moves_in_a_stage(tmp_path: Path, plan: StagePlan, strategy: Strategy, statistics_move: bool, weights_move: bool) -> None:
    before, after = trained(tmp_path, plan, strategy)
    assert torch.allclose(before.running_mean, after.running_mean, atol=1e-7) is not statistics_move
    assert torch.allclose(before.running_var, after.running_var, atol=1e-6) is not statistics_move
    assert torch.equal(before.weight, after.weight) is not weights_move
    assert torch.equal(before.bias, after.bias) is not weights_move


@pytest.mark.parametrize("policy", ["frozen", "mixed"])
def test_a_policy_survives_a_kill_with_averaged_weights(tmp_path: Path, plan: StagePlan, policy: str) -> None:
    whole = resumed_like_whole(tmp_path, plan=replace(plan, tuning=Full(statistics=policy), ema=0.5))
    assert set(load_file(whole.weights)) == set(small_network().state_dict())
    assert run(tmp_path / "local", plan=replace(plan, ema=0.5)).sha256 != whole.sha256
