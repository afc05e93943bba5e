# SPDX-License-Identifier: Apache-2.0
"""Importance weights: they move the global films towards the local ones, by no label, and are refused where nothing can be moved."""

from dataclasses import replace

import numpy as np
import pytest

from fakes.cohort import cohort, films
from medsetu.shift.importance import importance
from medsetu.shift.overlap import NO_OVERLAP
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(minimum_effective=20)


def made(*, ageing=0.0, apart=0.0, patients=100):
    """Both sides of many patients; local patients are older, local features lie apart."""
    val, local = films("global", patients=patients, seed=1), films("local", patients=patients)
    facts = local.facts.assign(age_years=local.facts["age_years"] + ageing)
    local = replace(local, facts=facts, features=local.features + np.float32(apart))
    return replace(cohort(), global_val=val, local_films=local)


def test_older_local_patients_make_old_global_films_count_more():
    there = made(ageing=10)
    found = importance(there, PLAN)
    age = there.global_val.facts["age_years"].to_numpy()
    weight = found.weight.loc[there.global_val.sample_id].to_numpy()
    assert found.verdict == ""
    assert weight.mean() == pytest.approx(1)
    assert age.mean() + 4 < np.average(age, weights=weight) < age.mean() + 16
    assert (found.images, found.labels) == (200, 0)


def test_no_shift_leaves_the_films_nearly_alike():
    assert importance(made(), PLAN).weight.std() < 0.6


def test_sides_apart_are_refused_with_the_number():
    found = importance(made(apart=50), PLAN)
    assert found.weight is None
    assert found.verdict == NO_OVERLAP
    assert found.note.startswith("domain AUROC 1.000 (limit 0.95)")


def test_labels_change_nothing():
    there = made(ageing=10)
    blind = replace(there, local_films=replace(there.local_films, label=np.full(200, np.nan)))
    assert importance(there, PLAN).weight.equals(importance(blind, PLAN).weight)


def test_local_validation_films_are_used_before_the_test():
    there = replace(made(), local_val=films("local", patients=60, seed=5))
    assert importance(there, PLAN).images == 120


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"global_val": None}, "no global validation films"),
        ({"global_val": films("global", patients=5)}, "fewer than 10 patients"),
    ],
)
def test_too_little_is_refused(change, reason):
    assert reason in importance(replace(made(), **change), PLAN).verdict


def test_nothing_measured_is_refused():
    there = made()
    bare = {
        name: replace(part, facts=part.facts[["site"]], features=None)
        for name, part in (("global_val", there.global_val), ("local_films", there.local_films))
    }
    assert "neither facts nor features" in importance(replace(there, **bare), PLAN).verdict
