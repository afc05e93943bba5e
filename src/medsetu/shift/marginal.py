# SPDX-License-Identifier: Apache-2.0
"""One number or one category at a time: Kolmogorov-Smirnov, energy, Wasserstein and Cramér's V, tested by permutation of patients."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import ks_2samp

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Floats
from medsetu.shift.relabel import Bools, Pooled, TwoSample, permutation_p, pool

KS, ENERGY, WASSERSTEIN = "KS", "energy", "wasserstein"
METHODS = {
    KS: "Kolmogorov-Smirnov distance, permutation by patient",
    ENERGY: "energy distance (Székely and Rizzo 2013), permutation by patient",
    WASSERSTEIN: "1-D Wasserstein distance, permutation by patient",
}
EXACT_PATIENTS = 1_000  # patients per side above which the Kolmogorov-Smirnov p-value is asymptotic


def marginal_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    cluster: tuple[ArrayLike, ArrayLike] | None = None,
    statistic: str = KS,
    permutations: int = 999,
    seed: int = 0,
) -> TwoSample:
    """Test whether a number follows one law on both sides, by permutation of patients.

    Args:
        x: (n,) values of the global side.
        y: (m,) values of the local side.
        cluster: Patient of each value; None where every value is a patient of its own.
        statistic: ``KS`` (in [0, 1]), ``energy`` (root of the unit) or ``wasserstein`` (unit of the values).
        permutations: Relabelings of patients.
        seed: Seed of the draws.

    Returns:
        The distance, as scipy computes it, and p.

    Raises:
        ConfigError: The statistic is unknown.
        DataError: The samples cannot be compared.

    Example:
        >>> round(marginal_test([0, 1, 3], [5, 6, 8], statistic="wasserstein").value, 6)
        5.0
    """
    if statistic not in METHODS:
        raise ConfigError(what=f"There is no statistic '{statistic}'", where="Key statistic", value=statistic, allowed=list(METHODS))
    both = pool(x, y, cluster=cluster)
    found = _distances(both, column=0, statistic=statistic, permutations=permutations, seed=seed)
    return TwoSample(float(found[0]), float(permutation_p(found)), both.n_global, both.n_local, METHODS[statistic])


def largest_ks(
    x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None = None, permutations: int = 999, seed: int = 0
) -> tuple[TwoSample, Floats, Floats]:
    """Test many numbers at once: the largest Kolmogorov-Smirnov distance, by permutation of patients.

    The relabelings are shared by all columns, so the p-value of the largest knows their correlation, and the adjusted p-values of the
    columns hold the family-wise error (single-step maxT, Westfall and Young 1993).

    Args:
        x: (n, d) values of the global side.
        y: (m, d) values of the local side.
        cluster: Patient of each row; None where every row is a patient of its own.
        permutations: Relabelings of patients.
        seed: Seed of the draws.

    Returns:
        The largest distance with its p; (d,) distances; (d,) adjusted p-values.

    Example:
        >>> largest_ks([[1, 5], [2, 6], [3, 7]], [[4, 5], [5, 6], [6, 7]])[1].tolist()
        [1.0, 0.0]
    """
    both = pool(x, y, cluster=cluster)
    columns = range(both.values.shape[1])
    found = np.stack([_distances(both, column=column, statistic=KS, permutations=permutations, seed=seed) for column in columns], axis=1)
    largest = found.max(axis=1)
    adjusted = np.array([float(permutation_p(np.r_[own, largest[1:]])) for own in found[0]])
    method = f"largest Kolmogorov-Smirnov distance of {len(columns)}, permutation by patient (maxT)"
    test = TwoSample(float(largest[0]), float(permutation_p(largest)), both.n_global, both.n_local, method)
    return test, found[0], adjusted


def ks_bonferroni(x: ArrayLike, y: ArrayLike) -> TwoSample:
    """Test many numbers at once on independent rows: smallest Kolmogorov-Smirnov p-value times their number (Rabanser et al. 2019).

    Args:
        x: (n, d) values of the global side, one row per patient: rows of one patient would raise the false alarms to 20 %.
        y: (m, d) values of the local side, one row per patient.

    Returns:
        The largest distance and the Bonferroni-adjusted p-value; conservative.

    Raises:
        DataError: The samples cannot be compared.

    Example:
        >>> round(ks_bonferroni([1, 2, 3], [4, 5, 6]).p, 6)
        0.1
    """
    both = pool(x, y)
    method: Literal["exact", "asymp"] = "exact" if max(both.n_global, both.n_local) <= EXACT_PATIENTS else "asymp"
    columns = (both.values[:, column].astype(np.float64) for column in range(both.values.shape[1]))  # one at a time spares memory
    pairs = [ks_2samp(column[~both.local], column[both.local], method=method) for column in columns]
    largest, smallest = max(float(pair.statistic) for pair in pairs), min(float(pair.pvalue) for pair in pairs)
    name = f"Kolmogorov-Smirnov on one film per patient, Bonferroni over {len(pairs)} dimensions (Rabanser 2019)"
    return TwoSample(largest, min(1.0, smallest * len(pairs)), both.n_global, both.n_local, name)


def category_test(
    x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None = None, permutations: int = 999, seed: int = 0
) -> TwoSample:
    """Test whether categories are shared out alike on both sides: Pearson's chi-squared, by permutation of patients.

    Args:
        x: (n,) categories of the global side, any labels.
        y: (m,) categories of the local side.
        cluster: Patient of each film; None where every film is a patient of its own.
        permutations: Relabelings of patients.
        seed: Seed of the draws.

    Returns:
        Cramér's V in [0, 1], 0 where there is one category, and p.

    Example:
        >>> category_test(["a", "a", "b"], ["b", "b", "b"]).value.__round__(3)
        0.707
    """
    names = np.r_[np.asarray(x, dtype=str), np.asarray(y, dtype=str)]
    kinds, codes = np.unique(names, return_inverse=True)
    both = pool(codes[: len(np.asarray(x))], codes[len(np.asarray(x)) :], cluster=cluster)
    counts = np.zeros((both.n_patients, kinds.size))
    np.add.at(counts, (both.cluster, both.values[:, 0].astype(np.int64)), 1.0)
    blocks = both.relabelings(permutations, seed=seed, width=both.n_patients)
    found = np.concatenate([_cramer(block @ counts, counts.sum(axis=0)) for block in blocks])
    method = "Cramér's V, chi-squared by permutation of patients"
    return TwoSample(float(found[0]), float(permutation_p(found)), both.n_global, both.n_local, method)


def _cramer(local: Floats, every: Floats) -> Floats:
    """Root of chi-squared over n for tables of two rows; (b, C) local counts and (C,) counts of both sides."""
    share = local.sum(axis=1, keepdims=True) / every.sum()
    spread = share[:, 0] * (1 - share[:, 0])
    squared = ((local - share * every) ** 2 / every).sum(axis=1)
    return np.asarray(np.sqrt(np.divide(squared, every.sum() * spread, out=np.zeros_like(squared), where=spread > 0)))


def _distances(both: Pooled, *, column: int, statistic: str, permutations: int, seed: int) -> Floats:
    """(N + 1,) distances of one column under every relabeling, the truth first."""
    values = both.values[:, column].astype(np.float64)
    order = np.argsort(values, kind="stable")
    width = np.diff(values[order])
    ends = np.flatnonzero(width > 0)  # the last film of each tie, without the largest
    blocks = both.relabelings(permutations, seed=seed, width=values.size)
    return np.concatenate([_between(block[:, both.cluster[order]], ends, width=width[ends], statistic=statistic) for block in blocks])


def _between(local: Bools, ends: np.ndarray, *, width: Floats, statistic: str) -> Floats:
    """Distance of the two distribution functions for each row of (b, n) labels sorted by value."""
    below = np.cumsum(local, axis=1, dtype=np.int32)
    total = below[:, -1:].astype(np.float64)
    below = below[:, ends]
    apart = below / total - (ends + 1 - below) / (local.shape[1] - total)
    if statistic == KS:
        return np.asarray(np.abs(apart).max(axis=1, initial=0.0))
    if statistic == ENERGY:
        return np.asarray(np.sqrt(2 * (apart**2 @ width)))
    return np.asarray(np.abs(apart) @ width)
