# SPDX-License-Identifier: Apache-2.0
"""Relabelings move patients whole, are exact where they are few, and give valid p-values."""

import numpy as np
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.shift.relabel import mean_difference, one_per_patient, permutation_p, pool, relabelings


def test_exact_mean_difference() -> None:
    found = mean_difference([1, 2, 3], [4, 5, 6])
    assert (found.value, found.p) == (-3, 0.1)


def test_all_relabelings_come_once_and_the_truth_first() -> None:
    every = np.concatenate(list(relabelings(3, 2, permutations=9, seed=0)))
    assert every[0].tolist() == [False, False, False, True, True]
    assert len(np.unique(every, axis=0)) == len(every) == 10


def test_drawn_relabelings_keep_the_sides_sizes() -> None:
    blocks = list(relabelings(3000, 2000, permutations=1200, seed=0))
    drawn = np.concatenate(blocks)
    assert len(blocks) > 1
    assert len(drawn) == 1201
    assert (drawn.sum(axis=1) == 2000).all()
    assert drawn[0].tolist() == [False] * 3000 + [True] * 2000
    assert 0.3 < drawn[1:, 0].mean() < 0.5


def test_permutation_keeps_exams() -> None:
    sizes = [1, 2, 3, 5, 4]
    x, y = np.repeat(np.arange(5), sizes), np.repeat(np.arange(5), sizes[::-1])
    shuffled = np.random.default_rng(0).permutation(x.size)
    both = pool(np.arange(x.size)[shuffled], np.arange(y.size), cluster=(x[shuffled], y))
    assert both.size.tolist() == sizes + sizes[::-1]
    assert (np.diff(both.cluster) >= 0).all()
    assert x[both.values[: x.size, 0].astype(int)].tolist() == both.cluster[: x.size].tolist()
    for block in both.relabelings(99, seed=0):
        films = block[:, both.cluster]
        for patient in range(both.n_patients):
            assert np.ptp(films[:, both.cluster == patient].astype(int), axis=1).max() == 0


def test_p_is_valid() -> None:
    rng = np.random.default_rng(0)
    assert permutation_p(np.arange(200.0)) == 1.0
    assert permutation_p(np.r_[9.0, np.zeros(199)]) == 1 / 200
    assert permutation_p(np.zeros(200)) == 1.0
    p = permutation_p(rng.normal(size=(200, 4000)))
    assert (p > 0).all()
    assert (p <= 1).all()
    assert np.quantile(p, [0.05, 0.5, 0.95]) == pytest.approx([0.05, 0.5, 0.95], abs=0.03)


def test_ties_by_rounding_count_as_ties() -> None:
    assert permutation_p([0.3, 0.1 + 0.2, 0.1 + 0.2 - 1e-16]) == 1.0


def test_one_film_of_every_patient_is_drawn_by_seed() -> None:
    cluster = np.repeat(["a", "b", "c"], [1, 5, 9])
    drawn = {tuple(one_per_patient(cluster, seed=seed)) for seed in range(60)}
    assert all([cluster[row] for row in rows] == ["a", "b", "c"] for rows in drawn)
    assert {rows[1] for rows in drawn} == set(range(1, 6))
    assert one_per_patient(cluster, seed=3).tolist() == one_per_patient(cluster, seed=3).tolist()


def test_validators_fire() -> None:
    assert next(relabelings(2, 2, permutations=1, seed=0)).shape == (2, 4)
    with pytest.raises(ConfigError, match="permutations"):
        next(relabelings(2, 2, permutations=0, seed=0))
    assert pool([[0.0, 1.0]], [[0.0, 2.0]]).n_patients == 2
    for x, y, cluster in (
        ([], [1.0], None),
        ([1.0, np.nan], [1.0], None),
        ([1.0, np.inf], [1.0], None),
        ([[1.0, 2.0]], [[1.0]], None),
        ([1.0, 2.0], [1.0], ([0], [0])),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), None),
    ):
        with pytest.raises(DataError, match="Two-sample test"):
            pool(x, y, cluster=cluster)
