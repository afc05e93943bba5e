# SPDX-License-Identifier: Apache-2.0
"""Fréchet distance of features: descriptive only, at equal numbers of patients, beside what one side shows against itself.

The distance is biased upwards in small sets (Chong and Forsyth, CVPR 2020), so it is taken after a fixed PCA, refused below ten patients
per dimension, and never read without its same-side floor.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsetu.evaluation.interval import Floats
from medsetu.shift.relabel import Pooled, pool

COMPONENTS = 5
PER_DIMENSION = 10  # patients per dimension and side, at least
DRAWS = 50  # random halves
_PCA_ROWS = 10_000


@dataclass(frozen=True)
class Frechet:
    """A distance and what no shift at all would show.

    Attributes:
        value: Mean Fréchet distance between equal numbers of patients of both sides; NaN when refused.
        floor: Mean distance between random halves of the global side, of the same size.
        floor_high: 95th percentile of that.
        patients: Patients per side in every distance.
        dimensions: Principal components.
        note: Why it is NaN.
    """

    value: float
    floor: float
    floor_high: float
    patients: int
    dimensions: int
    note: str = ""


def frechet(mean: ArrayLike, covariance: ArrayLike, *, other_mean: ArrayLike, other_covariance: ArrayLike) -> float:
    """Fréchet distance of two normal laws (Dowson and Landau, J Multivar Anal 1982, 12:450-455).

    Args:
        mean: (d,) mean of the first.
        covariance: (d, d) covariance of the first.
        other_mean: (d,) mean of the second.
        other_covariance: (d, d) covariance of the second.

    Returns:
        |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0 up to rounding.

    Example:
        >>> round(frechet([0, 0], [[1, 0], [0, 1]], other_mean=[3, 4], other_covariance=[[4, 0], [0, 4]]), 6)
        27.0
    """
    first, second = np.atleast_2d(np.asarray(covariance, dtype=np.float64)), np.atleast_2d(np.asarray(other_covariance, dtype=np.float64))
    value, vector = np.linalg.eigh(first)
    root = (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0.0)).sum()
    apart = np.asarray(mean, dtype=np.float64) - np.asarray(other_mean, dtype=np.float64)
    return float((apart**2).sum() + np.trace(first) + np.trace(second) - 2 * cross)


def frechet_with_floor(
    x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None = None, components: int = COMPONENTS, seed: int = 0
) -> Frechet:
    """Fréchet distance of features after a fixed PCA, beside the distance of random halves of the global side.

    Args:
        x: (n, d) features of the global side; more than twice as many patients as ``10 * components`` are needed.
        y: (m, d) features of the local side; more than ``10 * components`` patients are needed.
        cluster: Patient of each row; None where every row is a patient of its own.
        components: Principal components of the pooled features, fixed beforehand.
        seed: Seed of the halves.

    Returns:
        Distance and floor at equal numbers of patients, or NaN with the reason.

    Example:
        >>> frechet_with_floor(np.zeros((30, 2)), np.zeros((30, 2)), components=2).note
        'needs more than 20 patients in each half of the global side and on the local side, has 15 and 30'
    """
    both = pool(x, y, cluster=cluster)
    kept = min(components, both.values.shape[1])
    half = both.n_global // 2
    patients = min(half, both.n_local)
    if patients <= PER_DIMENSION * kept:
        needed = f"needs more than {PER_DIMENSION * kept} patients in each half of the global side and on the local side"
        return Frechet(nan, nan, nan, patients, kept, note=f"{needed}, has {half} and {both.n_local}")
    reduced = _reduce(both.values, kept, seed=seed)
    rng = np.random.default_rng(seed)
    apart, floor = [], []
    for _ in range(DRAWS):
        there = rng.permutation(both.n_global)
        here = both.n_global + rng.choice(both.n_local, patients, replace=False)
        first, second, local = (_law(reduced, both, group) for group in (there[:patients], there[patients : 2 * patients], here))
        apart.append(frechet(first[0], first[1], other_mean=local[0], other_covariance=local[1]))
        floor.append(frechet(first[0], first[1], other_mean=second[0], other_covariance=second[1]))
    return Frechet(float(np.mean(apart)), float(np.mean(floor)), float(np.quantile(floor, 0.95)), patients, kept)


def _reduce(values: NDArray[np.floating], components: int, *, seed: int) -> Floats:
    """Scores on the leading principal components, which at most 10,000 drawn rows fix."""
    rng = np.random.default_rng(seed)
    some = values[rng.choice(len(values), _PCA_ROWS, replace=False)] if len(values) > _PCA_ROWS else values
    centre = some.mean(axis=0)
    centred = (some - centre).astype(np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -components:] if centred.shape[1] <= len(centred) else _by_rows(centred, components)
    return np.asarray(values @ axes.astype(values.dtype) - centre @ axes, dtype=np.float64)


def _by_rows(centred: Floats, components: int) -> Floats:
    return np.asarray(np.linalg.svd(centred, full_matrices=False)[2][:components].T)


def _law(values: Floats, both: Pooled, patients: NDArray[np.int64]) -> tuple[Floats, Floats]:
    chosen = np.zeros(both.n_patients, dtype=bool)
    chosen[patients] = True
    rows = values[chosen[both.cluster]]
    return rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False))
