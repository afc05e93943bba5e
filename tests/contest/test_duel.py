# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from contest.cohort import PLAN, contestants, delong88, field
from medsetu.contest.duel import MOST, auroc_duel, auroc_of, films_needed, joint_delong, seeds_needed
from medsetu.evaluation.delong import difference_from
from medsetu.shift.power import sample_size


def _parts(pair):
    return pair[0].parts, pair[1].parts, (pair[0].matrix.seed, pair[1].matrix.seed)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("per_class", [15, 60])
def test_the_p_value_belongs_to_the_interval(seeds, per_class):
    """At the level 1 - p the interval of ``difference_from`` ends at zero; at the level of TOST it ends at the margin."""
    pair = contestants(field({"a": 2.0, "b": 1.5}, per_class=per_class, seeds=seeds, seed=4))
    duel = auroc_duel(*pair, PLAN)
    a, b, seed = _parts(pair)

    def ends(level):
        found = difference_from(a, b, paired=True, seeds=seed, level=level)
        return np.array([found.low, found.high])

    assert (duel.low, duel.high) == pytest.approx(tuple(ends(0.95)), abs=1e-12)
    assert np.abs(ends(1 - duel.p)).min() == pytest.approx(0.0, abs=1e-7)
    assert 0 < duel.p < 1
    one_sided = min(duel.p_equivalent, 1 - duel.p_equivalent)
    assert np.abs(np.abs(ends(1 - 2 * one_sided)) - PLAN.margin).min() == pytest.approx(0.0, abs=1e-7)
    assert (duel.p <= 0.05) == (duel.low > 0 or duel.high < 0)
    assert (duel.p_equivalent <= 0.025) == (duel.low > -PLAN.margin and duel.high < PLAN.margin)


def test_turning_a_pair_turns_the_sign_and_nothing_else():
    pair = contestants(field({"a": 2.0, "b": 1.0}, seeds=2))
    one, other = auroc_duel(*pair, PLAN), auroc_duel(*pair[::-1], PLAN)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert (one.p, one.p_equivalent, one.power) == pytest.approx((other.p, other.p_equivalent, other.power))


def test_identical_contestants_are_equal_for_certain():
    table = field({"a": 1.0, "b": 1.0})
    same = table[table["arm"] == "a"]
    twin = contestants(pd.concat([same, same.assign(arm="b")], ignore_index=True))
    duel = auroc_duel(*twin, PLAN)
    assert (duel.value, duel.low, duel.high, duel.p, duel.p_equivalent) == (0.0, 0.0, 0.0, 1.0, 0.0)
    assert (duel.test_value, duel.test_p) == (0.0, 1.0)


def test_a_difference_beyond_every_level_has_the_smallest_p():
    duel = auroc_duel(*contestants(field({"a": 6.0, "b": 0.0}, per_class=400)), PLAN)
    assert duel.p == 1e-12
    assert duel.p_equivalent == pytest.approx(1.0)


def test_delong_is_quoted_for_single_models_only():
    single = auroc_duel(*contestants(field({"a": 2.0, "b": 1.0})), PLAN)
    several = auroc_duel(*contestants(field({"a": 2.0, "b": 1.0}, seeds=3)), PLAN)
    assert single.test == "DeLong 1988"
    z = math.sqrt(single.test_value)
    assert single.test_p == pytest.approx(2 * norm.sf(z))
    assert single.test_high - single.value == pytest.approx(single.value / z * norm.ppf(0.975))
    assert math.isnan(several.test_p)
    assert several.claim == "this recipe on these films, 3 seeds: descriptive"


def test_too_few_patients_get_no_interval_and_no_test():
    duel = auroc_duel(*contestants(field({"a": 2.0, "b": 1.0}, per_class=9)), PLAN)
    assert duel.value == duel.value
    assert all(math.isnan(value) for value in (duel.low, duel.p, duel.p_equivalent, duel.power, duel.n_per_class))
    assert "fewer than 10" in duel.note


def test_the_size_is_that_of_the_planner_where_seeds_add_nothing():
    for smallest, wanted in ((0.05, 88), (0.03, 252)):
        assert films_needed(replace(PLAN, smallest=smallest), auroc=0.91, correlation=0.7) == pytest.approx(wanted, rel=0.1)
    assert films_needed(PLAN, auroc=0.85, correlation=0.6) == sample_size(0.05, auroc=0.85, correlation=0.6)
    assert films_needed(PLAN, auroc=0.85, correlation=0.6, extra=0.0001) > films_needed(PLAN, auroc=0.85, correlation=0.6)
    assert films_needed(PLAN, auroc=0.85, correlation=0.6, level=0.999) > films_needed(PLAN, auroc=0.85, correlation=0.6)


def test_no_number_of_films_takes_the_noise_of_the_seeds_away():
    assert math.isnan(films_needed(PLAN, auroc=0.85, correlation=0.6, extra=0.05**2))
    assert math.isnan(films_needed(PLAN, auroc=1.0, correlation=0.6))
    assert films_needed(replace(PLAN, smallest=0.001), auroc=0.85, correlation=0.6) < MOST


def test_single_values_and_the_joint_test_are_those_of_delong_1988():
    made = contestants(delong88())
    printed = {"alb": (0.736559, 0.092694), "tp": (0.647849, 0.100047), "kg": (0.725806, 0.102822)}
    for one in made:
        assert auroc_of(one, PLAN).value == pytest.approx(printed[one.name][0], abs=5e-7)
        assert math.sqrt(one.parts.variance()[0]) == pytest.approx(printed[one.name][1], abs=5e-7)
    chi2, freedom, p = joint_delong(made)
    assert (chi2, freedom, p) == pytest.approx((2.533978, 2, 0.281678), abs=5e-7)


def test_seeds_enough_leave_room_for_films():
    variance = 0.05**2
    seeds = seeds_needed(PLAN, variance=variance)
    assert math.isnan(films_needed(PLAN, auroc=0.85, correlation=0.6, extra=variance / (seeds // 2 - 1)))
    assert films_needed(PLAN, auroc=0.85, correlation=0.6, extra=variance / seeds) == pytest.approx(
        2 * films_needed(PLAN, auroc=0.85, correlation=0.6), rel=0.1
    )
    assert seeds_needed(PLAN, variance=0.0) == 1


@pytest.mark.parametrize(("seeds", "per_class"), [(1, 52), (3, 52), (5, 52), (3, 200)])
@pytest.mark.parametrize("skill", [2.0, 1.98])
def test_power_and_films_needed_do_not_contradict_each_other(seeds, per_class, skill):
    """Nearly equal contestants have intervals wider than their correlation promises: the films needed must know it."""
    pair = contestants(field({"a": 2.0, "b": skill}, per_class=per_class, seeds=seeds, seed=3))
    for smallest in (0.01, 0.03, 0.05, 0.1, 0.2):
        duel = auroc_duel(*pair, replace(PLAN, smallest=smallest))
        assert duel.widening >= 1
        enough = not math.isnan(duel.n_per_class) and duel.n_per_class <= per_class
        assert (duel.power >= PLAN.power) == enough or duel.widening == 1
