# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from medsetu.core.errors import DataError
from medsetu.training.candidate import best_first, measure, metrics_of, see
from medsetu.training.plan import StagePlan
from training.conftest import CPU, ToyData, small_network


def test_a_candidate_is_measured_on_the_selecting_side_only(plan: StagePlan) -> None:
    network, data = small_network(), ToyData()
    local, other = (see(network, data, hardware=CPU, side=side) for side in ("local", "global"))
    assert local.sample_id[0] == "toy/48"
    assert other.sample_id[0] == "toy/64"
    value = measure(network, data, plan=plan, hardware=CPU)
    assert value == metrics_of(network, local)["loss"] != metrics_of(network, other)["loss"]


def test_metrics_are_those_of_the_network_as_a_whole(plan: StagePlan) -> None:
    network, data = small_network(), ToyData()
    seen = see(network, data, hardware=CPU, side="local")
    score, label = seen.score[:, 0].astype(np.float64), seen.label[:, 0]
    expected = -np.mean(np.where(label == 1, np.log(score), np.log1p(-score)))
    assert metrics_of(network, seen)["loss"] == pytest.approx(expected, rel=1e-5)
    assert torch.is_grad_enabled()


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="auroc of a candidate is not a number"):
        best_first([0.5, float("nan")], monitor="auroc")
