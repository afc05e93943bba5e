# SPDX-License-Identifier: Apache-2.0
"""The benchmark's truth adds up, each cause moves its own part alone, and answers are scored as they deserve."""

import numpy as np
import pandas as pd
import pytest

from medsetu.evaluation.metric import auroc_value
from medsetu.shift.counterfactual import (
    APPEARANCE,
    CASE_MIX,
    LABELS,
    MARKER,
    PARTS,
    PREVALENCE,
    Knobs,
    draw_pool,
    draw_world,
    score_submission,
    true_auroc,
    true_parts,
    truths,
    worlds,
)


@pytest.fixture(scope="module")
def pool():
    return draw_pool(patients=60, size=32)


def test_every_knob_alone_and_every_pair():
    assert [len(causes) for causes in worlds().values()] == [0] + [1] * 5 + [2] * 10


def test_parts_add_up_in_every_world(pool):
    knobs = Knobs()
    for name, active in worlds().items():
        lost = true_auroc(pool, knobs, active & {PREVALENCE}) - true_auroc(pool, knobs, active)
        assert sum(true_parts(pool, knobs, active).values()) == pytest.approx(lost, abs=1e-12), name


@pytest.mark.parametrize(("cause", "part"), [(CASE_MIX, 0), (APPEARANCE, 1), (MARKER, 1), (LABELS, 2)])
def test_a_cause_alone_moves_its_own_part(pool, cause, part):
    parts = true_parts(pool, Knobs(), frozenset({cause}))
    assert abs(parts[PARTS[part]]) > 0.005
    assert all(value == pytest.approx(0, abs=1e-12) for name, value in parts.items() if name != PARTS[part])


def test_the_true_auroc_is_what_a_very_large_cohort_shows(pool):
    knobs, active = Knobs(), frozenset({PREVALENCE, APPEARANCE, LABELS, CASE_MIX, MARKER})
    everyone = [draw_world(pool, knobs, active, patients=4000, seed=seed).local_films for seed in range(12)]  # thirds of the pool differ
    found = np.mean([auroc_value(films.label, films.scores[0]) for films in everyone])
    assert found == pytest.approx(true_auroc(pool, knobs, active), abs=0.04)
    assert np.mean([films.label.mean() for films in everyone]) == pytest.approx(0.25 * 0.88 + 0.75 * 0.12, abs=0.02)
    assert np.mean([(films.facts["view"] == "AP").mean() for films in everyone]) == pytest.approx(0.7, abs=0.05)


def test_the_two_sides_share_no_patient_and_a_seed_is_a_cohort(pool):
    one, same = (draw_world(pool, Knobs(), frozenset(), patients=50, seed=7) for _ in range(2))
    number = [{name.split()[1] for name in films.patient} for films in (one.global_films, one.global_val, one.local_films)]
    assert not (number[0] & number[1])
    assert not (number[0] & number[2])
    assert not (number[1] & number[2])
    np.testing.assert_array_equal(one.local_films.scores, same.local_films.scores)


def test_answers_are_scored(pool):
    truth = truths(pool, Knobs())
    value = truth["marker"]["appearance"]
    rows = [
        ("nothing", 0, "shift", 0.01, np.nan, np.nan, None),
        ("nothing", 1, "shift", 0.5, np.nan, np.nan, None),
        ("marker", 0, "appearance", value, value - 0.1, value + 0.1, None),
        ("marker", 1, "appearance", value, value + 0.1, value + 0.2, None),
        ("marker", 2, "appearance", np.nan, np.nan, np.nan, None),
        ("marker", 0, "cause", np.nan, np.nan, np.nan, "marker"),
        ("marker", 1, "cause", np.nan, np.nan, np.nan, "prevalence"),
        ("marker", 2, "cause", np.nan, np.nan, np.nan, "cannot tell"),
    ]
    scored = score_submission(
        pd.DataFrame(rows, columns=["world", "cohort", "measure", "value", "low", "high", "name"]), truth=truth
    ).set_index(["world", "measure"])
    assert scored.loc[("nothing", "shift"), "alarm"] == 0.5
    assert scored.loc[("marker", "appearance"), "covered"] == 0.5
    assert scored.loc[("marker", "appearance"), "answered"] == pytest.approx(2 / 3)
    assert scored.loc[("marker", "cause"), ["answered", "right", "wrong"]].tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3])
