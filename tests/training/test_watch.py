# SPDX-License-Identifier: Apache-2.0
"""A stage that is watched, given up, and continued all the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medsetu.core.run import sha256_file
from medsetu.training.finish import complete_stage
from medsetu.training.fit import StageResult
from medsetu.training.plan import StagePlan
from medsetu.training.watch import GivenUpError, Judge, Watch
from training.conftest import CPU, OPTIONS, ToyData, small_network


def watched(folder: Path, plan: StagePlan, judge: Judge, **switches: bool) -> StageResult:
    listeners, options = [Watch(judge)], replace(OPTIONS, save_every_s=0.0, **switches)
    return complete_stage(small_network(), ToyData(), plan=plan, folder=folder, seed=0, hardware=CPU, options=options, listeners=listeners)


@pytest.mark.parametrize("change", [{}, {"ema": 0.5}, {"swa": 0.5}])
def test_the_judge_hears_what_chooses_the_weights(tmp_path: Path, plan: StagePlan, change: dict[str, float]) -> None:
    heard: list[tuple[int, float]] = []

    def judge(epoch: int, value: float) -> bool:
        heard.append((epoch, value))
        return False

    result = watched(tmp_path, replace(plan, epochs=4, **change), judge)
    assert [epoch for epoch, _ in heard] == [0, 1, 2, 3]
    assert (result.best_epoch, result.best_value) == min(heard, key=lambda pair: pair[1])


def test_a_stage_that_was_given_up_goes_on_as_if_it_had_not_been(tmp_path: Path, plan: StagePlan) -> None:
    plan = replace(plan, epochs=4)
    whole = watched(tmp_path / "whole", plan, lambda *_: False)
    with pytest.raises(GivenUpError, match="after epoch 1"):
        watched(tmp_path / "part", plan, lambda epoch, _: epoch == 1)
    assert (tmp_path / "part").is_dir()
    result = watched(tmp_path / "part", plan, lambda *_: False)
    assert (result.sha256, result.best_epoch, result.best_value) == (whole.sha256, whole.best_epoch, whole.best_value)
    assert sha256_file(result.weights) == whole.sha256


def test_a_compiled_stage_goes_on_to_the_same_bits(tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamo's graphs, run as they are: no C++ compiler is needed."""
    plain = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: plain(self, backend="eager"))
    plan = replace(plan, epochs=3, ema=0.5)
    whole = watched(tmp_path / "whole", plan, lambda *_: False, compile=True)
    with pytest.raises(GivenUpError):
        watched(tmp_path / "part", plan, lambda epoch, _: epoch == 1, compile=True)
    result = watched(tmp_path / "part", plan, lambda *_: False, compile=True)
    assert result.sha256 == whole.sha256
    assert set(load_file(result.weights)) == set(small_network().state_dict()), "no name bears a mark of the compiler"
