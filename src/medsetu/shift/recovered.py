# SPDX-License-Identifier: Apache-2.0
"""How much of the gap was recovered: a ratio of means with Fieller's set, printed only where it says something."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsetu.evaluation.delong import SeedSpread, seed_spread
from medsetu.evaluation.interval import Floats, critical
from medsetu.shift.pairing import ArmScores

SMALLEST_GAP = 0.05  # AUROC; the lower bound of G - L must lie above it


@dataclass(frozen=True)
class FiellerSet:
    """Confidence set of a ratio.

    Attributes:
        value: The ratio.
        low: Lower end; NaN when the set is unbounded.
        high: Upper end; NaN when the set is unbounded.
    """

    value: float
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether the set is an interval."""
        return not math.isnan(self.low)


def fieller(numerator: float, denominator: float, *, covariance: ArrayLike, quantile: float) -> FiellerSet:
    """Confidence set of numerator / denominator (Fieller, J R Stat Soc B 1954, 16:175-185).

    Args:
        numerator: Estimate above the line.
        denominator: Estimate below the line.
        covariance: (2, 2) covariance of the two.
        quantile: Critical value, two-sided.

    Returns:
        The set; unbounded when the denominator is not significantly different from 0.

    Example:
        >>> ratio = fieller(1.0, 2.0, covariance=[[0.04, 0.0], [0.0, 0.04]], quantile=1.96)
        >>> round(ratio.value, 3), round(ratio.low, 3), round(ratio.high, 3)
        (0.5, 0.296, 0.744)
        >>> fieller(0.1, 0.1, covariance=[[0.04, 0.0], [0.0, 0.04]], quantile=1.96).bounded
        False
    """
    table, square = np.asarray(covariance, dtype=np.float64), quantile**2
    value = numerator / denominator if denominator else math.nan
    leading = denominator**2 - square * float(table[1, 1])
    if not leading > 0:
        return FiellerSet(value, math.nan, math.nan)
    middle = numerator * denominator - square * float(table[0, 1])
    last = numerator**2 - square * float(table[0, 0])
    root = math.sqrt(max(middle**2 - leading * last, 0.0))
    return FiellerSet(value, (middle - root) / leading, (middle + root) / leading)


def recovered_share(reference: ArmScores, *, before: ArmScores, after: ArmScores, level: float = 0.95) -> FiellerSet:
    """(T - L) / (G - L) with its Fieller set: patients by DeLong, seeds by their spread.

    Args:
        reference: Global-only on global (G), disjoint films.
        before: Global-only on local (L).
        after: Transfer on local (T), the same films as ``before``.
        level: Confidence level in (0, 1).

    Returns:
        The ratio of means, never clipped.
    """
    arms = (reference, before, after)
    means = [arm.parts.averaged(arm.seed) for arm in arms]
    value = np.array([float(mean.auroc[0]) for mean in means])
    patients = np.diag([float(mean.variance()[0]) for mean in means])
    patients[1, 2] = patients[2, 1] = float(means[1].row_covariance(means[2])[0])
    spreads = [seed_spread(arm.parts.auroc, seed=arm.seed) for arm in arms]
    difference = np.array([[0.0, -1.0, 1.0], [1.0, -1.0, 0.0]])
    by_patient, by_seed = (difference @ part @ difference.T for part in (patients, _seed_covariance(spreads)))
    films = min(float(mean.degrees()[0]) for mean in means)
    freedom = min(_degrees(by_patient[row, row], by_seed[row, row], films=films, seeds=spreads[0].count) for row in (0, 1))
    above, below = difference @ value
    return fieller(float(above), float(below), covariance=by_patient + by_seed, quantile=float(critical(level, df=freedom)))


def _seed_covariance(spreads: list[SeedSpread]) -> Floats:
    count = spreads[0].count
    if count < 2:
        return np.zeros((len(spreads), len(spreads)))
    return np.atleast_2d(np.cov(np.stack([spread.by_seed for spread in spreads]), ddof=1)) / count


def _degrees(patients: float, by_seed: float, *, films: float, seeds: int) -> float:
    """Satterthwaite degrees of freedom of patient variance + seed variance."""
    spread = patients**2 / films + (by_seed**2 / (seeds - 1) if seeds > 1 else 0.0)
    return (patients + by_seed) ** 2 / spread if spread > 0 else math.inf
