# SPDX-License-Identifier: Apache-2.0
"""What counts as measured: a fact on both sides, features of both sides; residuals, refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scripts.gate_explain import World

from medsetu.shift.measured import appearance, beyond, case_mix, components_for, labelled
from medsetu.shift.plan import ShiftPlan

COHORT = World("toy").cohort((80, 60), rng=np.random.default_rng(0))
SIDES = (COHORT.global_films, COHORT.local_films)


def with_facts(first: pd.DataFrame, second: pd.DataFrame):
    return replace(SIDES[0], facts=first), replace(SIDES[1], facts=second)


def test_a_fact_known_on_one_side_only_is_not_measured():
    sides = with_facts(SIDES[0].facts.assign(sex="F"), SIDES[1].facts.assign(sex=""))
    assert case_mix(sides).names == ("age_years",)
    assert not case_mix(with_facts(pd.DataFrame(index=range(80)), pd.DataFrame(index=range(60))))


def test_missing_ages_are_marked_and_columns_hold_no_nan():
    facts = SIDES[0].facts.copy()
    facts.loc[:9, "age_years"] = np.nan
    found = case_mix(with_facts(facts, SIDES[1].facts))
    assert found.both.shape == (140, 3)  # age, its square, the mark
    assert np.isfinite(found.both).all()
    assert found.both.std(axis=0) == pytest.approx(1.0)


def test_rare_views_are_one_category():
    view = ["PA"] * 60 + ["AP"] * 17 + ["LL", "RL", ""]
    found = case_mix(with_facts(pd.DataFrame({"view": view}), pd.DataFrame({"view": ["PA"] * 40 + ["AP"] * 20})))
    assert found.both.shape[1] == 2  # AP and other, against PA


def test_appearance_needs_features_of_both_sides():
    assert not appearance((SIDES[0], replace(SIDES[1], features=None)), components=3)
    assert appearance(SIDES, components=3).both.shape == (140, 3)
    constant = tuple(replace(films, features=np.ones((len(films), 4), np.float32)) for films in SIDES)
    assert not appearance(constant, components=3)


def test_residual_appearance_holds_nothing_of_the_facts_within_class():
    age = SIDES[0].facts["age_years"].to_numpy(np.float32)[:, None], SIDES[1].facts["age_years"].to_numpy(np.float32)[:, None]
    mixed = tuple(replace(films, features=films.features + part / 10) for films, part in zip(SIDES, age, strict=True))
    facts = case_mix(mixed)
    left = beyond(appearance(mixed, components=4), facts, sides=mixed)
    group = np.concatenate([films.label + 2 * number for number, films in enumerate(mixed)])
    centred = []
    for part in (left.both, facts.both):
        means = np.array([part[group == name].mean(axis=0) for name in range(4)])
        centred.append(part - means[group.astype(int)])
    assert np.abs(centred[0].T @ centred[1]).max() / len(group) < 1e-9


def test_components_follow_the_smallest_class():
    assert components_for(SIDES) == 3


def test_sides_are_refused_with_the_number_it_takes():
    plan = ShiftPlan()
    assert labelled(COHORT, plan)[1] == ""
    few = replace(COHORT, local_films=COHORT.local_films.take(np.arange(5)))
    assert labelled(few, plan)[1] == "5 labelled patients on the local side, 10 needed"
    single = replace(COHORT, local_films=COHORT.local_films.take(COHORT.local_films.label == 1))
    assert labelled(single, plan)[1] == "the local side holds one class only"
    strange = replace(COHORT, local_films=replace(COHORT.local_films, seed=np.array([9])))
    assert labelled(strange, plan)[1] == "the sides share no training seed"
