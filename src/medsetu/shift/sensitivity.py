# SPDX-License-Identifier: Apache-2.0
"""What a two-sample test could have seen: a shift of declared size is planted in relabeled films, and the test is run on them."""

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, ncx2

from medsetu.shift.relabel import Pooled, TwoSample

DRAWS = 40
MOST_PATIENTS = 250  # per side; more would only raise the power
_SPREAD_ROWS = 10_000  # films from which standard deviations are taken, at most


class Comparison(Protocol):
    """A two-sample test that moves patients."""

    def __call__(
        self, x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None, permutations: int, seed: int
    ) -> TwoSample:
        """Compare two samples."""


def planted_power(test: Comparison, both: Pooled, *, shift: float, alpha: float, permutations: int, seed: int) -> float:
    """Estimate the power of a test against a shift of every column by a share of its standard deviation.

    Patients are relabeled at random, which removes what shift there was, and the local half is moved: half of the columns up, half down, by
    lot. Of more than 250 patients per side, 250 are drawn: then the power is a lower bound.

    Args:
        test: The test.
        both: The films that were tested.
        shift: Size of the planted shift, in standard deviations of each column, declared beforehand.
        alpha: Size of the test, in (0, 1).
        permutations: Relabelings of the test.
        seed: Seed of every draw.

    Returns:
        Share of 40 planted draws that are found, Monte-Carlo error at most 0.08; NaN where no column varies.
    """
    spread = both.values[:: 1 + len(both.values) // _SPREAD_ROWS].std(axis=0, dtype=np.float64)
    if not spread.any():
        return math.nan
    rng = np.random.default_rng(seed)
    sizes = min(both.n_global, MOST_PATIENTS), min(both.n_local, MOST_PATIENTS)
    found = 0
    for draw in range(DRAWS):
        patients = rng.permutation(both.n_patients)
        ends = [np.isin(both.cluster, group) for group in (patients[: sizes[0]], patients[sizes[0] : sum(sizes)])]
        offset = (shift * spread * rng.choice([-1.0, 1.0], spread.size)).astype(both.values.dtype)
        cluster = both.cluster[ends[0]], both.cluster[ends[1]]
        moved = test(both.values[ends[0]], both.values[ends[1]] + offset, cluster=cluster, permutations=permutations, seed=seed + draw)
        found += moved.p <= alpha
    return found / DRAWS


def category_power(association: float, *, n_patients: int, categories: int, alpha: float) -> float:
    """Power of the chi-squared test of two sides against a declared Cramér's V (noncentral chi-squared; Cohen 1988, chapter 7).

    Args:
        association: Cramér's V of interest, in [0, 1].
        n_patients: Patients of both sides.
        categories: Number of categories.
        alpha: Size of the test, in (0, 1).

    Returns:
        Power in [0, 1]; NaN where there is one category.

    Example:
        >>> round(category_power(0.3, n_patients=100, categories=2, alpha=0.05), 2)
        0.85
    """
    degrees = categories - 1
    if degrees < 1:
        return math.nan
    return float(ncx2.sf(chi2.isf(alpha, degrees), degrees, n_patients * association**2))


def enough_permutations(tests: int, *, alpha: float, least: int) -> int:
    """Number of relabelings with which a single shift can still be found after Holm's correction.

    Args:
        tests: Tests in the family.
        alpha: Size of the family.
        least: Relabelings wanted anyway.

    Returns:
        N at least ``least`` with the smallest p-value, 1 / (N + 1), at most half of alpha / tests.

    Example:
        >>> enough_permutations(40, alpha=0.05, least=999)
        1599
    """
    return max(least, math.ceil(round(2 * tests / alpha, 9)) - 1)
