# SPDX-License-Identifier: Apache-2.0
"""Classifier two-sample test: held-out patients only, valid p, and the proxy A-distance."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict

from fakes.cluster import patients
from medsetu.core.errors import ConfigError, DataError
from medsetu.shift import c2st as module
from medsetu.shift.c2st import c2st, proxy_a_distance


@pytest.mark.parametrize(("error", "distance"), [(0.5, 0), (0.25, 1), (0, 2)])
def test_proxy_a_distance_reference(error, distance) -> None:
    assert proxy_a_distance(error) == distance


def test_no_shift_is_found_about_as_often_as_alpha_and_the_interval_holds_one_half() -> None:
    rng = np.random.default_rng(0)
    rejected, covered, values = 0, 0, []
    for _ in range(200):
        (x, cluster), (y, other) = patients(rng, 40, columns=3), patients(rng, 30, columns=3)
        found = c2st(x, y, cluster=(cluster, other), permutations=199)
        rejected += found.p <= 0.05
        covered += found.low <= 0.5 <= found.high
        values.append(proxy_a_distance(1 - found.value))
    assert rejected <= 19
    assert covered >= 180
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)


def test_more_planted_shift_is_told_apart_better() -> None:
    rng = np.random.default_rng(1)
    (x, cluster), (y, other) = patients(rng, 120, columns=3), patients(rng, 120, columns=3)
    found = [c2st(x, y + shift, cluster=(cluster, other), permutations=99) for shift in (0, 0.4, 1, 3)]
    assert np.all(np.diff([test.value for test in found]) > 0)
    assert found[-1].p == 0.01
    assert found[-1].low > 0.9


def test_patients_are_split_whole_and_held_out_once(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(module, "_decide", lambda both, tested: seen.append((both, tested)) or both.local[tested])
    rng = np.random.default_rng(2)
    (x, cluster), (y, other) = patients(rng, 21), patients(rng, 10)
    found = c2st(x, y, cluster=(cluster, other))
    [(both, tested)] = seen
    assert set(both.cluster[tested]).isdisjoint(both.cluster[~tested])
    assert (found.n_global, found.n_local) == (11, 5)
    assert found.value == 1.0


def test_sides_of_unequal_size_weigh_alike() -> None:
    rng = np.random.default_rng(3)
    found = c2st(rng.normal(size=(900, 2)), rng.normal(size=(60, 2)), permutations=99)
    assert 0.3 < found.value < 0.7


def test_pooled_folds_are_not_used() -> None:
    assert cross_val_predict not in vars(module).values()
    assert "held out once" in c2st(np.arange(20.0), np.arange(20.0)).method


def test_constant_features_are_no_shift() -> None:
    found = c2st(np.ones((12, 3)), np.ones((12, 3)))
    assert (found.value, found.p) == (0.5, 1.0)


def test_validators_fire() -> None:
    x = np.arange(8.0)
    assert 0 < c2st(x[:4], x[4:]).p <= 1
    with pytest.raises(DataError, match="3 patients"):
        c2st(x[:3], x[4:])
    for level in (0.0, 1.0):
        with pytest.raises(ConfigError):
            c2st(x[:4], x[4:], level=level)
    for error in (-0.01, 1.01):
        with pytest.raises(DataError):
            proxy_a_distance(error)
