# SPDX-License-Identifier: Apache-2.0
"""Calibration on both sides and the carried threshold: nothing planted covers zero, more planted moves further, refusals say why."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scripts.gate_prevalence import LABELS, World, cohort

from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.calibration import (
    CHANGE,
    INTERCEPT,
    RATIO,
    SLOPE,
    calibration_shift,
    calibration_statistic,
    rows,
    threshold_transport,
)
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, shift_table

PLAN = ShiftPlan(bootstrap=200)
RULES = EvaluationPlan(primary="finding", specificity_targets=())


def drawn(seed=0, **knobs):
    return cohort(World("", LABELS, **knobs), np.random.default_rng(seed), per_class=200, local=400)


def moved(found, change):
    """The same local films with their log odds changed."""
    films = found.local_films
    return replace(found, local_films=replace(films, scores=expit(change(logit(films.scores)))))


def table(found, plan=PLAN, **more):
    return shift_table(rows(found, plan, evaluation=RULES, **more)).set_index(["measure", "subject"])


def test_statistic_is_the_recalibration_of_the_evaluation():
    rng = np.random.default_rng(0)
    label = (rng.random(300) < 0.4).astype(float)
    score = expit(2 * (label - 0.5) + rng.normal(size=300))
    ours, theirs = calibration_statistic(label, score, np.ones((1, 300))), recalibration(label, score, np.ones((1, 300)))
    assert ours[INTERCEPT] == pytest.approx(theirs["calibration_intercept"])
    assert ours[SLOPE] == pytest.approx(theirs["calibration_slope"], abs=1e-4)
    assert ours[RATIO] == pytest.approx(label.sum() / score.sum())


def test_nothing_planted_covers_zero_and_more_planted_moves_further():
    found = drawn()
    still = calibration_shift(found.global_films.matrix, found.local_films.matrix, plan=PLAN)
    for one in still.values():
        assert one.change.low <= 0 <= one.change.high
    changes = []
    for lift in (0.0, 1.0, 2.0):
        lifted = moved(found, lambda x, lift=lift: x + lift)
        changes.append(calibration_shift(lifted.global_films.matrix, lifted.local_films.matrix, plan=PLAN)[INTERCEPT].change)
    assert changes[0].value > changes[1].value > changes[2].value
    assert changes[2].low <= -2 + still[INTERCEPT].change.value <= changes[2].high
    assert changes[2].high < 0


@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_slope_is_the_inverse_of_sharpness_even_of_overconfident_scores(sharpness):
    found = drawn()
    sharp = moved(found, lambda x: sharpness * x)
    before, after = (calibration_shift(one.global_films.matrix, one.local_films.matrix, plan=PLAN)[SLOPE] for one in (found, sharp))
    assert after.here.value == pytest.approx(before.here.value / sharpness, rel=1e-2)
    assert (after.change.low > 0) if sharpness < 1 else (after.change.high < 0)


def test_the_global_threshold_loses_what_the_local_scores_have_lost():
    found = drawn()
    still, fallen = (threshold_transport(one, PLAN, evaluation=RULES) for one in (found, moved(found, lambda x: x - 2)))
    name = "sensitivity at sensitivity_0.90"
    assert still[name].change.low <= 0 <= still[name].change.high
    assert fallen[name].change.high < 0
    assert fallen["specificity at sensitivity_0.90"].change.low > 0
    assert fallen[name].change.value == pytest.approx(fallen[name].here.value - fallen[name].there.value)
    assert fallen[name].there.value == still[name].there.value


def test_a_carried_threshold_varies_with_validation_too():
    found = drawn()
    few = replace(found, global_val=found.global_val.take(np.r_[0:12, 200:230]))
    name = "sensitivity at sensitivity_0.90"
    widths = [threshold_transport(one, PLAN, evaluation=RULES)[name].here for one in (found, few)]
    assert widths[1].high - widths[1].low > widths[0].high - widths[0].low
    assert "threshold not established: 12 validation positives" in widths[1].note
    assert "not established" not in widths[0].note


def test_rows_hold_both_sides_and_their_difference():
    found = table(moved(drawn(), lambda x: x - 2))
    assert found.loc[(INTERCEPT, CHANGE), "verdict"] == "higher on the local side"
    assert found.loc[(SLOPE, CHANGE), "verdict"] == CANNOT_TELL
    assert found.loc[("sensitivity at sensitivity_0.90", CHANGE), "verdict"] == "lower on the local side"
    assert found.loc[(INTERCEPT, "local"), "unit"] == "log odds"
    assert "threshold from val/global" in found.loc[("sensitivity at sensitivity_0.90", "local"), "note"]


def test_score_says_what_it_is():
    """Trap T15: rescaled scores have no calibration; the kind of the others is told."""
    rescaled = shift_table(rows(drawn(), PLAN, evaluation=replace(RULES, score_kind="rescaled"))).set_index("measure")
    assert rescaled.loc["calibration shift", "verdict"] == "refused"
    assert INTERCEPT not in rescaled.index
    assert "raw scores" in table(drawn()).loc[(INTERCEPT, "local"), "note"]


def test_threshold_without_validation_is_not_identified():
    found = shift_table(rows(replace(drawn(), global_val=None), PLAN, evaluation=RULES)).set_index("measure")
    assert found.loc["threshold transport", "verdict"] == NOT_IDENTIFIED
    assert INTERCEPT in found.index


def test_a_positives_only_side_has_a_sensitivity_and_nothing_else():
    found = drawn(prevalence=0.5)
    films = found.local_films.take(found.local_films.label == 1)
    told = table(replace(found, local_films=films))
    assert np.isfinite(told.loc[("sensitivity at sensitivity_0.90", "local"), "low"])
    assert told.loc[("specificity at sensitivity_0.90", "local"), "verdict"] == NOT_IDENTIFIED
    assert told.loc[(SLOPE, "local"), "verdict"] == NOT_IDENTIFIED
    assert np.isnan(told.loc[(SLOPE, CHANGE), "value"])


def test_unlabelled_or_few_local_films_are_refused_with_the_number_needed():
    found = drawn()
    films = replace(found.local_films, label=np.full(400, np.nan))
    refused = shift_table(rows(replace(found, local_films=films), PLAN)).set_index("measure")
    assert refused.loc["calibration shift", "note"] == "0 labelled patients on the local side, 10 needed"
    assert refused.loc["threshold transport", "verdict"] == "refused"
