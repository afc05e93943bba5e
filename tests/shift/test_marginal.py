# SPDX-License-Identifier: Apache-2.0
"""One number or category at a time: reference values, scipy, patients, and what is found."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, energy_distance, ks_2samp, wasserstein_distance

from fakes.cluster import patients
from medsetu.core.errors import ConfigError, DataError
from medsetu.shift.marginal import ENERGY, KS, WASSERSTEIN, category_test, ks_bonferroni, largest_ks, marginal_test

KS_CASES = [([0.1, 0.4, 0.7], [0.2, 0.5, 0.8, 0.9], 0.5, 0.657142857), ([1, 2, 3], [4, 5, 6], 1, 0.1)]


@pytest.mark.parametrize(("x", "y", "distance", "p"), KS_CASES)
def test_kolmogorov_smirnov_reference(x, y, distance, p) -> None:
    found = ks_bonferroni(x, y)
    assert (found.value, found.p) == (pytest.approx(distance), pytest.approx(p, abs=1e-9))
    exact = marginal_test(x, y)
    assert (exact.value, exact.p) == (pytest.approx(distance), pytest.approx(p, abs=1e-9))


def test_wasserstein_and_energy_reference() -> None:
    assert marginal_test([0, 1, 3], [5, 6, 8], statistic=WASSERSTEIN).value == pytest.approx(5)
    assert marginal_test([0], [2], statistic=ENERGY).value == 2


@pytest.mark.parametrize("ties", [False, True])
def test_distances_agree_with_scipy(ties) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=23) * 2
    if ties:
        x, y = x.round(), y.round()
    for statistic, oracle in ((KS, lambda a, b: ks_2samp(a, b).statistic), (ENERGY, energy_distance), (WASSERSTEIN, wasserstein_distance)):
        assert marginal_test(x, y, statistic=statistic, permutations=1).value == pytest.approx(oracle(x, y))


def test_permutation_p_agrees_with_the_exact_law() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=30), rng.normal(size=25) + 0.5
    assert marginal_test(x, y, permutations=9999).p == pytest.approx(ks_2samp(x, y).pvalue, abs=0.01)


def test_categories_agree_with_scipy() -> None:
    x, y = np.repeat(["f", "m", "u"], [30, 20, 3]), np.repeat(["f", "m"], [10, 28])
    chi2, p, _, _ = chi2_contingency([[30, 20, 3], [10, 28, 0]], correction=False)
    found = category_test(x, y, permutations=9999)
    assert found.value == pytest.approx(np.sqrt(chi2 / 91))
    assert found.p == pytest.approx(p, abs=0.003)


def test_category_of_one_kind_is_no_shift_and_of_two_kinds_is_a_whole_one() -> None:
    same, apart = category_test(["a"] * 9, ["a"] * 8), category_test(["a"] * 9, ["b"] * 8)
    assert (same.value, same.p) == (0.0, 1.0)
    assert apart.value == pytest.approx(1.0)
    assert apart.p < 0.01


@pytest.mark.parametrize("statistic", [KS, ENERGY, WASSERSTEIN])
def test_constant_numbers_are_no_shift_and_separate_ones_are(statistic) -> None:
    same = marginal_test(np.ones(9), np.ones(8), statistic=statistic)
    assert (same.value, same.p) == (0.0, 1.0)
    assert marginal_test(np.zeros(9), np.ones(8), statistic=statistic).value == pytest.approx(np.sqrt(2) if statistic == ENERGY else 1)


@pytest.mark.parametrize("statistic", [KS, ENERGY, WASSERSTEIN])
def test_no_shift_is_found_about_as_often_as_alpha(statistic) -> None:
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 30), patients(rng, 20)
        rejected += marginal_test(x, y, cluster=(cluster, other), statistic=statistic, permutations=199).p <= 0.05
    assert 3 <= rejected <= 19


def test_no_shift_of_categories_is_found_at_most_as_often_as_alpha() -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 30), patients(rng, 20)
        rejected += category_test(x[:, 0] > 0, y[:, 0] > 0, cluster=(cluster, other), permutations=199).p <= 0.05
    assert rejected <= 19


def test_image_level_kolmogorov_smirnov_raises_false_alarms_that_one_film_per_patient_does_not() -> None:
    rng = np.random.default_rng(4)
    films, one = 0, 0
    for _ in range(200):
        x, y = (np.repeat(rng.normal(size=30), 4) + rng.normal(size=120) * np.sqrt(2 / 3) for _ in "xy")
        films += ks_bonferroni(x, y).p <= 0.05
        one += ks_bonferroni(x[::4], y[::4]).p <= 0.05
    assert films > 19 >= one


@pytest.mark.parametrize("statistic", [KS, ENERGY, WASSERSTEIN])
def test_more_planted_shift_is_a_larger_distance(statistic) -> None:
    rng = np.random.default_rng(5)
    (x, cluster), (y, other) = patients(rng, 60), patients(rng, 60)
    found = [marginal_test(x, y + shift, cluster=(cluster, other), statistic=statistic, permutations=99) for shift in (0, 0.5, 1, 2)]
    assert np.all(np.diff([test.value for test in found]) > 0)
    assert found[-1].p == 0.01


def test_largest_of_many_dimensions_is_corrected_and_finds_the_one_that_moved() -> None:
    rng = np.random.default_rng(6)
    (x, cluster), (y, other) = patients(rng, 40, columns=6), patients(rng, 40, columns=6)
    y[:, 3] += 1.5
    largest, distances, adjusted = largest_ks(x, y, cluster=(cluster, other), permutations=199)
    assert (int(distances.argmax()), largest.value) == (3, distances.max())
    assert largest.p == adjusted[3] == 1 / 200
    assert np.delete(adjusted, 3).min() > 0.05


def test_largest_of_many_dimensions_holds_alpha() -> None:
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 20, columns=4), patients(rng, 15, columns=4)
        rejected += largest_ks(x, y, cluster=(cluster, other), permutations=199)[0].p <= 0.05
    assert 3 <= rejected <= 19


def test_validators_fire() -> None:
    with pytest.raises(ConfigError, match="wasserstein"):
        marginal_test([1.0], [2.0], statistic="wassersteim")
    with pytest.raises(DataError):
        marginal_test([1.0, np.nan], [2.0])
    with pytest.raises(DataError):
        ks_bonferroni([[1.0, 2.0]], [[1.0]])
