# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy import stats

from contest.cohort import contestants, field
from medsetu.contest.mean import losses, mean_with_interval, paired_mean, same_seeds


def _pair(seeds=1):
    return contestants(field({"a": 2.0, "b": 1.0}, seeds=seeds))


def test_one_seed_and_one_film_per_patient_is_the_paired_t_test():
    pair = _pair()
    a, b = (losses(one, "brier") for one in pair)
    found = paired_mean(*pair, values=(a, b), rows=np.arange(80), level=0.95)
    test = stats.ttest_rel(a[0], b[0])
    assert (found.value, found.p) == pytest.approx((float((a - b).mean()), float(test.pvalue)))
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_losses_are_those_of_scikit_learn():
    from sklearn.metrics import brier_score_loss, log_loss

    one = _pair()[0]
    assert losses(one, "brier").mean() == pytest.approx(brier_score_loss(one.matrix.label, one.matrix.scores[0]))
    assert losses(one, "log_loss").mean() == pytest.approx(log_loss(one.matrix.label, one.matrix.scores[0]))


def test_films_copied_within_patients_prove_nothing_more():
    """Four copies of each film of a patient leave the interval as it was."""
    values, cluster = np.random.default_rng(0).random((1, 30)), np.arange(30)
    once = mean_with_interval(values, cluster=cluster, level=0.95)
    copied = mean_with_interval(np.repeat(values, 4, axis=1), cluster=np.repeat(cluster, 4), level=0.95)
    assert (once.value, once.low, once.high) == pytest.approx((copied.value, copied.low, copied.high))


def test_seeds_widen_and_shared_seeds_are_paired():
    pair = _pair(seeds=3)
    assert same_seeds(*pair)
    a = np.zeros((3, 80)) + np.array([[0.1], [0.2], [0.3]])
    noise = np.random.default_rng(1).normal(size=(1, 80)) * 0.1
    together = paired_mean(*pair, values=(a + noise, a), rows=np.arange(80), level=0.95)
    against = paired_mean(*pair, values=(a + noise, a[::-1]), rows=np.arange(80), level=0.95)
    assert together.value == pytest.approx(against.value)
    assert against.high - against.low > 3 * (together.high - together.low)


def test_equal_films_and_no_spread():
    pair, ones = _pair(), np.ones((1, 80))
    equal = paired_mean(*pair, values=(ones, ones), rows=np.arange(80), level=0.95)
    assert (equal.value, equal.p, equal.note) == (0.0, 1.0, "equal on every film")
    apart = paired_mean(*pair, values=(ones, 0 * ones), rows=np.arange(80), level=0.95)
    assert (apart.value, np.isnan(apart.low)) == (1.0, True)
    none = paired_mean(*pair, values=(ones, ones), rows=np.arange(0), level=0.95)
    assert np.isnan(none.value)


def test_further_variance_widens():
    pair = _pair()
    values = tuple(losses(one, "brier") for one in pair)
    plain, more = (paired_mean(*pair, values=values, rows=np.arange(80), level=0.95, extra=extra) for extra in (0.0, 0.01))
    assert more.high - more.low > plain.high - plain.low
    assert more.p > plain.p
