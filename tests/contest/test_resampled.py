# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from contest.cohort import PLAN, contestants, field
from medsetu.contest.resampled import difference, difference_p, draw, estimates_of


def test_the_value_is_the_mean_over_models_and_the_draws_are_paired():
    pair = contestants(field({"a": 2.0, "b": 1.0}, seeds=2))
    draws = tuple(draw(one, PLAN) for one in pair)
    values = []
    for one, drawn in zip(pair, draws, strict=True):
        wanted = np.mean([average_precision_score(one.matrix.label, row) for row in one.matrix.scores])
        found = estimates_of(one, drawn, PLAN)["auprc"]
        assert found.value == pytest.approx(wanted)
        assert 0 <= found.low < found.value < found.high <= 1
        values.append(wanted)
    found = difference(pair, draws, metric="auprc", plan=PLAN)
    assert found.value == pytest.approx(values[0] - values[1])
    apart = draws[0].replicate["auprc"], np.random.default_rng(0).permutation(draws[1].replicate["auprc"])
    assert np.var(draws[0].replicate["auprc"] - draws[1].replicate["auprc"]) < np.var(apart[0] - apart[1])


def test_p_agrees_with_the_interval_and_a_twin_is_not_told_apart():
    pair = contestants(field({"a": 4.0, "b": 0.2}, per_class=60))
    draws = tuple(draw(one, PLAN) for one in pair)
    assert difference(pair, draws, metric="auprc", plan=PLAN).low > 0
    assert difference_p(pair, draws, metric="auprc", plan=PLAN) == pytest.approx(2 / 101)
    assert difference_p((pair[0], pair[0]), (draws[0], draws[0]), metric="auprc", plan=PLAN) == 1.0


def test_rescaled_scores_have_no_calibration_and_no_resamples_no_interval():
    one = contestants(field({"a": 2.0, "b": 1.0}))[0]
    assert set(draw(one, replace(PLAN, score_kind="rescaled")).by_model) == {"auprc"}
    plan = replace(PLAN, bootstrap=0)
    found = estimates_of(one, draw(one, plan), plan)["calibration_slope"]
    assert found.value == found.value
    assert np.isnan(found.low)
