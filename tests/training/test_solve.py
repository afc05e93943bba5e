# SPDX-License-Identifier: Apache-2.0
"""A stage on frozen features: the trunk stays, validation chooses, and the weights are an ordinary stage's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.weights import load_weights
from medsetu.core.errors import ConfigError, DataError
from medsetu.training.candidate import measure
from medsetu.training.finish import complete_stage
from medsetu.training.plan import StagePlan
from medsetu.training.solve import solve_stage
from medsetu.tuning.distil import Distillation
from medsetu.tuning.frozen import FrozenLogistic, FrozenNeighbours
from medsetu.tuning.merge import WiseFT
from training.conftest import CPU, OPTIONS, ToyData, run, small_network

STRATEGIES = [FrozenLogistic(), FrozenNeighbours(neighbours=(1, 3, 9))]


def faint() -> ToyData:
    """Films whose corner is hardly brighter, so that heads differ."""
    data = ToyData()
    data.pixels[data.label == 1, :6, :6] -= 80
    return data


@pytest.mark.parametrize("tuning", STRATEGIES)
@pytest.mark.parametrize("monitor", ["loss", "auroc"])
def test_the_head_that_validation_likes_best_is_kept(tuning, monitor: str, tmp_path: Path, plan: StagePlan) -> None:
    plan = replace(plan, tuning=tuning, monitor=monitor)
    result = run(tmp_path, plan=plan, data=faint())
    values = [candidate[monitor] for candidate in result.details["candidates"]]
    assert result.best_value == (max if monitor == "auroc" else min)(values)
    assert len(set(values)) > 1
    again = small_network()
    load_weights(again, result.weights, sha256=result.sha256)
    assert measure(again, faint(), plan=plan, hardware=CPU) == pytest.approx(result.best_value, abs=1e-6)
    trunk = small_network().trunk.state_dict()
    assert all(torch.equal(tensor, again.trunk.state_dict()[name]) for name, tensor in trunk.items())
    assert again.trained == ("tuberculosis",)
    assert (result.best_epoch, result.epochs_run) == (-1, 0)


@pytest.mark.parametrize("tuning", STRATEGIES)
def test_done_again_it_gives_the_same_bytes(tuning, tmp_path: Path, plan: StagePlan) -> None:
    plan = replace(plan, tuning=tuning)
    assert run(tmp_path / "a", plan=plan, seed=0).sha256 == run(tmp_path / "b", plan=plan, seed=5).sha256, "no seed has a say"


def test_it_learns(tmp_path: Path, plan: StagePlan) -> None:
    assert run(tmp_path, plan=replace(plan, tuning=FrozenLogistic(), monitor="auroc")).best_value > 0.9


def test_only_the_head_counts_as_trained(tmp_path: Path, plan: StagePlan) -> None:
    assert run(tmp_path / "a", plan=replace(plan, tuning=FrozenLogistic())).parameters_trained == 17
    network = small_network()
    result = solve_stage(network, ToyData(), plan=plan, strategy=FrozenNeighbours(), folder=tmp_path, hardware=CPU)
    assert result.parameters_trained == 0
    assert isinstance(network.head, NearestHead)
    assert len(network.head.bank) == ToyData().n


def test_loggers_hear_of_the_chosen_head(tmp_path: Path, plan: StagePlan) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    solve_stage(small_network(), ToyData(), plan=plan, strategy=FrozenLogistic(), folder=tmp_path, hardware=CPU, listeners=[logger])
    assert "val/global/tuberculosis/auroc" in (tmp_path / "metrics.csv").read_text()


def test_validation_of_one_class_cannot_choose_by_auroc(tmp_path: Path, plan: StagePlan) -> None:
    data = ToyData()
    data.label[data.n :] = 1
    with pytest.raises(DataError, match="not a number"):
        run(tmp_path, plan=replace(plan, tuning=FrozenLogistic(), monitor="auroc"), data=data)


@pytest.mark.parametrize("change", [{"distil": Distillation()}, {"finish": WiseFT()}])
def test_what_has_no_meaning_for_a_solved_head_is_refused(plan: StagePlan, change) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(plan, tuning=FrozenLogistic(), **change)


def test_several_processes_are_refused(tmp_path: Path, plan: StagePlan) -> None:
    two = replace(CPU, devices=2)
    with pytest.raises(ConfigError, match="one process"):
        complete_stage(
            small_network(),
            ToyData(),
            plan=replace(plan, tuning=FrozenLogistic()),
            folder=tmp_path,
            seed=0,
            hardware=two,
            options=OPTIONS,
        )
