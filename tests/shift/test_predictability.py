# SPDX-License-Identifier: Apache-2.0
"""Features that know the scanner are found, noise is not, and no patient teaches his own test."""

import math

import numpy as np
import pytest

from medsetu.shift.plan import ShiftPlan
from medsetu.shift.predictability import draw_patients, patient_folds, predictability

PLAN = ShiftPlan(bootstrap=200)


def features(rng, category, *, shift, width=32):
    return rng.normal(size=(category.size, width)) + shift * np.eye(width)[np.unique(category, return_inverse=True)[1]]


def test_two_scanners_are_told_apart_by_auroc():
    rng = np.random.default_rng(0)
    scanner = np.array(["a", "b"])[np.arange(120) % 2]
    known = predictability(features(rng, scanner, shift=2.0), scanner, cluster=np.arange(120), plan=PLAN)
    assert known.low > 0.8
    assert "logit" in known.method


def test_three_scanners_by_balanced_accuracy():
    scanner = np.repeat(["a", "b", "c"], [30, 60, 90])
    found = predictability(features(np.random.default_rng(1), scanner, shift=2.5), scanner, cluster=np.arange(180), plan=PLAN)
    assert found.low > 1 / 3
    assert found.method.startswith("balanced accuracy")
    assert "chance 0.333" in found.note


def test_noise_is_seldom_knowledge():
    rng, false = np.random.default_rng(2), 0
    for _ in range(60):
        scanner = np.array(["a", "b"])[rng.permutation(np.arange(60) % 2)]
        false += predictability(features(rng, scanner, shift=0.0), scanner, cluster=np.arange(60), plan=PLAN).low > 0.5
    assert false <= 6


def test_a_patient_does_not_teach_his_own_test():
    """Features that know the patient and nothing else: films of one patient in training would give the scanner away."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(40), 5)
    scanner = np.array(["a", "b"])[rng.permutation(np.arange(40) % 2)][patient]
    table = (3 * rng.normal(size=(40, 64)))[patient] + 0.1 * rng.normal(size=(200, 64))
    assert predictability(table, scanner, cluster=patient, plan=PLAN).low < 0.5


def test_a_small_side_keeps_its_films_beside_a_large_one():
    """Drawn together, a dozen films among thousands would be lost, and with them the answer."""
    side = np.repeat(["global", "local"], [6000, 12])
    table = features(np.random.default_rng(5), side, shift=3.0, width=4)
    found = predictability(table, side, cluster=np.arange(side.size), plan=PLAN)
    assert (found.n_samples, found.n_positive) == (1012, 12)
    assert found.low > 0.5
    assert "1012 of 6012 films" in found.note


def test_a_category_of_which_one_patient_can_be_drawn_is_refused():
    side, patient = np.repeat(["a", "b"], [2500, 1500]), np.r_[np.repeat(np.arange(10), 250), np.repeat(np.arange(10, 20), 150)]
    large = np.where(patient == 3, 0, patient)
    found = predictability(np.zeros((4000, 2)), side, cluster=large, plan=PLAN)
    assert found.n_samples <= 2000
    lone = predictability(
        np.zeros((9020, 2)), np.repeat(["a", "b"], [20, 9000]), cluster=np.r_[0:20, 20 + np.arange(9000) // 900], plan=PLAN
    )
    assert math.isnan(lone.value)
    assert "fewer than two patients" in lone.note


def test_small_categories_leave_and_fewer_than_two_are_refused():
    scanner = np.repeat(["a", "b", "c", ""], [40, 40, 3, 20])
    found = predictability(features(np.random.default_rng(4), scanner, shift=2.0), scanner, cluster=np.arange(103), plan=PLAN)
    assert found.n_samples == 80
    alone = predictability(np.zeros((40, 4)), np.repeat("a", 40), cluster=np.arange(40), plan=PLAN)
    assert math.isnan(alone.value)
    assert "fewer than two" in alone.note


def test_constant_features_know_nothing():
    found = predictability(np.zeros((60, 4)), np.array(["a", "b"])[np.arange(60) % 2], cluster=np.arange(60), plan=PLAN)
    assert not found.low > 0.5


def test_folds_keep_patients_whole():
    patient = np.repeat(np.arange(20), 3)
    fold = patient_folds(patient % 2, patient, seed=0)
    assert all(np.unique(fold[patient == one]).size == 1 for one in range(20))
    assert np.unique(fold).size == 5
    assert not patient_folds([0, 0, 1], [0, 1, 2], seed=0).any()


@pytest.mark.parametrize("most", [0, 7, 59, 60])
def test_whole_patients_are_drawn(most):
    patient = np.repeat(np.arange(20), 3)
    kept = draw_patients(patient, most=most, seed=0)
    assert kept.size == most // 3 * 3
    assert np.isin(patient, patient[kept]).sum() == kept.size
