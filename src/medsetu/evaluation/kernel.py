# SPDX-License-Identifier: Apache-2.0
"""Placement values of the AUROC by patient: all its variances and covariances are sums of their products."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.score import Ints, check_scores


@dataclass(frozen=True)
class KernelParts:
    """AUROC of several models on the same samples, and what each patient adds to it.

    ``positive[m, i]`` is the sum over patient i's positives of (placement value - AUROC) / number of positives; ``negative`` likewise.
    All variances and covariances are sums of their products, so parts of different arms on the same samples can be combined.

    Attributes:
        auroc: (M,) AUROC in [0, 1] of each model.
        positive: (M, P) contribution of each patient through its positives.
        negative: (M, P) contribution of each patient through its negatives.
        n_samples: Images.
        n_positive: Positive images.
        n_patients: Patients P.
        positive_patients: Patients with at least one positive image.
        negative_patients: Patients with at least one negative image.
        constant: Whether some model gives every sample the same score (an untrained head).
    """

    auroc: Floats
    positive: Floats
    negative: Floats
    n_samples: int
    n_positive: int
    n_patients: int
    positive_patients: int
    negative_patients: int
    constant: bool

    def variance(self) -> Floats:
        """Patient variance of each model's AUROC: DeLong's, or Obuchowski's where patients have several images.

        Returns:
            (M,) variances; NaN where a class has fewer than two patients.
        """
        return self.row_covariance(self)

    def row_covariance(self, other: "KernelParts") -> Floats:
        """Covariance of row m here with row m there (same samples), (M,)."""
        products = [np.einsum("mi,mi->m", left, right) for left, right in self._pairs(other)]
        return self._weigh(products)

    def covariance(self, other: "KernelParts | None" = None) -> Floats:
        """Covariance of every row here with every row there (same samples; itself when None), (M, M')."""
        products = [left @ right.T for left, right in self._pairs(other or self)]
        return self._weigh(products)

    def _pairs(self, other: "KernelParts") -> list[tuple[Floats, Floats]]:
        if (self.n_samples, self.n_patients) != (other.n_samples, other.n_patients):
            raise DataError(what="Two curves stand on different samples", where="Covariance of AUROCs", remedy="Pair the samples first")
        return [
            (self.positive, other.positive),
            (self.negative, other.negative),
            (self.positive, other.negative),
            (self.negative, other.positive),
        ]

    def _weigh(self, products: list[Floats]) -> Floats:
        inflate = [_unbiased(count) for count in (self.positive_patients, self.negative_patients, self.n_patients, self.n_patients)]
        total: Floats = np.sum([factor * product for factor, product in zip(inflate, products, strict=True)], axis=0)
        return total

    def degrees(self) -> Floats:
        """Satterthwaite degrees of freedom of each variance, (M,), between those of the rarer class and of all patients."""
        m, n = self.positive_patients - 1, self.negative_patients - 1
        if min(m, n) < 1:
            return np.full(self.auroc.shape, NAN)
        a = _unbiased(m + 1) * np.einsum("mi,mi->m", self.positive, self.positive)
        b = _unbiased(n + 1) * np.einsum("mi,mi->m", self.negative, self.negative)
        spread = np.maximum(a**2 / m + b**2 / n, np.finfo(float).tiny)
        freedom: Floats = np.clip(self.variance() ** 2 / spread, min(m, n), min(m + n, self.n_patients - 1))
        return freedom

    def averaged(self, seed: ArrayLike | None = None) -> "KernelParts":
        """Average the kernel over models, each seed with the same weight (folds share their seed's weight).

        Args:
            seed: (M,) training seed of each row; None when each row is a seed.

        Returns:
            Parts with one row.
        """
        weight = seed_weights(self.auroc.size, seed=seed)
        return replace(
            self, auroc=np.atleast_1d(weight @ self.auroc), positive=(weight @ self.positive)[None], negative=(weight @ self.negative)[None]
        )


def kernel_parts(label: ArrayLike, scores: ArrayLike, *, cluster: ArrayLike | None = None) -> KernelParts:
    """AUROC and per-patient kernel of each model, by midranks (Sun and Xu 2014) in O(n log n).

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        scores: (n,) or (M, n) finite scores, any monotone scale; ties count one half.
        cluster: (n,) patient of each sample; a patient may hold positives and negatives. None: each image is its own patient.

    Returns:
        The parts; AUROC is NaN where only one class is present.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> parts = kernel_parts([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> float(parts.auroc[0]), float(parts.variance()[0])
        (0.75, 0.125)
    """
    truth, table, codes = check_scores(label, scores, cluster=cluster)
    is_positive = truth == 1.0
    m, n = int(is_positive.sum()), int((~is_positive).sum())
    patients = truth.size if codes is None else int(codes.max(initial=-1)) + 1
    if min(m, n) == 0:
        return _undefined(table.shape[0], truth.size, positives=m, positive_patients=_patients(is_positive, codes), patients=patients)
    ranks = stats.rankdata(table, axis=1)
    placed = np.empty_like(ranks)
    placed[:, is_positive] = (ranks[:, is_positive] - stats.rankdata(table[:, is_positive], axis=1)) / n
    placed[:, ~is_positive] = 1.0 - (ranks[:, ~is_positive] - stats.rankdata(table[:, ~is_positive], axis=1)) / m
    auroc = placed[:, is_positive].mean(axis=1)
    centred = placed - auroc[:, None]
    return KernelParts(
        auroc=auroc,
        positive=_by_patient(np.where(is_positive, centred / m, 0.0), codes, patients),
        negative=_by_patient(np.where(is_positive, 0.0, centred / n), codes, patients),
        n_samples=truth.size,
        n_positive=m,
        n_patients=patients,
        positive_patients=_patients(is_positive, codes),
        negative_patients=_patients(~is_positive, codes),
        constant=bool((np.ptp(table, axis=1) == 0).any()),
    )


def _undefined(models: int, samples: int, *, positives: int, positive_patients: int, patients: int) -> KernelParts:
    return KernelParts(
        auroc=np.full(models, NAN),
        positive=np.zeros((models, patients)),
        negative=np.zeros((models, patients)),
        n_samples=samples,
        n_positive=positives,
        n_patients=patients,
        positive_patients=positive_patients,
        negative_patients=patients - positive_patients,  # one class only: no patient holds both
        constant=False,
    )


def seed_weights(models: int, *, seed: ArrayLike | None = None) -> Floats:
    """Weights of models in a mean over seeds: every seed counts the same, its folds share that.

    Args:
        models: Number of models M.
        seed: (M,) training seed of each model; None when each model is a seed.

    Returns:
        (M,) weights that sum to 1.

    Example:
        >>> seed_weights(3, seed=[0, 0, 1]).tolist()
        [0.25, 0.25, 0.5]
    """
    codes, counts = np.unique(np.arange(models) if seed is None else np.asarray(seed), return_inverse=True, return_counts=True)[1:]
    weights: Floats = 1.0 / (counts.size * counts[codes])
    return weights


def _by_patient(values: Floats, codes: Ints | None, patients: int) -> Floats:
    if codes is None:
        return values
    member = sparse.csr_array((np.ones(codes.size), (np.arange(codes.size), codes)), shape=(codes.size, patients))
    summed: Floats = np.asarray((member.T @ values.T).T)
    return summed


def _patients(rows: NDArray[np.bool_], codes: Ints | None) -> int:
    return int(rows.sum()) if codes is None else int(np.unique(codes[rows]).size)


def _unbiased(count: int) -> float:
    return count / (count - 1) if count > 1 else NAN
