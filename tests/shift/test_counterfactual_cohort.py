# SPDX-License-Identifier: Apache-2.0
"""Cohorts follow their world, a seed is a cohort, and what was written is what a peer reads."""

import numpy as np
import pandas as pd
import pytest

from fakes.pool import pool as fake_pool
from medsetu.evaluation.metric import auroc_value
from medsetu.shift.counterfactual import APPEARANCE, CASE_MIX, CAUSES, LABELS, Knobs, true_auroc
from medsetu.shift.counterfactual_cohort import FEATURES, SCORES, VOTES, draw_world, read_cohort, write_cohort

KNOBS = Knobs()


@pytest.fixture(scope="module")
def pool():
    return fake_pool()


def test_a_large_cohort_shows_the_true_values(pool):
    active = frozenset(CAUSES)
    films = draw_world(pool, KNOBS, active, patients=60_000, seed=1).local_films
    assert auroc_value(films.label, films.scores[0]) == pytest.approx(true_auroc(pool, KNOBS, active), abs=0.01)
    assert films.label.mean() == pytest.approx(0.25 * 0.88 + 0.75 * 0.12, abs=0.01)
    assert (films.facts["view"] == "AP").mean() == pytest.approx(0.7, abs=0.01)
    assert (films.votes[:, 0] != films.label).mean() == pytest.approx(0.12, abs=0.01)


def test_no_film_stands_on_two_sides_and_a_seed_is_a_cohort(pool):
    one, same, other = (draw_world(pool, KNOBS, frozenset({CASE_MIX}), patients=50, seed=seed) for seed in (7, 7, 8))
    names = [name for films in (one.global_films, one.global_val, one.local_films) for name in films.patient]
    assert len(set(names)) == 150
    np.testing.assert_array_equal(one.local_films.scores, same.local_films.scores)
    assert (one.local_films.scores != other.local_films.scores).any()


def test_causes_act_on_the_local_side_only(pool):
    quiet, loud = (draw_world(pool, KNOBS, active, patients=50, seed=3) for active in (frozenset(), frozenset({APPEARANCE, LABELS})))
    np.testing.assert_array_equal(quiet.global_films.scores, loud.global_films.scores)
    np.testing.assert_array_equal(quiet.global_val.label, loud.global_val.label)
    assert (quiet.local_films.scores != loud.local_films.scores).any()


def test_what_was_written_is_what_is_read(pool, tmp_path):
    cohort = draw_world(pool, KNOBS, frozenset({LABELS}), patients=40, seed=2)
    again = read_cohort(write_cohort(cohort, tmp_path))
    for side in ("global_films", "global_val", "local_films"):
        wrote, read = getattr(cohort, side), getattr(again, side)
        np.testing.assert_array_equal(read.sample_id, wrote.sample_id)
        np.testing.assert_array_equal(read.label, wrote.label)
        np.testing.assert_allclose(read.scores, wrote.scores, atol=1e-6)
        np.testing.assert_allclose(read.features, wrote.features, atol=1e-4)
        np.testing.assert_array_equal(read.votes, wrote.votes)
        assert read.facts["view"].tolist() == wrote.facts["view"].tolist()


def test_a_peer_may_go_without_features_and_votes(pool, tmp_path):
    write_cohort(draw_world(pool, KNOBS, frozenset(), patients=20, seed=2), tmp_path)
    (tmp_path / FEATURES).unlink()
    (tmp_path / VOTES).unlink()
    assert read_cohort(tmp_path).local_films.features is None
    columns = {"sample_id", "patient_id", "domain", "split", "score", "label", "sex", "age_years", "view"}
    assert set(pd.read_csv(tmp_path / SCORES).columns) == columns
