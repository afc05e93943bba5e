# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from contest.cohort import PLAN, contestants, field
from medsetu.contest.optimism import ARGMAX, NESTED, VALIDATION, optimism
from medsetu.evaluation.kernel import kernel_parts

EQUAL = {f"transfer:{name}": 1.5 for name in "abcdefgh"}


def test_validation_chooses_and_the_test_of_the_chosen_is_honest():
    made = contestants(field(EQUAL, per_class=26, val=10))
    found = optimism(made, PLAN)
    assert found.method == VALIDATION
    wanted = {}
    for one in made:
        val = one.validation
        wanted[one.name] = (kernel_parts(val["label"], val["score"]).auroc[0], one.parts.auroc[0])
    chosen = max(wanted, key=lambda name: wanted[name][0])
    best = max(wanted, key=lambda name: wanted[name][1])
    assert (found.honest, found.apparent) == pytest.approx((wanted[chosen][1], wanted[best][1]))
    assert (found.winner, found.chosen) == (best, ((chosen, 1),))
    assert found.optimism == pytest.approx(found.apparent - found.honest)


def test_outer_folds_choose_anew_in_every_fold_of_every_seed():
    found = optimism(contestants(field(EQUAL, per_class=25, val=40, folds=5, seeds=2)), PLAN)
    assert found.method == NESTED
    assert sum(count for _, count in found.chosen) == 10
    assert found.optimism >= 0


def test_one_that_is_far_better_is_chosen_everywhere_and_is_not_flattered():
    found = optimism(contestants(field({"transfer:a": 4.0, "transfer:b": 0.0}, val=40, folds=2)), PLAN)
    assert found.chosen == (("transfer:a", 2),)
    assert found.optimism == pytest.approx(0.0)


def test_test_scores_alone_are_bootstrapped():
    found = optimism(contestants(field(EQUAL, per_class=26, seeds=2)), PLAN)
    assert found.method == ARGMAX
    assert 0 < found.optimism <= found.equal < 0.1
    assert found.honest == pytest.approx(found.apparent - found.optimism)
    assert sum(count for _, count in found.chosen) == PLAN.bootstrap


def test_the_bootstrap_of_the_argmax_tells_the_size_of_the_flattery():
    """Equal contestants: the best of them is told to be flattered by what it truly is, to a fifth; the plain bootstrap says half of it."""
    gained, told, bound = [], [], []
    for seed in range(12):
        made = contestants(field(EQUAL, per_class=26, noise=1.0, seed=seed))
        found = optimism(made, replace(PLAN, bootstrap=200))
        gained.append(found.apparent - float(np.mean([one.parts.auroc[0] for one in made])))
        told.append(found.optimism)
        bound.append(found.equal)
    assert np.mean(told) == pytest.approx(np.mean(gained), rel=0.2)
    assert np.mean(bound) == pytest.approx(np.mean(gained), rel=0.2)


def test_an_external_side_and_missing_models_are_bootstrapped():
    table = field({"a": 1.5, "b": 1.0}, val=20)
    assert optimism(contestants(table[~((table["arm"] == "b") & (table["split"] == "val"))]), PLAN).method == ARGMAX
    assert optimism(contestants(table), replace(PLAN, side="external: x")).method == ARGMAX


def test_nothing_to_estimate_says_why():
    made = contestants(field({"a": 1.5, "b": 1.0}))
    assert optimism(made, replace(PLAN, bootstrap=0)).note == "no resamples were asked for"
    one_class = field({"a": 1.5, "b": 1.0}).assign(label=1.0)
    assert optimism(contestants(one_class), PLAN).note == "a contestant has no AUROC"
