# SPDX-License-Identifier: Apache-2.0
"""Two pooled samples and the relabelings of their patients: the base of every permutation test of shift.

A relabeling hands whole patients from one side to the other, so films of one patient stay together. This is exact where patients of both
sides are exchangeable, films per patient included: thin to one film per patient first where these differ (``one_per_patient``).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.score import Ints

Bools = NDArray[np.bool_]
_BLOCK = 4_000_000  # numbers held at once by a block of relabelings
_TIE = 1e-9  # relative difference below which two statistics are equal


@dataclass(frozen=True)
class TwoSample:
    """A difference between two samples and its test, number and p together.

    Attributes:
        value: The statistic; NaN where it is undefined.
        p: p-value in (0, 1].
        n_global: Patients of the first sample.
        n_local: Patients of the second sample.
        method: How it was computed, with its reference.
        low: Lower end of the interval; NaN when there is none.
        high: Upper end of the interval; NaN when there is none.
    """

    value: float
    p: float
    n_global: int
    n_local: int
    method: str
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Pooled:
    """Both samples, one below the other, sorted by patient.

    Attributes:
        values: (n, d) float; rows of the first sample before those of the second.
        cluster: (n,) patient of each row as codes 0 to P - 1, not decreasing; no patient is in both samples.
        n_global: Patients of the first sample, codes 0 to n_global - 1.
        n_local: Patients of the second sample.
    """

    values: NDArray[np.floating]
    cluster: Ints
    n_global: int
    n_local: int

    @property
    def n_patients(self) -> int:
        """Patients of both samples."""
        return self.n_global + self.n_local

    @property
    def local(self) -> Bools:
        """(n,) True for rows of the second sample."""
        return np.asarray(self.cluster >= self.n_global)

    @property
    def size(self) -> Ints:
        """(P,) rows of each patient."""
        return np.bincount(self.cluster, minlength=self.n_patients).astype(np.int64)

    def relabelings(self, permutations: int, *, seed: int, width: int = 1) -> Iterator[Bools]:
        """Blocks of relabelings of these patients, as from ``relabelings``."""
        return relabelings(self.n_global, self.n_local, permutations=permutations, seed=seed, width=max(width, self.n_patients))


def pool(x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None = None) -> Pooled:
    """Stack two samples and check them.

    Args:
        x: (n,) or (n, d) finite values of the global side.
        y: (m,) or (m, d) finite values of the local side; n and m may differ.
        cluster: Patient of each row of ``x`` and of ``y``, any labels; None where every row is a patient of its own.

    Returns:
        The pooled samples. Single precision stays single precision.

    Raises:
        DataError: A sample is empty, its values are not finite, the columns differ, or a row has no patient.

    Example:
        >>> pool([1, 2, 3], [4, 5]).values.shape
        (5, 1)
    """
    first, second = (_table(sample) for sample in (x, y))
    if first.shape[1] != second.shape[1]:
        _refuse(f"The samples have {first.shape[1]} and {second.shape[1]} columns", "Give both sides the same columns")
    codes = []
    for sample, names in zip((first, second), cluster or (None, None), strict=True):
        code = np.arange(len(sample)) if names is None else np.unique(np.asarray(names), return_inverse=True)[1]
        if code.size != len(sample):
            _refuse(f"{len(sample)} rows have {code.size} patients", "Name the patient of every row")
        codes.append(code)
    patients = [int(code.max()) + 1 for code in codes]
    return Pooled(
        values=np.concatenate([_sorted(first, codes[0]), _sorted(second, codes[1])]),
        cluster=np.concatenate([np.sort(codes[0]), np.sort(codes[1]) + patients[0]]).astype(np.int64),
        n_global=patients[0],
        n_local=patients[1],
    )


def relabelings(n_global: int, n_local: int, *, permutations: int, seed: int, width: int = 1) -> Iterator[Bools]:
    """Draw who counts as local; all of them where they are few.

    Args:
        n_global: Patients of the global side, the first codes.
        n_local: Patients of the local side.
        permutations: Relabelings wanted besides the true one, at least 1; fewer come where no more exist, and then all of them do.
        seed: Seed of the draws.
        width: Numbers that a statistic holds per relabeling; sets the size of blocks.

    Yields:
        (b, P) True for local. The first row of the first block is the true labeling.

    Raises:
        ConfigError: Fewer than one permutation.

    Example:
        >>> sum(len(block) for block in relabelings(2, 2, permutations=99, seed=0))
        6
    """
    if permutations < 1:
        raise ConfigError(what=f"{permutations} is out of range", where="Key permutations", remedy="Give at least 1, such as 999")
    patients = n_global + n_local
    truth = np.arange(patients) >= n_global
    rows = max(1, _BLOCK // max(1, width, patients))
    if math.comb(patients, n_local) <= permutations + 1:
        every = np.zeros((math.comb(patients, n_local), patients), dtype=bool)
        for row, chosen in enumerate(itertools.combinations(range(patients - 1, -1, -1), n_local)):
            every[row, list(chosen)] = True  # the first combination is the true labeling
        for start in range(0, len(every), rows):
            yield every[start : start + rows]
        return
    rng = np.random.default_rng(seed)
    for start in range(0, permutations + 1, rows):
        block = np.tile(truth, (min(rows, permutations + 1 - start), 1))
        first = 1 if start == 0 else 0
        block[first:] = rng.permuted(block[first:], axis=1)
        yield block


def permutation_p(statistics: ArrayLike) -> Floats:
    """Compute p = (b + 1) / (N + 1), b the relabelings at least as extreme as the truth (Phipson and Smyth, SAGMB 2010, 9:39).

    Args:
        statistics: (N + 1,) or (N + 1, d) statistics, large when the sides differ; the first row belongs to the true labeling.

    Returns:
        p in (0, 1], shape () or (d,).

    Example:
        >>> float(permutation_p([3.0, 1.0, 3.0, 2.0]))
        0.5
    """
    found = np.asarray(statistics, dtype=np.float64)
    slack = _TIE * np.abs(found).max(axis=0)
    return np.asarray((found >= found[0] - slack).sum(axis=0) / len(found))


def mean_difference(x: ArrayLike, y: ArrayLike, *, permutations: int = 999, seed: int = 0) -> TwoSample:
    """Test whether two samples of independent values have one mean, two-sided.

    Args:
        x: (n,) values, one per patient.
        y: (m,) values, one per patient.
        permutations: Relabelings.
        seed: Seed of the draws.

    Returns:
        Mean of ``x`` minus mean of ``y``, and p.

    Example:
        >>> mean_difference([1, 2, 3], [4, 5, 6]).p
        0.1
    """
    both = pool(x, y)
    values = both.values[:, 0]
    found = np.concatenate(
        [block @ values / both.n_local - ~block @ values / both.n_global for block in both.relabelings(permutations, seed=seed)]
    )
    return TwoSample(-float(found[0]), float(permutation_p(np.abs(found))), both.n_global, both.n_local, "permutation of patients")


def one_per_patient(cluster: ArrayLike, *, seed: int) -> NDArray[np.intp]:
    """Draw one row of every patient.

    Args:
        cluster: (n,) patient of each row.
        seed: Seed of the draws.

    Returns:
        (P,) positions, sorted.

    Example:
        >>> one_per_patient(["a", "b", "b"], seed=0).size
        2
    """
    names = np.asarray(cluster)
    order = np.random.default_rng(seed).permutation(names.size)
    return np.sort(order[np.unique(names[order], return_index=True)[1]])


def _table(sample: ArrayLike) -> NDArray[np.floating]:
    values = np.asarray(sample)
    values = values if values.dtype == np.float32 else values.astype(np.float64)
    if values.size == 0 or values.ndim not in (1, 2):
        _refuse(f"A sample has the shape {values.shape}", "Give at least one row, as (n,) or (n, d)")
    if not np.isfinite(values.sum()) and not np.isfinite(values).all():
        _refuse("A sample has values that are not finite", "Leave out rows with unknown values")
    return values.reshape(len(values), -1)


def _sorted(values: NDArray[np.floating], code: Ints) -> NDArray[np.floating]:
    """Rows by patient, without a copy where they stand so already."""
    return values if (np.diff(code) >= 0).all() else values[np.argsort(code, kind="stable")]


def _refuse(what: str, remedy: str) -> None:
    raise DataError(what=what, where="Two-sample test", remedy=remedy)
