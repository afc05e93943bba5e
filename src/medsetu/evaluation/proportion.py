# SPDX-License-Identifier: Apache-2.0
"""Sensitivity, specificity, PPV and NPV as ratios with Wilson intervals, shrunk to the effective size where patients repeat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsetu.evaluation.interval import NAN, Estimate, Floats, critical, wilson
from medsetu.evaluation.score import Ints, check_scores

MEASURES = ("sensitivity", "specificity", "ppv", "npv")


@dataclass(frozen=True)
class Ratio:
    """A share with what its interval rests on.

    Attributes:
        value: The share in [0, 1]; NaN when the denominator is 0.
        total: Denominator (images, averaged over models).
        effective: Independent images that would be as informative, at most ``total``.
        n_patients: Patients in the denominator.
        clustered: Whether patients repeat in the sample.
    """

    value: float
    total: float
    effective: float
    n_patients: int
    clustered: bool

    def interval(self, *, level: float = 0.95) -> tuple[float, float]:
        """Wilson interval at the effective size."""
        low, high = wilson(self.value * self.effective, self.effective, level=level)
        return float(low), float(high)


def clustered_ratio(above: ArrayLike, below: ArrayLike, *, cluster: ArrayLike, level: float = 0.95) -> Ratio:
    """A ratio of sums over samples, and its effective size from the variance between patients.

    Where patients repeat, the linearised variance by patient gives the design effect (Rao and Scott 1992), at least 1, and the effective
    size is cut by (z / t)² with patients - 1 degrees of freedom (Korn and Graubard 1998). A share of 0 or 1 shows no variance: then a
    patient counts once.

    Args:
        above: (n,) contributions to the numerator, 0 <= above <= below.
        below: (n,) contributions to the denominator, in [0, 1].
        cluster: (n,) patient of each sample as codes.
        level: Confidence level in (0, 1), for the cut.

    Returns:
        The ratio.

    Example:
        >>> clustered_ratio([1, 0, 1, 1], [1, 1, 1, 1], cluster=[0, 1, 2, 3]).effective
        4.0
    """
    top, bottom, codes = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64), np.asarray(cluster, dtype=np.int64)
    total = float(bottom.sum())
    if total <= 0:
        return Ratio(NAN, 0.0, 0.0, 0, clustered=False)
    value = float(top.sum() / total)
    patients = int(np.unique(codes[bottom > 0]).size)
    images = int((bottom > 0).sum())
    if patients == images:
        return Ratio(value, total, total, patients, clustered=False)
    effective = min(total, float(patients))
    spread = value * (1 - value)
    if spread > 0 and patients > 1:
        residual = np.bincount(codes, weights=top - value * bottom)
        variance = float((residual**2).sum()) / total**2 * patients / (patients - 1)
        effective = total / max(1.0, variance / (spread / total)) if variance > 0 else total
        effective *= float(critical(level) / critical(level, df=patients - 1)) ** 2
    return Ratio(value, total, effective, patients, clustered=True)


def decision_ratios(label: Floats, called: Floats, *, cluster: Ints, level: float = 0.95) -> dict[str, Ratio]:
    """Sensitivity, specificity, PPV and NPV of decisions.

    Args:
        label: (n,) 1 or 0.
        called: (n,) share of models that call the sample positive, in [0, 1].
        cluster: (n,) patient of each sample as codes.
        level: Confidence level in (0, 1).

    Returns:
        One ratio per name of ``MEASURES``; with several models PPV and NPV are ratios of means.
    """
    cleared, absent = 1 - called, 1 - label
    parts = {
        "sensitivity": (called * label, label),
        "specificity": (cleared * absent, absent),
        "ppv": (called * label, called),
        "npv": (cleared * absent, cleared),
    }
    return {name: clustered_ratio(above, below, cluster=cluster, level=level) for name, (above, below) in parts.items()}


def decision_estimates(
    label: ArrayLike, score: ArrayLike, *, threshold: float, cluster: ArrayLike | None = None, level: float = 0.95
) -> dict[str, Estimate]:
    """Sensitivity, specificity, PPV and NPV at one fixed threshold, with Wilson intervals.

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        score: (n,) finite scores; ``score >= threshold`` is positive, a threshold of 0 calls every probability positive.
        threshold: The threshold, fixed before these samples were seen.
        cluster: (n,) patient of each sample; None: by image.
        level: Confidence level in (0, 1).

    Returns:
        One estimate per measure; a positives-only cohort has a sensitivity, and a specificity of NaN with the reason.

    Example:
        >>> found = decision_estimates([1, 1, 1, 1], [0.9, 0.8, 0.7, 0.1], threshold=0.5)
        >>> found["sensitivity"].value, found["specificity"].note
        (0.75, 'no samples in the denominator of specificity')
    """
    truth, table, codes = check_scores(label, score, cluster=cluster)
    patients = np.arange(truth.size, dtype=np.int64) if codes is None else codes
    ratios = decision_ratios(truth, (table[0] >= threshold).astype(np.float64), cluster=patients, level=level)
    counts = (int(np.unique(patients).size), truth.size, int(truth.sum()))
    return {name: ratio_estimate(found, name=name, counts=counts, level=level) for name, found in ratios.items()}


def ratio_estimate(found: Ratio, *, name: str, counts: tuple[int, int, int], level: float) -> Estimate:
    """Write a ratio as an estimate with its Wilson interval.

    Args:
        found: The ratio.
        name: Its measure, for the note.
        counts: Patients, samples and positive samples of the whole cohort.
        level: Confidence level in (0, 1).

    Returns:
        The estimate; NaN with the reason where the denominator is empty.
    """
    if not np.isfinite(found.value):
        return Estimate(NAN, NAN, NAN, *counts, "", f"no samples in the denominator of {name}")
    return Estimate(found.value, *found.interval(level=level), *counts, wilson_name(found))


def wilson_name(found: Ratio) -> str:
    """Name the interval of a ratio."""
    return "wilson, effective size by patient" if found.clustered else "wilson"
