# SPDX-License-Identifier: Apache-2.0
"""Maximum mean discrepancy: do two sets of features come from one law? Exact for small sets, random Fourier features for large ones.

Gretton et al., JMLR 2012, 13:723-773. Pairs of films of one patient are left out of the unbiased estimate: they resemble each other for
another reason. Large sets use the paired cosine and sine features of Rahimi and Recht (NeurIPS 2007; lower variance: Sutherland and
Schneider, UAI 2015): memory grows with n and not with n squared, and the permutation test stays exact, for the features are drawn
without looking at the sides.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Floats
from medsetu.shift.relabel import Bools, Pooled, TwoSample, permutation_p, pool

EXACT_FILMS = 4_000  # films above which the kernel is approximated: 128 MB of pairs of patients
FREQUENCIES = 256  # random frequencies, two features each; standard error of a kernel value below 0.05
_HEURISTIC_FILMS = 1_000  # films of which the median distance is taken
_ROWS = 4_096  # films whose features are computed at once


def median_gamma(values: NDArray[np.floating], *, seed: int = 0) -> float:
    """Choose the width of the kernel exp(-gamma d^2) by the median heuristic, gamma = 1 / (2 median^2).

    Args:
        values: (n, d) pooled values; of more than 1,000 rows, 1,000 are drawn.
        seed: Seed of the draw.

    Returns:
        gamma, positive; 1 where all rows are equal.

    Example:
        >>> median_gamma(np.array([[0.0], [1.0], [3.0]]))
        0.125
    """
    if len(values) > _HEURISTIC_FILMS:
        values = values[np.random.default_rng(seed).choice(len(values), _HEURISTIC_FILMS, replace=False)]
    distance = pdist(values.astype(np.float64))
    distance = distance[distance > 0]
    return float(1 / (2 * np.median(distance) ** 2)) if distance.size else 1.0


def mmd2(x: ArrayLike, y: ArrayLike, *, gamma: float | None = None, biased: bool = False) -> float:
    """Squared maximum mean discrepancy of independent rows, by the full kernel.

    Args:
        x: (n, d) values, n at least 2.
        y: (m, d) values, m at least 2.
        gamma: Kernel exp(-gamma d^2); None for the median heuristic.
        biased: Keep the pairs of a row with itself (V-statistic, never negative).

    Returns:
        The estimate; the unbiased one is negative about every second time when there is no shift.

    Example:
        >>> round(mmd2([[0], [1]], [[2], [3]], gamma=0.5), 6)
        0.768906
    """
    both = pool(x, y)
    width = _checked(gamma) if gamma is not None else median_gamma(both.values)
    kernel = np.exp(-width * cdist(both.values, both.values, "sqeuclidean"))
    n = both.n_global
    within = [kernel[:n, :n], kernel[n:, n:]]
    if biased:
        return float(within[0].mean() + within[1].mean() - 2 * kernel[:n, n:].mean())
    means = [(part.sum() - np.trace(part)) / (len(part) * (len(part) - 1)) for part in within]
    return float(sum(means) - 2 * kernel[:n, n:].mean())


def mmd_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    cluster: tuple[ArrayLike, ArrayLike] | None = None,
    gamma: float | None = None,
    permutations: int = 999,
    seed: int = 0,
    exact_films: int = EXACT_FILMS,
) -> TwoSample:
    """Test whether two sets of features come from one law, by permutation of patients.

    Args:
        x: (n, d) features of the global side.
        y: (m, d) features of the local side.
        cluster: Patient of each row of ``x`` and ``y``; None where every row is a patient of its own.
        gamma: Kernel exp(-gamma d^2); None for the median heuristic.
        permutations: Relabelings of patients.
        seed: Seed of every draw.
        exact_films: Films above which random Fourier features replace the kernel.

    Returns:
        Unbiased squared MMD over pairs of different patients, and p.

    Raises:
        ConfigError: gamma is not positive.
        DataError: The samples cannot be compared.

    Example:
        >>> round(mmd_test([[0], [1]], [[2], [3]], gamma=0.5).p, 4)
        0.3333
    """
    both = pool(x, y, cluster=cluster)
    width = _checked(gamma) if gamma is not None else median_gamma(both.values, seed=seed)
    exact = len(both.values) <= exact_films
    pairs: _Pairs = _exact(both, width) if exact else _fourier(both, width, seed=seed)
    size = both.size.astype(np.float64)
    counts = _Features(size[:, None], np.zeros(1), size)
    found = np.concatenate(
        [_unbiased(block, pairs=pairs, counts=counts) for block in both.relabelings(permutations, seed=seed, width=both.n_patients)]
    )
    kernel = "full kernel" if exact else f"{FREQUENCIES} random Fourier frequencies (Rahimi and Recht 2007)"
    method = f"unbiased MMD², RBF, median heuristic, {kernel}, permutation by patient (Gretton 2012)"
    return TwoSample(float(found[0]), float(permutation_p(found)), both.n_global, both.n_local, method)


class _Pairs(Protocol):
    """Sums over pairs of different patients."""

    def sums(self, local: Floats) -> tuple[Floats, Floats, float]:
        """Sum over pairs within local, over pairs with the first in local, and over all pairs; (b, P) -> (b,), (b,), one number."""


@dataclass(frozen=True)
class _Kernel:
    """Kernel summed over the films of each pair of patients, zero on the diagonal; (P, P)."""

    kernel: Floats

    def sums(self, local: Floats) -> tuple[Floats, Floats, float]:
        rows = local @ self.kernel
        return (rows * local).sum(axis=1), rows.sum(axis=1), float(self.kernel.sum())


@dataclass(frozen=True)
class _Features:
    """Features summed over the films of each patient; their inner products are the kernel.

    ``centred`` (P, R) holds the sums of feature minus ``centre``: the common part, large beside the differences, is added back in double
    precision.
    """

    centred: NDArray[np.floating]
    centre: Floats
    size: Floats

    @cached_property
    def total(self) -> Floats:
        return np.asarray(self.centred.sum(axis=0, dtype=np.float64) + self.size.sum() * self.centre)

    @cached_property
    def itself(self) -> Floats:
        own = np.einsum("ij,ij->i", self.centred, self.centred).astype(np.float64)
        cross = self.centred @ self.centre.astype(self.centred.dtype)
        return np.asarray(own + 2 * self.size * cross + self.size**2 * (self.centre @ self.centre))

    def sums(self, local: Floats) -> tuple[Floats, Floats, float]:
        inside = (local.astype(self.centred.dtype) @ self.centred).astype(np.float64) + np.outer(local @ self.size, self.centre)
        itself = local @ self.itself
        return (inside**2).sum(axis=1) - itself, inside @ self.total - itself, float(self.total @ self.total - self.itself.sum())


def _unbiased(local: Bools, *, pairs: _Pairs, counts: _Pairs) -> Floats:
    """Mean kernel within local, plus within global, minus twice across."""
    labels = local.astype(np.float64)
    parts = []
    for within, first, every in (pairs.sums(labels), counts.sums(labels)):
        parts.append((within, every - 2 * first + within, first - within))
    here, there, across = (_ratio(kernel, count) for kernel, count in zip(*parts, strict=True))
    return np.asarray(here + there - 2 * across)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _exact(both: Pooled, gamma: float) -> _Kernel:
    """Patients' kernel sums, some rows at a time."""
    starts = np.r_[0, np.cumsum(both.size)[:-1]]
    values = (both.values - both.values.mean(axis=0)).astype(np.float64)
    norm = (values**2).sum(axis=1)
    by_patient = np.empty((len(both.values), both.n_patients))
    for begin in range(0, len(both.values), _ROWS // 8):
        rows = slice(begin, begin + _ROWS // 8)
        kernel = np.exp(-gamma * np.maximum(norm[rows, None] + norm - 2 * values[rows] @ values.T, 0.0))
        by_patient[rows] = np.add.reduceat(kernel, starts, axis=1)
    kernel = np.add.reduceat(by_patient, starts, axis=0)
    np.fill_diagonal(kernel, 0.0)
    return _Kernel(kernel)


def _fourier(both: Pooled, gamma: float, *, seed: int) -> _Features:
    """Patients' sums of cosines and sines at frequencies drawn from the kernel's spectrum, N(0, 2 gamma)."""
    columns = both.values.shape[1]
    frequency = (np.random.default_rng(seed).normal(size=(columns, FREQUENCIES)) * np.sqrt(2 * gamma)).astype(np.float32)
    origin = both.values[:_HEURISTIC_FILMS].mean(axis=0)  # changes no inner product, spares precision
    found = np.zeros((both.n_patients, 2 * FREQUENCIES), dtype=np.float32)
    edges = np.r_[0, np.cumsum(both.size)]
    step = max(1, _ROWS * both.n_patients // len(both.values))
    for begin in range(0, both.n_patients, step):
        end = min(begin + step, both.n_patients)
        phase = (both.values[edges[begin] : edges[end]] - origin).astype(np.float32, copy=False) @ frequency
        features = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.float32(np.sqrt(FREQUENCIES))
        found[begin:end] = np.add.reduceat(features, edges[begin:end] - edges[begin], axis=0)
    size = both.size.astype(np.float64)
    centre = found.sum(axis=0, dtype=np.float64) / size.sum()
    for begin in range(0, both.n_patients, step):
        found[begin : begin + step] -= np.outer(size[begin : begin + step], centre).astype(np.float32)
    return _Features(found, centre, size)


def _checked(gamma: float) -> float:
    if not 0 < gamma < np.inf:
        raise ConfigError(what=f"A kernel with gamma {gamma} is impossible", where="Key gamma", remedy="Give a positive number")
    return gamma
