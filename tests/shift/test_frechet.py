# SPDX-License-Identifier: Apache-2.0
"""Fréchet distance: reference values, the floor, and when it is refused."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from fakes.cluster import patients
from medsetu.shift.frechet import frechet, frechet_with_floor

FD_STD = {"m1": [0, 0], "S1": [[1, 0], [0, 1]], "m2": [3, 4], "S2": [[4, 0], [0, 4]], "fd": 27}
FD_GEN = {"m1": [1, 2], "S1": [[2, 0.5], [0.5, 1]], "m2": [0, 0], "S2": [[1, 0.2], [0.2, 3]], "fd": 5.754386284536507}


@pytest.mark.parametrize("case", [FD_STD, FD_GEN])
def test_reference(case) -> None:
    assert frechet(case["m1"], case["S1"], other_mean=case["m2"], other_covariance=case["S2"]) == pytest.approx(case["fd"], abs=1e-12)


def test_one_dimension_is_means_and_deviations() -> None:
    assert frechet([1.0], [[9.0]], other_mean=[3.0], other_covariance=[[4.0]]) == pytest.approx(2**2 + 1**2)


def test_agrees_with_the_matrix_square_root() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.cov(rng.normal(size=(6, 40)) * scale) for scale in (1, 2))
    expected = np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet(np.zeros(6), first, other_mean=np.zeros(6), other_covariance=second) == pytest.approx(expected)


def test_no_shift_lies_at_the_floor_and_more_shift_above_it() -> None:
    rng = np.random.default_rng(1)
    (x, cluster), (y, other) = patients(rng, 160, columns=20), patients(rng, 80, columns=20)
    found = [frechet_with_floor(x, y + shift, cluster=(cluster, other), components=3) for shift in (0, 0.5, 1, 2)]
    assert np.all(np.diff([one.value for one in found]) > 0)
    assert found[0].value < 2 * found[0].floor_high
    assert found[-1].value > 5 * found[-1].floor_high
    assert {one.patients for one in found} == {80}


def test_too_few_patients_are_refused_with_the_number_it_takes() -> None:
    rng = np.random.default_rng(2)
    (x, cluster), (y, other) = patients(rng, 200, columns=8), patients(rng, 50, columns=8)
    refused = frechet_with_floor(x, y, cluster=(cluster, other), components=5)
    assert np.isnan(refused.value)
    assert "more than 50 patients" in refused.note
    assert np.isfinite(frechet_with_floor(x, y, cluster=(cluster, other), components=4).value)


def test_more_dimensions_than_films_work() -> None:
    rng = np.random.default_rng(3)
    found = frechet_with_floor(rng.normal(size=(50, 200)).astype(np.float32), rng.normal(size=(25, 200)).astype(np.float32), components=2)
    assert found.value > 0
    assert found.dimensions == 2
