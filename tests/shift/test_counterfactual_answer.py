# SPDX-License-Identifier: Apache-2.0
"""Our own answers come in the form of a submission, and a loud world is heard where a quiet one is not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes.pool import pool as fake_pool
from medsetu.shift.counterfactual import APPEARANCE, BEYOND, CASE_MIX, MEASURES, Knobs, truths, worlds
from medsetu.shift.counterfactual_answer import answers
from medsetu.shift.counterfactual_cohort import draw_world
from medsetu.shift.counterfactual_score import CAUSE, SHIFT, SUBMISSION, gates, score_submission
from medsetu.shift.plan import ShiftPlan

KNOBS = Knobs()
PLAN = ShiftPlan(bootstrap=40, permutations=199)


@pytest.fixture(scope="module")
def pool():
    return fake_pool()


@pytest.fixture(scope="module")
def submission(pool):
    key = dict.fromkeys(("nothing", APPEARANCE))
    found = [
        (world, *line)
        for seed, world in enumerate(key)
        for line in answers(draw_world(pool, KNOBS, worlds()[world], patients=150, seed=seed), PLAN)
    ]
    return pd.DataFrame(found, columns=SUBMISSION)


def test_every_question_is_answered_once(submission):
    for _, rows in submission.groupby("cohort"):
        assert sorted(rows["measure"]) == sorted((SHIFT, CAUSE, *MEASURES))


def test_a_loud_world_is_heard_and_named_and_a_quiet_one_is_quiet(submission, pool):
    key = {world: world for world in submission["cohort"]}  # one cohort of each world
    scored = score_submission(submission, key=key, truth=truths(pool, KNOBS))
    assert gates(scored, patients=150)
    table = scored.set_index(["world", "measure"])
    assert table.loc[("nothing", SHIFT), "alarm"] == 0
    assert table.loc[(APPEARANCE, SHIFT), "alarm"] == 1
    assert table.loc[[("nothing", CAUSE), (APPEARANCE, CAUSE)], "right"].tolist() == [1, 1]
    assert table.loc[(slice(None), "gap"), "covered"].tolist() == [1, 1]
    assert table.loc[(APPEARANCE, APPEARANCE), "answered"] == 0  # no overlap: refused, not guessed


def test_parts_that_are_given_add_up(pool):
    cohort = draw_world(pool, KNOBS, frozenset({CASE_MIX}), patients=150, seed=3)
    plan = replace(PLAN, minimum_effective=0)  # however few films the weights leave
    found = {measure: (value, low, high) for measure, value, low, high, _ in answers(cohort, plan)}
    assert found["gap"][0] == pytest.approx(found[CASE_MIX][0] + found[BEYOND][0], abs=1e-9)
    assert found[BEYOND][1] < found[BEYOND][0] < found[BEYOND][2]
    assert not np.isnan(found["label policy"][0])
