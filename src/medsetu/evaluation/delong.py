# SPDX-License-Identifier: Apache-2.0
"""AUROC and its differences with intervals: DeLong 1988, by patient after Obuchowski 1997, over several training seeds, MOVER."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.evaluation.interval import NAN, Estimate, Floats, auroc_interval, join_notes, mover, small_or_perfect
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.score import Ints

MINIMUM_CLASS = 10  # patients per class below which an AUROC gets no interval
CLAIM_SEEDS = 5  # seeds from which a claim about the recipe may be made


@dataclass(frozen=True)
class SeedSpread:
    """What the training seeds add to a patient variance.

    Attributes:
        by_seed: (K,) AUROC (or difference) of each seed, folds averaged, in ascending order of seed.
        seeds: (K,) the seeds.
    """

    by_seed: Floats
    seeds: Ints

    @property
    def count(self) -> int:
        """Number of seeds K."""
        return int(self.seeds.size)

    @property
    def variance(self) -> float:
        """Variance of the mean over seeds, s² / K; 0 for one seed."""
        return float(np.var(self.by_seed, ddof=1) / self.count) if self.count > 1 else 0.0


def seed_spread(values: ArrayLike, *, seed: ArrayLike | None = None) -> SeedSpread:
    """Average values over the folds of each seed.

    Args:
        values: (M,) one value per model.
        seed: (M,) seed of each model; None when each model is a seed.

    Returns:
        The seed means and their spread.

    Example:
        >>> seed_spread([0.7, 0.9, 0.8, 0.8], seed=[0, 0, 1, 1]).by_seed.round(3).tolist()
        [0.8, 0.8]
    """
    table = np.asarray(values, dtype=np.float64)
    labels = np.arange(table.size) if seed is None else np.asarray(seed)
    names, codes = np.unique(labels, return_inverse=True)
    return SeedSpread(np.bincount(codes, weights=table) / np.bincount(codes), names.astype(np.int64))


def estimate_from(parts: KernelParts, *, seed: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """AUROC of one or several models with its interval.

    Logit scale with Satterthwaite t; Newcombe's method 5 where a class has fewer than 20 patients or the AUROC is 0 or 1; no interval
    where a class has fewer than 10 patients. Several seeds: V = V_patients(seed-averaged kernel) + s²_seed / K.

    Args:
        parts: Kernel parts, one row per model.
        seed: (M,) training seed of each row; None when each row is a seed.
        level: Confidence level in (0, 1).

    Returns:
        The estimate; NaN with the reason where it is undefined.
    """
    mean, spread = parts.averaged(seed), seed_spread(parts.auroc, seed=seed)
    value = float(mean.auroc[0])
    reason = _reason(parts)
    if reason:
        return _estimate(parts, NAN, (NAN, NAN), "", reason)
    fewest = min(parts.positive_patients, parts.negative_patients)
    if fewest < MINIMUM_CLASS:
        return _estimate(parts, value, (NAN, NAN), "", f"fewer than {MINIMUM_CLASS} positive or negative patients: no interval")
    classes = (parts.positive_patients, parts.negative_patients)
    ends = auroc_interval(
        value, mean.variance()[0], df=mean.degrees()[0], classes=classes, spread=(spread.variance, spread.count - 1), level=level
    )
    name = "logit-obuchowski-t" if parts.n_patients < parts.n_samples else "logit-delong-t"
    method = "newcombe-5" if small_or_perfect(value, classes=classes) else name
    return _estimate(parts, value, ends, _named(method, parts, spread), claim_note(spread.count))


def auroc_estimate(
    label: ArrayLike, scores: ArrayLike, *, cluster: ArrayLike | None = None, seed: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """AUROC with its interval, by patient, for one or several models (see ``estimate_from``).

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        scores: (n,) or (M, n) finite scores.
        cluster: (n,) patient of each sample; None: by image.
        seed: (M,) training seed of each row; None when each row is a seed.
        level: Confidence level in (0, 1).

    Returns:
        The estimate; NaN with the reason where one class is absent or a score column is constant.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> auroc_estimate([1, 1], [0.5, 0.7]).note
        'one class only: no negatives'
    """
    return estimate_from(kernel_parts(label, scores, cluster=cluster), seed=seed, level=level)


def claim_note(seeds: int) -> str:
    """Say what a number with K training seeds may claim.

    Example:
        >>> claim_note(1), claim_note(3)
        ('claim: this model', 'claim: this recipe on these films, 3 seeds: descriptive')
    """
    if seeds <= 1:
        return "claim: this model"
    return f"claim: this recipe on these films, {seeds} seeds" + ("" if seeds >= CLAIM_SEEDS else ": descriptive")


def paired_difference(
    label: ArrayLike,
    scores_a: ArrayLike,
    *,
    scores_b: ArrayLike,
    cluster: ArrayLike | None = None,
    seeds: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.95,
) -> Estimate:
    """AUROC of a minus AUROC of b on the same samples: MOVER from the single intervals with the DeLong correlation.

    Where both sides carry the same seeds, run k of one is paired with run k of the other.

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        scores_a: (n,) or (M, n) finite scores of the first arm.
        scores_b: (n,) or (M', n) finite scores of the second arm.
        cluster: (n,) patient of each sample; None: by image.
        seeds: Training seeds of the rows of each arm; None when each row is a seed.
        level: Confidence level in (0, 1).

    Returns:
        The difference; identical curves give exactly 0 with the interval [0, 0].

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> paired_difference([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], scores_b=[0.1, 0.4, 0.35, 0.8]).value
        0.0
    """
    seed_a, seed_b = seeds or (None, None)
    a, b = kernel_parts(label, scores_a, cluster=cluster), kernel_parts(label, scores_b, cluster=cluster)
    return difference_from(a, b, seeds=(seed_a, seed_b), level=level, paired=True)


def unpaired_difference(
    label_a: ArrayLike,
    scores_a: ArrayLike,
    *,
    label_b: ArrayLike,
    scores_b: ArrayLike,
    cluster_a: ArrayLike | None = None,
    cluster_b: ArrayLike | None = None,
    seeds: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.95,
) -> Estimate:
    """AUROC on side a minus AUROC on side b, disjoint patients: MOVER from the two single intervals.

    The same runs tested on two sides share their training seeds: where both sides carry the same seeds their covariance is taken in.

    Args:
        label_a: (n,) labels of side a: 1, 0, NaN for unknown (left out).
        scores_a: (n,) or (M, n) finite scores.
        label_b: (n',) labels of side b.
        scores_b: (n',) or (M', n') finite scores.
        cluster_a: (n,) patients of side a; None: by image.
        cluster_b: (n',) patients of side b; None: by image.
        seeds: Training seeds of the rows of each side; None when each row is a seed.
        level: Confidence level in (0, 1).

    Returns:
        The difference; its counts are the sums over both sides.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> unpaired_difference([0, 1], [0.1, 0.9], label_b=[0, 1], scores_b=[0.9, 0.1]).value
        1.0
    """
    seed_a, seed_b = seeds or (None, None)
    a, b = kernel_parts(label_a, scores_a, cluster=cluster_a), kernel_parts(label_b, scores_b, cluster=cluster_b)
    return difference_from(a, b, seeds=(seed_a, seed_b), level=level, paired=False)


def difference_from(
    a: KernelParts, b: KernelParts, *, paired: bool, seeds: tuple[ArrayLike | None, ArrayLike | None] = (None, None), level: float = 0.95
) -> Estimate:
    """AUROC of a minus AUROC of b from their kernel parts (see ``paired_difference`` and ``unpaired_difference``).

    Args:
        a: Parts of the first arm or side.
        b: Parts of the second.
        paired: Whether both stand on the same samples.
        seeds: Training seeds of the rows of each.
        level: Confidence level in (0, 1).

    Returns:
        The difference; NaN with the reason where one of the two is undefined.
    """
    single_a, single_b = (estimate_from(parts, seed=seed, level=level) for parts, seed in zip((a, b), seeds, strict=True))
    value = single_a.value - single_b.value
    notes = join_notes(*(part for one in (single_a, single_b) for part in one.note.split("; ") if not part.startswith("claim")))
    counted = a if paired else _summed(a, b)
    spreads = [seed_spread(parts.auroc, seed=seed) for parts, seed in zip((a, b), seeds, strict=True)]
    claim = claim_note(min(spread.count for spread in spreads))
    if np.isnan(value) or np.isnan(single_a.low) or np.isnan(single_b.low):
        return _estimate(counted, value, (NAN, NAN), "", notes)
    mean_a, mean_b = a.averaged(seeds[0]), b.averaged(seeds[1])
    if paired and _identical(mean_a, mean_b) and np.array_equal(spreads[0].by_seed, spreads[1].by_seed):
        return _estimate(counted, 0.0, (0.0, 0.0), "identical curves", join_notes(claim, "the two curves are identical"))
    shared = float(mean_a.row_covariance(mean_b)[0]) if paired else 0.0
    covariance = shared + seed_covariance(*spreads)
    scale = np.sqrt([float(mean.variance()[0]) + spread.variance for mean, spread in zip((mean_a, mean_b), spreads, strict=True)]).prod()
    rho = float(np.clip(covariance / scale, -1.0, 1.0)) if scale > 0 else 0.0
    ends = mover(
        value_a := single_a.value,
        (single_a.low, single_a.high),
        value_b=single_b.value,
        interval_b=(single_b.low, single_b.high),
        correlation=rho,
    )
    return _estimate(counted, value_a - single_b.value, ends, f"mover({single_a.method}, {single_b.method})", join_notes(claim, notes))


def delong_test(parts: KernelParts, *, contrasts: ArrayLike) -> tuple[float, int, float]:
    """Joint test that contrasts of paired AUROCs are zero (DeLong 1988; by patient where the parts are).

    Args:
        parts: Kernel parts of M curves on the same samples.
        contrasts: (M,) or (C, M) contrast coefficients.

    Returns:
        Chi-square, degrees of freedom and p; identical curves give 0, 0 degrees and p = 1.

    Example:
        >>> parts = kernel_parts([0, 0, 1, 1], [[0.1, 0.4, 0.35, 0.8], [0.1, 0.4, 0.35, 0.8]])
        >>> delong_test(parts, contrasts=[1, -1])
        (0.0, 0, 1.0)
    """
    matrix = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    difference = matrix @ parts.auroc
    covariance = matrix @ parts.covariance() @ matrix.T
    rank = int(np.linalg.matrix_rank(covariance, tol=1e-14, hermitian=True))
    if rank == 0:
        return 0.0, 0, 1.0
    chi2 = float(difference @ np.linalg.pinv(covariance, rcond=1e-12, hermitian=True) @ difference)
    return chi2, rank, float(special.chdtrc(rank, chi2))


def seed_covariance(a: SeedSpread, b: SeedSpread) -> float:
    """Covariance that shared training seeds give two means over seeds; 0 where the seeds are not the same."""
    if a.count < 2 or not np.array_equal(a.seeds, b.seeds):
        return 0.0
    return float(np.cov(a.by_seed, b.by_seed, ddof=1)[0, 1] / a.count)


def _identical(a: KernelParts, b: KernelParts) -> bool:
    return np.allclose(a.positive, b.positive, rtol=0, atol=1e-12) and np.allclose(a.negative, b.negative, rtol=0, atol=1e-12)


def _reason(parts: KernelParts) -> str:
    if parts.n_samples == 0:
        return "no samples"
    if parts.n_positive == 0:
        return "one class only: no positives"
    if parts.n_positive == parts.n_samples:
        return "one class only: no negatives"
    return "every score is the same: an untrained head is not scored" if parts.constant else ""


def _named(name: str, parts: KernelParts, spread: SeedSpread) -> str:
    seeds = f", {spread.count} seeds" if spread.count > 1 else ""
    patients = ", patients" if name == "newcombe-5" and parts.n_patients < parts.n_samples else ""
    return f"{name}{patients}{seeds}"


def _summed(a: KernelParts, b: KernelParts) -> KernelParts:
    return replace(
        a,
        n_samples=a.n_samples + b.n_samples,
        n_positive=a.n_positive + b.n_positive,
        n_patients=a.n_patients + b.n_patients,
    )


def _estimate(parts: KernelParts, value: float, ends: tuple[Floats | float, Floats | float], method: str, note: str) -> Estimate:
    return Estimate(value, float(ends[0]), float(ends[1]), parts.n_patients, parts.n_samples, parts.n_positive, method, note)
