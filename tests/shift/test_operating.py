# SPDX-License-Identifier: Apache-2.0
"""Thresholds come from the global validation films and from nowhere else."""

from dataclasses import replace

import numpy as np

from fakes.cohort import cohort
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.operating import draws, fixed, transported
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=100)
EVALUATION = EvaluationPlan(primary="tuberculosis", sensitivity_targets=(0.9,), specificity_targets=(), youden=True)


def test_permuting_test_labels_leaves_the_thresholds_unchanged():
    made = cohort()
    local = replace(made.local_films, label=made.local_films.label[::-1])
    first, second = (transported(one, PLAN, evaluation=EVALUATION) for one in (made, replace(made, local_films=local)))
    assert [one.value for one in first] == [one.value for one in second]
    assert {one.origin for one in first} == {"val/global"}
    assert [one.rule.name for one in first] == ["sensitivity_0.90", "youden"]


def test_the_target_is_reached_on_validation_by_every_seed():
    made = cohort()
    fitted = transported(made, PLAN, evaluation=EVALUATION)[0]
    val = made.global_val
    for seed, scores in zip(val.seed, val.scores, strict=True):
        assert (scores[val.label == 1] >= fitted.value[int(seed), -1]).mean() >= 0.9


def test_without_validation_there_is_no_threshold():
    assert transported(replace(cohort(), global_val=None), PLAN, evaluation=EVALUATION) == []


def test_a_seed_without_threshold_is_told():
    made = cohort()
    fitted = transported(made, PLAN, evaluation=EVALUATION)[0]
    strange = replace(made.local_films, seed=np.array([7, 8]))
    assert draws(strange, fitted, plan=PLAN, stream=0) == (None, "a model has no scores on val/global")


def test_a_given_threshold_of_zero_calls_everyone():
    films = cohort().local_films
    drawn, reason = draws(films, fixed(films, value=0.0), plan=PLAN, stream=0)
    assert reason == ""
    assert (drawn.ratios["sensitivity"].value, drawn.ratios["specificity"].value) == (1.0, 0.0)


def test_streams_differ_and_repeat():
    films = cohort().local_films
    fitted = transported(cohort(), PLAN, evaluation=EVALUATION)[0]
    one, same, other = (draws(films, fitted, plan=PLAN, stream=stream)[0].patients["sensitivity"] for stream in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
