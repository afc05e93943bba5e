# SPDX-License-Identifier: Apache-2.0
"""Sample sizes against the reference, against enumeration and against simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from medsetu.core.errors import ConfigError
from medsetu.evaluation.delong import unpaired_difference
from medsetu.evaluation.interval import clopper_pearson, wilson
from medsetu.shift.sample_size import cases_for_gap, cases_to_prove, cases_without_miss, proof_power, proved

WILSON_TPP = {(90, 100): (0.8256, 0.9448), (190, 200): (0.9104, 0.9726)}


@pytest.mark.parametrize(("target", "truth", "cases"), [(0.90, 0.95, 254), (0.90, 0.93, 740), (0.70, 0.80, 158)])
def test_cases_to_prove_a_target_are_those_of_the_reference(target, truth, cases):
    """Two-sided Wilson at 95 %, exact binomial power of 80 %, from there on for good."""
    assert cases_to_prove(target, truth=truth) == cases
    assert proof_power(cases - 1, target=target, truth=truth) < 0.8
    assert all(proof_power(n, target=target, truth=truth) >= 0.8 for n in range(cases, cases + 300))


@pytest.mark.parametrize("case", WILSON_TPP)
def test_wilson_is_that_of_the_reference(case):
    assert [round(float(end), 4) for end in wilson(*case)] == list(WILSON_TPP[case])


@pytest.mark.parametrize(
    ("found", "total", "low", "verdict"), [(95, 100, 0.8882, False), (133, 140, 0.9004, True), (190, 200, 0.9104, True)]
)
def test_proof_of_a_sensitivity_of_90_percent(found, total, low, verdict):
    assert round(float(wilson(found, total)[0]), 4) == low
    assert proved(found, total, target=0.90) is verdict
    assert not proved(0, 0, target=0.90)


@pytest.mark.parametrize("total", [20, 35, 100, 254])
@pytest.mark.parametrize(("target", "truth"), [(0.9, 0.95), (0.7, 0.8)])
def test_power_is_the_sum_over_all_outcomes_that_prove(total, target, truth):
    outcomes = [found for found in range(total + 1) if proved(found, total, target=target)]
    assert proof_power(total, target=target, truth=truth) == pytest.approx(binom.pmf(outcomes, total, truth).sum(), abs=1e-12)


@pytest.mark.parametrize(("recall", "cases"), [(0.98, 149), (0.99, 299)])
def test_recall_targets_are_one_sided_lower_bounds(recall, cases):
    assert cases_without_miss(recall) == cases
    assert clopper_pearson(cases, cases, level=0.90)[0] >= recall > clopper_pearson(cases - 1, cases - 1, level=0.90)[0]


@pytest.mark.parametrize(
    "wrong", [{"target": 0.95, "truth": 0.95}, {"target": 0.9, "truth": 0.95, "power": 1.0}, {"target": 0.9, "truth": 0.9001}]
)
def test_a_proof_that_nobody_can_plan_is_refused(wrong):
    with pytest.raises(ConfigError):
        cases_to_prove(**wrong)


def test_more_power_and_less_distance_take_more_cases():
    assert cases_to_prove(0.9, truth=0.95, power=0.9) > 254 > cases_to_prove(0.9, truth=0.97)
    with pytest.raises(ConfigError, match="recall of 1"):
        cases_without_miss(1.0)


def test_a_gap_planned_to_five_points_is_told_to_five_points():
    """Half the width of the interval that the study will print, binormal scores, at the planned size."""
    aurocs = (0.90, 0.85)
    n = cases_for_gap(0.05, aurocs=aurocs)
    rng, label = np.random.default_rng(0), np.repeat([1.0, 0.0], n)
    shifts = [math.sqrt(2) * 1.2816, math.sqrt(2) * 1.0364]  # normal quantiles of the two
    widths = []
    for _ in range(30):
        a, b = (shift * label + rng.standard_normal(2 * n) for shift in shifts)
        found = unpaired_difference(label, a, label_b=label, scores_b=b)
        widths.append((found.high - found.low) / 2)
    assert np.mean(widths) == pytest.approx(0.05, rel=0.08)


def test_a_global_side_that_is_too_small_is_said():
    assert cases_for_gap(0.05, aurocs=(0.9, 0.85), global_error=0.03) is None
    assert cases_for_gap(0.05, aurocs=(0.9, 0.85), global_error=0.0) < cases_for_gap(0.05, aurocs=(0.9, 0.85))
    with pytest.raises(ConfigError, match="half width"):
        cases_for_gap(0.0, aurocs=(0.9, 0.85))
