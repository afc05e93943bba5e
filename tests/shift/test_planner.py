# SPDX-License-Identifier: Apache-2.0
"""Sample sizes against the reference and against simulation; the planner keeps its word on curves whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from scripts import gate_plan as gate

from medsetu.core.errors import ConfigError
from medsetu.evaluation.delong import unpaired_difference
from medsetu.evaluation.interval import clopper_pearson, wilson
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.learning_curve import LearningCurve
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.planner import cases_for_gap, cases_to_prove, cases_without_miss, proof_power, proved, rows, sensitivity_metric
from medsetu.shift.profile import Profile

WILSON_TPP = {(90, 100): (0.8256, 0.9448), (190, 200): (0.9104, 0.9726)}
PROFILE = Profile("TPP", "2014", "page", "tuberculosis", 0.90, 0.70, assumed_sensitivity=0.95, assumed_specificity=0.80)
SIZES = np.array([8.0, 13, 20, 32, 52])


def films(side, *, n=40, shift=1.5, seeds=1, per_patient=1):
    rng = np.random.default_rng(len(side))
    label = np.tile([1.0, 1.0, 0.0, 0.0], n // 4)
    names = np.array([f"{side}{film:03d}" for film in range(n)])
    patient = np.array([f"p{film // per_patient:03d}" for film in range(n)])
    scores = 1 / (1 + np.exp(-(shift * label + rng.standard_normal((seeds, n)))))
    return Films(side, side, "by patient", names, patient, label, scores, np.arange(seeds), pd.DataFrame(index=range(n)))


def cohort(**kwargs):
    return Cohort("tuberculosis", "transfer", films("global", n=80), films("local", **kwargs))


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


def test_rows_say_what_is_there_and_what_is_missing():
    lines = {line.measure: line for line in rows(cohort(), ShiftPlan(), profile=PROFILE)}
    prove = lines["positives to prove sensitivity >= 0.9"]
    assert (prove.value, prove.verdict) == (254, "234 more: 20 are here")
    assert "edition 2014" in prove.subject
    assert lines["negatives to prove specificity >= 0.7"].value == 158
    assert lines["positives, and as many negatives, for the gap to +- 0.05"].value > 50
    assert {line.section for line in lines.values()} == {"plan"}
    assert {(line.n_global, line.n_local) for line in lines.values()} == {(80, 40)}
    recall = [line.value for line in rows(cohort(), ShiftPlan()) if line.measure == "cases without a miss"]
    assert recall == [149, 299]


def test_patients_are_counted_not_films():
    lines = {line.measure: line for line in rows(cohort(n=40, per_patient=2), ShiftPlan(), profile=PROFILE)}
    assert lines["positives to prove sensitivity >= 0.9"].verdict == "244 more: 10 are here"


@pytest.mark.parametrize("labels", [1.0, math.nan])
def test_a_side_of_one_class_or_without_labels_is_refused_in_words(labels):
    side = films("local")
    lines = rows(
        Cohort("tuberculosis", "transfer", films("global"), Films(**{**vars(side), "label": np.full(40, labels)})),
        ShiftPlan(),
        profile=PROFILE,
    )
    assert lines[0].verdict.startswith("refused: an AUROC")
    assert math.isnan(lines[0].value)


def test_rows_of_curves_give_the_need_and_the_exchange_rate():
    values, rng = 0.97 - 0.8 * SIZES**-0.7, np.random.default_rng(0)
    draws = values + 0.002 * rng.standard_normal((200, SIZES.size))
    curves = {arm: LearningCurve(arm, sensitivity_metric(PROFILE), SIZES, values, draws) for arm in ("local-only", "transfer")}
    lines = rows(cohort(), ShiftPlan(), profile=PROFILE, curves=curves)
    need = [line for line in lines if line.measure.startswith("local patients for")]
    assert [line.subject for line in need] == ["local-only", "local-only", "transfer", "transfer"]
    assert need[0].low <= (0.8 / 0.07) ** (1 / 0.7) <= need[0].high
    assert "80% assurance" in need[0].note
    rates = [line for line in lines if line.measure.startswith("label exchange rate")]
    assert [round(line.value) for line in rates] == [0] * 5


def test_two_points_carry_no_law_and_that_is_said():
    one = LearningCurve("transfer", sensitivity_metric(PROFILE), SIZES[:2], np.array([0.7, 0.8]))
    verdicts = [
        line.verdict
        for line in rows(cohort(), ShiftPlan(), profile=PROFILE, curves={"transfer": one})
        if "local patients for" in line.measure
    ]
    assert verdicts == ["refused: a law takes 3 numbers of local patients"] * 2


@pytest.mark.parametrize("law", [gate.LAWS[0], gate.LAWS[2], gate.LAWS[4]], ids=lambda law: law.name)
def test_the_need_is_covered_and_seldom_told_wrongly(law):
    found = gate.keeps_need(law, cohorts=100, draws=100, seed=1)
    assert found.coverage >= 0.88
    assert found.wrong <= 0.10
    if law.name.startswith("225"):
        assert 0.2 < found.never < 0.6  # a fit from 8 to 52 patients cannot know it


@pytest.mark.parametrize(("worth", "at"), [(0.0, 20.0), (12.0, 8.0), (60.0, 20.0), (-10.0, 13.0)])
def test_the_exchange_rate_is_covered(worth, at):
    assert gate.keeps_rate(worth, at=at, cohorts=100, draws=100, seed=1).coverage >= 0.88
