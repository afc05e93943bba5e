# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsetu.backbone.weights import load_weights
from medsetu.core.errors import DataError
from medsetu.training.plan import StagePlan
from medsetu.training.prediction import predict
from medsetu.training.selection import side_metrics
from training.conftest import ToyData, run, small_network


def test_metrics_by_finding_name() -> None:
    logit = torch.tensor([[2.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    label = torch.tensor([[1.0, float("nan")], [0.0, float("nan")], [0.0, float("nan")]])
    found = side_metrics(logit, label, findings=("tuberculosis", "effusion"))
    assert found["tuberculosis/auroc"] == 1.0
    assert math.isnan(found["effusion/auroc"])
    assert found["auroc"] == 1.0


def test_monitor_exists_and_the_saved_weights_are_those_that_were_measured(tmp_path: Path, plan: StagePlan) -> None:
    """T33: the logged key is the monitored one; with averaged weights the average is measured and saved."""
    result = run(tmp_path, plan=replace(plan, ema=0.9, epochs=4))
    network = small_network(seed=5)
    load_weights(network, result.weights, sha256=result.sha256)
    scores = predict(network, ToyData().val_dataloader()[0], device=torch.device("cpu"))
    loss = side_metrics(torch.logit(torch.from_numpy(scores.score)), torch.from_numpy(scores.label), findings=("tuberculosis",))["loss"]
    assert loss == pytest.approx(result.best_value, abs=1e-5)


def test_selects_by_the_best_and_not_by_the_last_epoch(tmp_path: Path, plan: StagePlan) -> None:
    long = run(tmp_path / "a", plan=replace(plan, epochs=6, lr=0.05, warmup=0.0))
    assert 0 <= long.best_epoch < 6
    assert long.epochs_run == 6


def test_a_loss_that_is_not_a_number_stops_with_a_reason(tmp_path: Path, plan: StagePlan) -> None:
    with pytest.raises(DataError, match="not a number"):
        run(tmp_path, plan=replace(plan, lr=1e30, clip=0.0, warmup=0.0))


def test_early_stopping_stops(tmp_path: Path, plan: StagePlan) -> None:
    result = run(tmp_path, plan=replace(plan, epochs=40, lr=1e-12, patience=2))
    assert result.epochs_run < 40
