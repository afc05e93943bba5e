# SPDX-License-Identifier: Apache-2.0
"""Subgroup gaps: the test of interaction, suppression, groups that cannot be assessed."""

from dataclasses import replace

import numpy as np
import pytest

from fakes.cohort import films
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.cohort import Cohort
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import shift_table
from medsetu.shift.subgroup import interaction, levels, subgroup_rows

PLAN = ShiftPlan(bootstrap=200)
EVALUATION = EvaluationPlan(primary="tuberculosis", groups=("sex",))


def side(name, *, patients=120, worse=0.0, seed=0, **facts):
    """Films of one seed whose women are told apart less well by ``worse``."""
    made = films(name, patients=patients, per_patient=2, seed=seed)
    sex = np.where((np.arange(patients) % 2 == 0)[np.repeat(np.arange(patients), 2)], "F", "M")
    logit = np.log(made.scores[:1] / (1 - made.scores[:1]))
    logit = logit - worse * (sex == "F") * (made.label - 0.5)
    return replace(made, scores=1 / (1 + np.exp(-logit)), seed=made.seed[:1], facts=made.facts.assign(sex=sex, **facts))


def made(**local):
    return Cohort("tuberculosis", "global-only", side("global"), side("local", **local))


def lines(cohort, *, evaluation=EVALUATION, plan=PLAN):
    return shift_table(subgroup_rows(cohort, plan, evaluation=evaluation, fitted=None)).set_index(["measure", "subject"])


def test_a_planted_interaction_is_found_and_none_is_not():
    table = lines(made(worse=2.0))
    test = table.loc[("interaction: auroc", "sex")]
    assert test["p_adjusted"] < 0.05
    assert test["verdict"] == "the gap differs"
    assert table.loc[("gap: auroc", "sex=F"), "value"] > table.loc[("gap: auroc", "sex=M"), "value"]
    assert lines(made()).loc[("interaction: auroc", "sex"), "verdict"] == "cannot tell"
    assert table.loc[("largest subgroup gap: auroc", "sex=F"), "verdict"].startswith("exploratory")


def test_false_alarms_of_the_interaction_are_near_alpha():
    p = [
        lines(Cohort("tb", "global-only", side("global", patients=60, seed=k), side("local", patients=60, seed=k + 500))).loc[
            ("interaction: auroc", "sex"), "p"
        ]
        for k in range(24)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.18  # 5 % + 3 standard errors
    assert np.mean(np.array(p) < 0.5) > 0.25


def test_small_groups_are_suppressed_without_their_size():
    table = lines(made(), plan=ShiftPlan(bootstrap=200, minimum_group=100))
    row = table.loc[("gap: auroc", "sex=F")]
    assert row["verdict"].startswith("suppressed: fewer than 100")
    assert np.isnan(row["value"])
    assert (row["n_global"], row["n_local"]) == (0, 0)


def test_a_minimum_of_zero_suppresses_nothing_that_exists():
    assert lines(made(), plan=ShiftPlan(bootstrap=50, minimum_group=0)).loc[("gap: auroc", "sex=F"), "n_local"] == 60


def test_empty_group_is_nan():
    """T18: NaN and n = 0, and the worst group skips it and says so."""
    cohort = made(sex_other=0)
    local = cohort.local_films
    facts = local.facts.assign(view=np.where(np.arange(len(local)) % 4 < 2, "PA", "lateral"))
    there = cohort.global_films.facts.assign(view=np.where(np.arange(len(cohort.global_films)) % 4 < 2, "PA", "AP"))
    cohort = replace(cohort, local_films=replace(local, facts=facts), global_films=replace(cohort.global_films, facts=there))
    table = lines(cohort, evaluation=EvaluationPlan(primary="tuberculosis", groups=("sex", "view")))
    row = table.loc[("gap: auroc", "view=AP")]
    assert np.isnan(row["value"])
    assert (row["n_local"], row["verdict"]) == (0, "not assessable: no film on the local side")
    assert "2 without an interval were skipped" in table.xs("largest subgroup gap: auroc")["note"].iloc[0]


@pytest.mark.parametrize("column", ["device", "view", "bits"])
def test_facts_that_are_absent_or_the_same_everywhere_are_not_assessable(column):
    row = lines(made(), evaluation=EvaluationPlan(primary="tuberculosis", groups=(column,))).loc[("gap: auroc", column)]
    assert row["verdict"].startswith("not assessable")


def test_sites_are_compared_with_the_whole_global_side():
    cohort = made()
    local = cohort.local_films
    facts = local.facts.assign(site=np.where(np.arange(len(local)) < len(local) // 2, "A", "B"))
    found = levels(replace(cohort, local_films=replace(local, facts=facts)), "site", evaluation=EVALUATION)
    assert [level.name for level in found] == ["site=A", "site=B"]
    assert all(level.global_rows.all() for level in found)


def test_age_is_cut_into_bands():
    cohort = made()
    found = levels(cohort, "age_years", evaluation=EvaluationPlan(primary="tuberculosis", age_bands=(40.0,)))
    assert [level.name for level in found] == ["age_years=0-39", "age_years=40+"]


def test_equal_gaps_without_spread_are_no_interaction():
    assert interaction(np.array([0.1, 0.1]), np.zeros((2, 2)), df=10) == 1.0
    assert np.isnan(interaction(np.array([0.1]), np.eye(1), df=10))
