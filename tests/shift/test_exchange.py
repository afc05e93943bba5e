# SPDX-License-Identifier: Apache-2.0
"""The exchange rate is exact where the curves meet, censored where they do not, and paired."""

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from medsetu.core.errors import DataError
from medsetu.shift.exchange import crossing, exchange_rates, isotonic
from medsetu.shift.learning_curve import LearningCurve

SIZES = np.array([10.0, 20, 40, 80])
LOCAL = 0.95 - 0.8 * SIZES**-0.7


def curves(transfer, n=SIZES, draws=None):
    rng = np.random.default_rng(0)
    shared, count = rng.standard_normal((draws or 0, 1)), len(n)
    local = LOCAL + 0.02 * shared + np.zeros((draws or 0, SIZES.size))
    other = np.asarray(transfer) + 0.02 * shared + np.zeros((draws or 0, count))
    first = LearningCurve("local-only", "auroc", SIZES, LOCAL, local)
    return first, LearningCurve("transfer", "auroc", np.asarray(n, dtype=float), np.asarray(transfer), other)


def test_where_the_curves_meet_the_rate_is_exact():
    rates = exchange_rates(*curves(LOCAL[[1, 3]], n=[10.0, 20]))
    assert [rate.value for rate in rates] == pytest.approx([10.0, 60.0])
    assert rates[0].verdict == "worth 10 local patients"


def test_no_pretraining_is_worth_nothing():
    assert [rate.value for rate in exchange_rates(*curves(LOCAL))] == pytest.approx([0.0] * 4)


def test_above_the_curve_it_is_more_than_and_below_less_than():
    above, below = exchange_rates(*curves([0.99, 0.3], n=[10.0, 30]))
    assert above.verdict == "worth more than 70 local patients"
    assert below.verdict == "worth less than -20 local patients"
    assert (above.value, below.value) == (math.inf, -math.inf)


def test_the_network_as_it_comes_has_a_rate_too():
    (rate,) = exchange_rates(*curves(LOCAL[[2]], n=[0.0]))
    assert rate.value == pytest.approx(40.0)


def test_pairing_takes_the_films_out_of_the_interval():
    """Both curves move together with the films: the paired rate does not move at all, the unpaired one would."""
    paired, transfer = curves(LOCAL[[1, 2]], n=[10.0, 20], draws=200)
    for rate, truth in zip(exchange_rates(paired, transfer), (10.0, 20.0), strict=True):
        assert (rate.low, rate.high) == pytest.approx((truth, truth))
        assert rate.meets == 1.0
    shuffled = LearningCurve("transfer", "auroc", transfer.n, transfer.value, transfer.draws[::-1])
    assert exchange_rates(paired, shuffled)[0].high > 15


def test_an_interval_end_that_does_not_meet_is_censored():
    local, transfer = curves([LOCAL[3] - 0.001], n=[10.0])
    rng = np.random.default_rng(1)
    drawn = [one.value + 0.01 * rng.standard_normal((300, one.n.size)) for one in (local, transfer)]
    (rate,) = exchange_rates(
        LearningCurve("local-only", "auroc", SIZES, local.value, drawn[0]),
        LearningCurve("transfer", "auroc", transfer.n, transfer.value, drawn[1]),
    )
    assert 0.3 < rate.meets < 0.8
    assert rate.high == math.inf
    assert rate.verdict.endswith("to more than 70)")


def test_more_planted_worth_measures_more():
    values = [exchange_rates(*curves([0.95 - 0.8 * (20 + worth) ** -0.7], n=[20.0]))[0].value for worth in (0, 10, 25, 50)]
    assert values == sorted(values)
    assert values == pytest.approx([0, 10, 25, 50], abs=2)  # linear in log n between the points


def test_isotonic_agrees_with_scikit_learn():
    rows = np.random.default_rng(2).uniform(size=(50, 6))
    known = [IsotonicRegression().fit_transform(np.arange(6), row) for row in rows]
    np.testing.assert_allclose(isotonic(rows), known, atol=1e-12)


def test_a_plateau_is_reached_with_its_fewest_patients():
    assert crossing([10, 20, 40], [0.6, 0.7, 0.7], levels=[0.7])[0, 0] == pytest.approx(20.0)
    assert np.isnan(crossing([10, 20], [0.6, 0.7], levels=[math.nan])[0, 0])
    assert np.isnan(crossing([10, 20], [math.nan, 0.7], levels=[0.65])).all()


def test_curves_of_different_metrics_are_refused():
    local, transfer = curves(LOCAL)
    other = LearningCurve("transfer", "sensitivity at specificity 0.8", transfer.n, transfer.value)
    with pytest.raises(DataError, match="read against each other"):
        exchange_rates(local, other)
