# SPDX-License-Identifier: Apache-2.0
import itertools
import logging
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.training.fit import TrainerOptions, fit_stage
from medsetu.training.hardware import Hardware
from medsetu.training.loss import Asymmetric, AucMargin, CrossEntropy, Focal, GroupDro
from medsetu.training.mixing import Mixing
from medsetu.training.plan import StagePlan
from medsetu.training.resizing import Resizing
from medsetu.tuning.strategy import LinearProbe
from training.conftest import CPU, OPTIONS, ToyData, run, small_network

MIXES, SIZES = (None, Mixing(mixup_p=0.5, cutmix_p=0.5)), (None, Resizing(multiple=4))
LOSSES = (CrossEntropy(0.1), Focal(), Asymmetric(), AucMargin(), GroupDro("class"), GroupDro("domain"), GroupDro("site"))
CRAFT = [
    {"loss": loss, "mix": mix, "resize": size, "accumulate": 1 + place % 2, "ema": 0.5 * (place % 2)}
    for place, (loss, mix, size) in enumerate(itertools.product(LOSSES, MIXES, SIZES))
    if mix is None or not loss.groups
]


def test_it_learns(tmp_path: Path, plan: StagePlan) -> None:
    result = run(tmp_path, plan=replace(plan, epochs=12, monitor="auroc"))
    assert result.best_value > 0.9
    assert result.images_per_s > 0


def test_a_linear_probe_leaves_the_trunk_bit_identical(tmp_path: Path, plan: StagePlan) -> None:
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.trunk.state_dict().items()}
    head = network.head.weight.detach().clone()
    fit_stage(network, ToyData(), plan=replace(plan, tuning=LinearProbe()), folder=tmp_path, seed=0, hardware=CPU, options=OPTIONS)
    after = network.trunk.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(head, network.head.weight)


@pytest.mark.parametrize("change", [{"accumulate": 2}, {"clip": 0.0}, {"ema": 0.5}, {"patience": 5}, {"warmup": 0.0}, *CRAFT])
def test_every_switch_steps(tmp_path: Path, plan: StagePlan, change: dict[str, float]) -> None:
    """T30."""
    assert run(tmp_path, plan=replace(plan, epochs=1, **change)).epochs_run == 1


def test_what_a_stage_costs_is_counted(tmp_path: Path, plan: StagePlan) -> None:
    short = replace(plan, epochs=1)
    full, probe = run(tmp_path / "full", plan=short), run(tmp_path / "probe", plan=replace(short, tuning=LinearProbe()))
    head = sum(part.numel() for part in small_network().head.parameters())
    everything = sum(part.numel() for part in small_network().parameters())
    assert (full.parameters_trained, full.parameters_total) == (everything, everything)
    assert (probe.parameters_trained, probe.parameters_total) == (head, everything)
    assert probe.peak_memory_bytes > 10_000_000  # no process with torch is smaller


def test_compiling_and_recomputing_give_a_stage_that_learns_the_same(
    tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dynamo traces the network; its graphs run as they are, as a machine without a C++ compiler would want."""
    compiled, plain = [], torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self) or plain(self, backend="eager"))
    short = replace(plan, epochs=1)
    result = run(tmp_path / "compiled", plan=short, options=replace(OPTIONS, compile=True))
    assert len(compiled) == 1
    assert result.best_value == pytest.approx(run(tmp_path / "plain", plan=short).best_value, rel=1e-3)
    with pytest.raises(ConfigError, match="no blocks"):
        run(tmp_path / "blocks", plan=short, options=replace(OPTIONS, checkpoint_gradients=True))


def test_a_loss_over_groups_is_for_one_process(tmp_path: Path, plan: StagePlan) -> None:
    two = Hardware("cpu", "32-true", devices=2)
    with pytest.raises(ConfigError, match="loss over groups"):
        fit_stage(small_network(), ToyData(), plan=replace(plan, loss=GroupDro()), folder=tmp_path, seed=0, hardware=two, options=OPTIONS)


def test_bfloat16_and_float32_agree(tmp_path: Path, plan: StagePlan) -> None:
    plan = replace(plan, epochs=12, monitor="auroc")
    full = run(tmp_path / "a", plan=plan)
    half = fit_stage(
        small_network(), ToyData(), plan=plan, folder=tmp_path / "b", seed=0, hardware=Hardware("cpu", "bf16-mixed"), options=OPTIONS
    )
    assert half.best_value == pytest.approx(full.best_value, abs=0.1)


def test_limit_batches_and_extra_reach_the_trainer(tmp_path: Path, plan: StagePlan) -> None:
    options = TrainerOptions(progress=False, limit_batches=1, extra={"val_check_interval": 1.0})
    assert run(tmp_path, plan=plan, options=options).epochs_run == 3


def test_logging_levels_and_filters_are_given_back(tmp_path: Path, plan: StagePlan) -> None:
    level, filters = logging.getLogger("pytorch_lightning").level, list(warnings.filters)
    run(tmp_path, plan=replace(plan, epochs=1))
    assert logging.getLogger("pytorch_lightning").level == level
    assert list(warnings.filters) == filters


def test_one_process_is_not_several(tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would run the command line again for each of the others."""
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    two = Hardware("cpu", "32-true", devices=2)
    with pytest.raises(ConfigError, match="One process cannot train on 2 devices"):
        fit_stage(small_network(), ToyData(), plan=plan, folder=tmp_path, seed=0, hardware=two, options=OPTIONS)
