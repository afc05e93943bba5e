# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.training.hardware import Hardware
from medsetu.training.plan import StagePlan
from medsetu.training.rate_range import RateRange, _Ramp, find_learning_rate, smooth, suggest
from medsetu.tuning.frozen import FrozenLogistic
from medsetu.tuning.strategy import LinearProbe
from training.conftest import CPU, OPTIONS, ToyData, small_network


def find(
    plan: StagePlan, *, seed: int = 0, hardware: Hardware = CPU, bounds: tuple[float, float] = (1e-5, 10.0), updates: int = 60
) -> RateRange:
    return find_learning_rate(
        small_network(), ToyData(seed=seed), plan=plan, seed=seed, hardware=hardware, options=OPTIONS, bounds=bounds, updates=updates
    )


def test_it_suggests_a_rate_that_learns_and_ends_where_the_loss_is_lost(plan: StagePlan) -> None:
    found = find(plan)
    assert len(found.rate) == len(found.loss) == len(found.smoothed)
    assert np.all(np.diff(found.rate) > 0)
    assert found.note == ""
    lowest = found.rate[found.smoothed.argmin()]
    assert found.rate[0] < found.suggested <= lowest < found.rate[-1]


def test_equal_seeds_give_equal_curves_whatever_the_recipe_has(plan: StagePlan) -> None:
    first, again = find(plan), find(replace(plan, lr=plan.lr * 7))
    np.testing.assert_allclose(first.rate, again.rate)
    np.testing.assert_allclose(first.loss, again.loss, rtol=1e-5)
    assert find(plan).loss.tolist() == first.loss.tolist()
    assert find(plan, seed=1).loss.tolist() != first.loss.tolist()


def test_rates_of_groups_keep_their_ratio() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [one], "lr": 1.0, "initial_lr": rate} for one, rate in zip(parameters, (0.2, 0.02), strict=True)]
    ramp, optimizer = _Ramp(np.array([0.001, 0.01, 0.1]), peak=0.2), torch.optim.SGD(groups, lr=1.0)
    for step, wanted in enumerate([0.001, 0.01, 0.1, 0.1]):
        ramp.on_before_optimizer_step(SimpleNamespace(global_step=step), None, optimizer)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([wanted, wanted / 10])


def test_a_rate_belongs_to_an_update_whatever_batches_it_sums(plan: StagePlan) -> None:
    found = find(replace(plan, tuning=LinearProbe(), accumulate=2), updates=20)
    assert len(found.loss) == 20


def test_what_cannot_be_tested(plan: StagePlan) -> None:
    with pytest.raises(ConfigError, match="no learning rate"):
        find(replace(plan, tuning=FrozenLogistic()))
    with pytest.raises(ConfigError, match="one device"):
        find(plan, hardware=Hardware("cpu", "32-true", 2))
    for bounds, updates in (((1.0, 0.1), 60), ((0.0, 0.1), 60), ((0.1, 1.0), 9)):
        with pytest.raises(ConfigError, match="No rate can be found"):
            find(plan, bounds=bounds, updates=updates)


def test_no_fall_no_suggestion() -> None:
    rate = np.geomspace(1e-5, 1, 30)
    value, note = suggest(rate, np.linspace(0.5, 2, 30))
    assert math.isnan(value)
    assert "never fell" in note
    value, note = suggest(rate[:4], np.ones(4))
    assert math.isnan(value)
    assert "lost after 4" in note


def test_the_steepest_fall_is_read_through_noise() -> None:
    rate = np.geomspace(1e-6, 1, 121)
    truth = 1 - 0.4 * np.tanh(2 * (np.log10(rate) + 3)) + np.where(rate > 0.1, 50 * (rate - 0.1) ** 2, 0)
    noisy = truth + np.random.default_rng(0).normal(0, 0.02, rate.size)
    value, note = suggest(rate, smooth(noisy))
    assert note == ""
    assert 3e-4 < value < 1e-2
