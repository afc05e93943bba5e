# SPDX-License-Identifier: Apache-2.0
"""Lines of the plan say what is there and what is missing; the planner keeps its word on curves whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scripts import gate_plan as gate

from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.learning_curve import LearningCurve
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.planner import rows, sensitivity_metric
from medsetu.shift.profile import Profile

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
    curves = [LearningCurve(arm, sensitivity_metric(PROFILE), SIZES, values, draws) for arm in ("local-only", "transfer")]
    lines = rows(cohort(), ShiftPlan(), profile=PROFILE, curves=curves)
    need = [line for line in lines if line.measure.startswith("local patients for")]
    assert [line.subject for line in need] == ["local-only", "local-only", "transfer", "transfer"]
    assert need[0].low <= (0.8 / 0.07) ** (1 / 0.7) <= need[0].high
    assert "80% assurance" in need[0].note
    assert need[1].note.startswith("254 positives then prove 0.9 or more with power 80%")
    rates = [line for line in lines if line.measure.startswith("label exchange rate")]
    assert [round(line.value) for line in rates] == [0] * 5


def test_two_points_carry_no_law_and_that_is_said():
    one = LearningCurve("transfer", sensitivity_metric(PROFILE), SIZES[:2], np.array([0.7, 0.8]))
    verdicts = [line.verdict for line in rows(cohort(), ShiftPlan(), profile=PROFILE, curves=[one]) if "local patients for" in line.measure]
    assert verdicts == ["refused: a law takes 3 numbers of local patients, and both classes"] * 2


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


def test_a_curve_on_one_class_is_refused_in_words():
    empty = {"n": SIZES, "value": np.full(5, np.nan), "draws": np.full((9, 5), np.nan)}
    nothing = [LearningCurve(arm, sensitivity_metric(PROFILE), **empty) for arm in ("local-only", "transfer")]
    lines = rows(cohort(), ShiftPlan(), profile=PROFILE, curves=nothing)
    assert {line.verdict.split(":")[0] for line in lines if "local patients for" in line.measure} == {"refused"}
    assert {line.verdict for line in lines if "exchange" in line.measure} == {"cannot tell"}
