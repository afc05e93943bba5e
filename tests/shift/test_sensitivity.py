# SPDX-License-Identifier: Apache-2.0
"""What a test could have seen."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from fakes.cluster import patients
from medsetu.shift.marginal import ENERGY, marginal_test
from medsetu.shift.relabel import mean_difference, pool
from medsetu.shift.sensitivity import category_power, enough_permutations, planted_power


def _mean(x, y, *, cluster, permutations, seed):
    return mean_difference(x[:, 0], y[:, 0], permutations=permutations, seed=seed)


def test_power_of_a_difference_of_means_is_that_of_the_textbook() -> None:
    both = pool(np.random.default_rng(0).normal(size=64), np.random.default_rng(1).normal(size=64))
    expected = norm.cdf(0.5 / np.sqrt(2 / 64) - norm.ppf(0.975))
    assert planted_power(_mean, both, shift=0.5, alpha=0.05, permutations=199, seed=0) == pytest.approx(expected, abs=0.16)


def test_power_grows_with_the_shift_and_forgets_the_shift_that_was_there() -> None:
    rng = np.random.default_rng(2)
    (x, cluster), (y, other) = patients(rng, 25), patients(rng, 25, shift=5.0)
    test = partial(marginal_test, statistic=ENERGY)
    both = pool(x, y, cluster=(cluster, other))
    none, little, much = (planted_power(test, both, shift=shift, alpha=0.05, permutations=99, seed=0) for shift in (0.0, 0.5, 1.5))
    assert none <= 0.2
    assert none <= little < much
    assert much > 0.9


def test_many_patients_are_drawn_from() -> None:
    rng = np.random.default_rng(3)
    both = pool(rng.normal(size=3000), rng.normal(size=3000))
    sizes = []

    def test(x, y, *, cluster, permutations, seed):
        sizes.append((len(x), len(y)))
        return mean_difference([0.0], [1.0])

    planted_power(test, both, shift=0.5, alpha=0.05, permutations=19, seed=0)
    assert set(sizes) == {(250, 250)}


def test_constant_values_have_no_power_to_speak_of() -> None:
    assert np.isnan(planted_power(_mean, pool(np.ones(9), np.ones(9)), shift=0.5, alpha=0.05, permutations=19, seed=0))
    assert np.isnan(category_power(0.3, n_patients=100, categories=1, alpha=0.05))


def test_power_of_categories() -> None:
    assert category_power(0.0, n_patients=100, categories=3, alpha=0.05) == pytest.approx(0.05)
    assert category_power(0.3, n_patients=88, categories=2, alpha=0.05) == pytest.approx(0.80, abs=0.01)  # Cohen 1988, table 7.4.7: n = 87


def test_holm_can_still_find_one_shift() -> None:
    for tests in (1, 7, 30, 200):
        permutations = enough_permutations(tests, alpha=0.05, least=19)
        assert tests / (permutations + 1) <= 0.05
        assert (permutations + 1) * 0.05 == pytest.approx(round((permutations + 1) * 0.05))
    assert enough_permutations(3, alpha=0.05, least=999) == 999
