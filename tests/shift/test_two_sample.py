# SPDX-License-Identifier: Apache-2.0
"""MMD: reference values, exact p, patients, both kernels, and what it finds."""

import numpy as np
import pytest

from fakes.cluster import patients
from medsetu.core.errors import ConfigError, DataError
from medsetu.shift import two_sample
from medsetu.shift.two_sample import median_gamma, mmd2, mmd_test

MMD_X, MMD_Y = [[0], [1]], [[2], [3]]
MMD2_BIASED, MMD2_UNBIASED = 1.1623755483505829, 0.7689062080632163


def test_mmd_has_the_reference_values() -> None:
    assert mmd2(MMD_X, MMD_Y, gamma=0.5, biased=True) == pytest.approx(MMD2_BIASED, abs=1e-15)
    assert mmd2(MMD_X, MMD_Y, gamma=0.5) == pytest.approx(MMD2_UNBIASED, abs=1e-15)
    relabeled = [mmd2([[0], [a]], [[b], [c]], gamma=0.5, biased=True) for a, b, c in ((1, 2, 3), (2, 1, 3), (3, 1, 2))]
    assert relabeled == pytest.approx([1.162376, 0.219985, 0.566954], abs=5e-7)
    assert mmd_test(MMD_X, MMD_Y, gamma=0.5).p == pytest.approx(1 / 3)


def test_mmd_has_p() -> None:
    rng = np.random.default_rng(0)
    found = mmd_test(rng.normal(size=(30, 4)), rng.normal(size=(17, 4)) + 2, permutations=199)
    assert found.value > 0.3
    assert found.p == 1 / 200
    assert (found.n_global, found.n_local) == (30, 17)


def test_population_value_is_estimated() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    y = rng.normal(size=(3000, 3)) + np.array([1, 0, 0])
    truth = 2 * (3 / 5) ** 1.5 * (1 - np.exp(-1 / 10))
    assert truth == pytest.approx(0.0884551428, abs=1e-10)
    assert mmd2(x, y, gamma=1 / 6) == pytest.approx(0.0926, abs=5e-5)
    assert mmd_test(x, y, gamma=1 / 6, permutations=1, exact_films=0).value == pytest.approx(0.0926, abs=0.005)


def test_median_heuristic() -> None:
    assert median_gamma(np.array([[0.0], [3.0], [4.0]])) == 1 / (2 * 3**2)
    assert median_gamma(np.ones((5, 2))) == 1.0


def test_with_one_film_per_patient_the_test_estimates_the_unbiased_mmd() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(31, 3)) + 0.5
    gamma = median_gamma(np.concatenate([x, y]))
    assert mmd_test(x, y, permutations=1).value == pytest.approx(mmd2(x, y, gamma=gamma))


def test_pairs_within_a_patient_are_left_out() -> None:
    rng = np.random.default_rng(2)
    x, cluster = patients(rng, 12, columns=3)
    y, other = patients(rng, 9, columns=3)
    kernel = np.exp(-0.2 * ((np.concatenate([x, y])[:, None] - np.concatenate([x, y])[None]) ** 2).sum(axis=2))
    n = len(x)
    apart = [cluster[:, None] != cluster, other[:, None] != other]
    expected = kernel[:n, :n][apart[0]].mean() + kernel[n:, n:][apart[1]].mean() - 2 * kernel[:n, n:].mean()
    assert mmd_test(x, y, cluster=(cluster, other), gamma=0.2, permutations=1).value == pytest.approx(expected)


def test_unbiased_estimate_of_clustered_films_averages_zero_without_shift() -> None:
    rng = np.random.default_rng(3)
    values = []
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 20), patients(rng, 20)
        values.append(mmd_test(x, y, cluster=(cluster, other), gamma=0.5, permutations=1).value)
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)


@pytest.mark.parametrize("clustered", [True, False])
def test_fourier_features_agree_with_the_full_kernel(clustered, monkeypatch) -> None:
    monkeypatch.setattr(two_sample, "FREQUENCIES", 4096)
    monkeypatch.setattr(two_sample, "_ROWS", 64)
    rng = np.random.default_rng(4)
    (x, cluster), (y, other) = patients(rng, 150, columns=8), patients(rng, 90, columns=8, shift=0.3)
    groups = (cluster, other) if clustered else None
    exact = mmd_test(x, y, cluster=groups, permutations=99)
    fast = mmd_test(x, y, cluster=groups, permutations=99, exact_films=0)
    assert fast.value == pytest.approx(exact.value, rel=0.1)
    assert fast.p == exact.p == 0.01
    assert "Fourier" in fast.method


@pytest.mark.parametrize("exact_films", [0, 10_000])
def test_far_origin_costs_no_precision(exact_films) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    near, far = (mmd_test(x + place, y + place, permutations=1, exact_films=exact_films).value for place in (0, 1e6))
    assert far == pytest.approx(near, abs=1e-6)


@pytest.mark.parametrize("exact_films", [0, 10_000])
def test_more_planted_shift_is_a_larger_mmd(exact_films) -> None:
    rng = np.random.default_rng(6)
    (x, cluster), (y, other) = patients(rng, 60, columns=4), patients(rng, 60, columns=4)
    found = [mmd_test(x, y + s, cluster=(cluster, other), gamma=0.1, permutations=99, exact_films=exact_films) for s in (0, 0.4, 0.8, 1.6)]
    assert np.all(np.diff([test.value for test in found]) > 0)
    assert found[0].p > 0.05
    assert found[-1].p == 0.01


@pytest.mark.parametrize("exact_films", [0, 10_000])
def test_no_shift_is_found_about_as_often_as_alpha(exact_films) -> None:
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 25, columns=3), patients(rng, 15, columns=3)
        rejected += mmd_test(x, y, cluster=(cluster, other), permutations=199, exact_films=exact_films).p <= 0.05
    assert 3 <= rejected <= 19


def test_constant_features_are_no_shift() -> None:
    found = mmd_test(np.ones((12, 2)), np.ones((9, 2)), permutations=99)
    assert (found.value, found.p) == (pytest.approx(0.0, abs=1e-12), 1.0)


def test_validators_fire() -> None:
    assert mmd2(MMD_X, MMD_Y, gamma=1e-9) == pytest.approx(0.0, abs=1e-6)
    for gamma in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ConfigError, match="gamma"):
            mmd2(MMD_X, MMD_Y, gamma=gamma)
        with pytest.raises(ConfigError, match="gamma"):
            mmd_test(MMD_X, MMD_Y, gamma=gamma)
    with pytest.raises(DataError):
        mmd_test([[np.nan], [1.0]], MMD_Y)
