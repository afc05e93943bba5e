# SPDX-License-Identifier: Apache-2.0
"""Answers are scored as they deserve: skipping is not answering, silence is not wrong, and a gate knows its Monte-Carlo error."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.shift.counterfactual import worlds
from medsetu.shift.counterfactual_score import SUBMISSION, gates, judge, score_submission, truth_of, truth_table

KEY = {"c0": "nothing", "c1": "nothing", "c2": "marker", "c3": "marker", "c4": "marker"}
TRUTH = {"nothing": {"appearance": 0.0}, "marker": {"appearance": 0.1}}
NAN = np.nan


def submission(*rows):
    return pd.DataFrame(rows, columns=SUBMISSION)


def scored(*rows):
    return score_submission(submission(*rows), key=KEY, truth=TRUTH).set_index(["world", "measure"])


@pytest.mark.parametrize(
    ("world", "name", "verdict"),
    [
        ("nothing", "no shift found", "right"),
        ("nothing", "prevalence", "wrong"),
        ("nothing", "several", "wrong"),
        ("nothing", "cannot tell", "silent"),
        ("marker", "covariate", "right"),
        ("marker", "appearance", "right"),  # both are covariate shift
        ("marker", "no shift found", "silent"),
        ("marker", "prevalence and covariate", "wrong"),
        ("prevalence + case mix", "prevalence and covariate", "right"),
        ("prevalence + case mix", "prevalence", "partial"),
        ("prevalence + case mix", "several", "partial"),
        ("prevalence + label noise", "several", "right"),
        ("prevalence + label noise", "label noise + prevalence", "right"),
        ("case mix + appearance", "covariate", "right"),
        ("case mix + appearance", "several", "wrong"),  # one coarse cause
    ],
)
def test_names(world, name, verdict):
    assert judge(name, world) == verdict


def test_every_world_can_be_named():
    assert {judge(world, world) for world in worlds()} == {"right"}


def test_alarms_names_and_coverage_are_counted():
    found = scored(
        ("c0", "shift", 0.01, NAN, NAN, ""),
        ("c1", "shift", 0.5, NAN, NAN, ""),
        ("c2", "appearance", 0.1, 0.0, 0.2, ""),
        ("c3", "appearance", 0.3, 0.2, 0.4, ""),
        ("c4", "appearance", NAN, NAN, NAN, ""),
        ("c2", "cause", NAN, NAN, NAN, "covariate"),
        ("c3", "cause", NAN, NAN, NAN, "prevalence"),
        ("c4", "cause", NAN, NAN, NAN, "cannot tell"),
    )
    assert found.loc[("nothing", "shift"), "alarm"] == 0.5
    assert found.loc[("marker", "appearance"), ["answered", "covered", "bias"]].tolist() == pytest.approx([2 / 3, 0.5, 0.1])
    assert found.loc[("marker", "cause"), ["answered", "right", "wrong"]].tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3])


def test_a_cohort_that_was_skipped_counts_as_not_answered():
    found = scored(("c2", "cause", NAN, NAN, NAN, "covariate"), ("c2", "shift", 0.01, NAN, NAN, ""))
    assert found.loc[("marker", "cause"), "right"] == pytest.approx(1 / 3)
    assert found.loc[("marker", "shift"), "alarm"] == pytest.approx(1 / 3)


def test_a_part_that_is_exactly_nothing_is_covered_in_spite_of_rounding():
    assert scored(("c0", "appearance", 1e-17, 1e-17, 1e-17, "")).loc[("nothing", "appearance"), "covered"] == 1


@pytest.mark.parametrize(
    "row", [("c9", "shift", 0.1, NAN, NAN, ""), ("c0", "guess", 0.1, NAN, NAN, ""), ("c0", "cause", NAN, NAN, NAN, "weather")]
)
def test_what_the_benchmark_does_not_know_is_named(row):
    with pytest.raises(DataError, match="unknown"):
        scored(row)


def test_two_answers_to_one_question_and_missing_columns_are_refused():
    row = ("c0", "shift", 0.1, NAN, NAN, "")
    with pytest.raises(DataError, match="twice"):
        scored(row, row)
    with pytest.raises(DataError, match="'low' is missing"):
        score_submission(submission(row).drop(columns="low"), key=KEY, truth=TRUTH)


def test_gates_say_what_they_can():
    rows = [("marker", "appearance", cohorts, 0.1, NAN, 1.0, covered, NAN, NAN, 0.0) for cohorts, covered in ((4000, 0.95),)]
    rows += [("nothing", "shift", 20, NAN, 0.05, 1.0, NAN, NAN, NAN, NAN), ("marker", "shift", 20, NAN, 0.9, 1.0, NAN, NAN, NAN, NAN)]
    rows += [("marker", "cause", 4000, NAN, NAN, 1.0, NAN, 0.5, 0.2, NAN), ("nothing", "cause", 4000, NAN, NAN, 1.0, NAN, 0.95, 0.01, NAN)]
    columns = ["world", "measure", "cohorts", "truth", "alarm", "answered", "covered", "right", "wrong", "bias"]
    found = {gate.name: gate for gate in gates(pd.DataFrame(rows, columns=columns), patients=150)}
    assert found["coverage: appearance"].verdict == "met"
    assert (found["false alarm, films alike"].answers, found["false alarm, films alike"].verdict) == (20, "met, within Monte-Carlo error")
    assert found["right name, worst: marker"].verdict == "missed"
    assert found["right name, all worlds"].share == pytest.approx(0.725)
    assert found["wrong name, worst: marker"].share == 0.2


def test_few_patients_may_cover_less():
    columns = ["world", "measure", "cohorts", "truth", "alarm", "answered", "covered", "right", "wrong", "bias"]
    table = pd.DataFrame([("marker", "gap", 8000, 0.1, NAN, 1.0, 0.92, NAN, NAN, 0.0)], columns=columns)
    assert [gates(table, patients=size)[0].verdict for size in (30, 150)] == ["met", "missed"]


def test_simultaneous_parts_may_cover_more():
    columns = ["world", "measure", "cohorts", "truth", "alarm", "answered", "covered", "right", "wrong", "bias"]
    rows = [("marker", measure, 8000, 0.1, NAN, 1.0, 0.99, NAN, NAN, 0.0) for measure in ("gap", "appearance")]
    assert [gate.verdict for gate in gates(pd.DataFrame(rows, columns=columns), patients=150)] == ["missed", "met"]


def test_truth_survives_its_table():
    assert truth_of(truth_table(TRUTH)) == TRUTH
