# SPDX-License-Identifier: Apache-2.0
"""Weights against scikit-learn and closed forms; simultaneous intervals hold together; seeds widen without breaking sums."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medsetu.shift.weigh import class_moments, effective_patients, fit_logistic, imbalance, seed_shares, simultaneous, tilt


def test_weighted_logistic_equals_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] + rng.normal(size=120) > 0).astype(float)
    weight = rng.integers(0, 3, (2, 120)).astype(float)
    ridge = 0.01
    for found, row in zip(fit_logistic(x, y, weight=weight, ridge=ridge), weight, strict=True):
        model = LogisticRegression(C=1 / (ridge * row.sum()), tol=1e-10, max_iter=1000).fit(x, y, sample_weight=row)
        assert found == pytest.approx(np.r_[model.intercept_, model.coef_[0]], abs=1e-4)


def test_separated_classes_stay_finite():
    x = np.r_[np.full(10, -1.0), np.full(10, 1.0)][:, None]
    line = fit_logistic(x, (x[:, 0] > 0).astype(float), weight=np.ones((1, 20)))
    assert np.isfinite(line).all()
    assert line[0, 1] > 3


def test_tilt_of_a_normal_is_exponential_in_the_shift():
    # N(0, 1) to N(0.5, 1): the log weight is 0.5 x
    x = np.random.default_rng(1).normal(size=(20_000, 1))
    y = np.r_[np.zeros(10_000), np.ones(10_000)]
    weight = tilt(x, y, weight=np.ones((1, 20_000)), target=np.array([[0.5]]))
    slope = np.polyfit(x[y == 1, 0], np.log(weight[0, y == 1]), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.03)
    assert imbalance(x, y, weight=weight, target=np.array([[0.5]])) < 0.005


def test_target_out_of_reach_is_seen_as_imbalance():
    x, y = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    weight = tilt(x, y, weight=np.ones((1, 4)), target=np.array([[3.0]]))
    assert np.isfinite(weight).all()
    assert imbalance(x, y, weight=weight, target=np.array([[3.0]])) > 1.9


def test_moments_do_not_move_with_prevalence():
    x, y = np.array([[1.0], [3.0]]), np.array([0.0, 1.0])
    assert class_moments(x, y, weight=np.array([[1.0, 1.0], [1.0, 9.0]])).tolist() == [[2.0], [2.0]]


def test_effective_patients_counts_patients_not_films():
    assert effective_patients(np.ones(40), cluster=np.repeat(np.arange(10), 4)) == pytest.approx(10)
    assert effective_patients([9.0, 1.0], cluster=[0, 1]) == pytest.approx(100 / 82)
    assert effective_patients([0.0], cluster=[0]) == 0.0


def test_seed_shares_carry_the_variance_of_the_mean_over_seeds():
    shares = seed_shares(30, replicates=20_000, seed=0)
    values = np.random.default_rng(2).normal(size=30)
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (shares @ values).var() == pytest.approx(values.var(ddof=1) / 30 * 29 / 27, rel=0.05)  # variance of t with 29 degrees


def test_simultaneous_intervals_hold_together():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        value = rng.normal(size=3)
        band = simultaneous(value, value[:, None] + rng.normal(size=(3, 400)), level=0.95)
        inside.append(bool(((band.low <= 0) & (band.high >= 0)).all()))
    assert 0.92 <= np.mean(inside) <= 0.98


def test_a_part_that_never_moves_has_no_width_and_few_resamples_give_none():
    draws = np.vstack([np.zeros(100), np.random.default_rng(0).normal(size=100)])
    band = simultaneous(np.zeros(2), draws, level=0.95)
    assert (band.low[0], band.high[0]) == (0.0, 0.0)
    assert band.high[1] > 1.5
    assert np.isnan(simultaneous(np.zeros(1), np.zeros((1, 0)), level=0.95).low).all()


def test_a_target_out_of_reach_in_one_class_leaves_finite_weights_in_both():
    x, y = np.array([0.0, 0.1, 0.0, 1.0, 1.01]), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    columns = np.column_stack([x * (y == 0), x * (y == 1)])
    weight = tilt(columns, y, weight=np.ones((1, 5)), target=np.array([[0.025, 40.0]]))
    assert weight[0, y == 0] == pytest.approx([0.25, 0.25], abs=0.01)
    assert weight[0, y == 1].sum() == pytest.approx(0.5)
    assert weight[0, 2] < 1e-6
