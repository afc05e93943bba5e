# SPDX-License-Identifier: Apache-2.0
"""The label exchange rate: how many local patients global pretraining is worth, read sideways between two learning curves.

Transfer with n local patients is as good as local-only with n + w; w is the rate at n. Nothing is read outside the numbers of patients that
local-only was measured with: there the rate is censored, "more than" or "less than".
"""

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import NAN, Floats, check_level
from medsetu.shift.learning_curve import LearningCurve

_FLAT = 1e-12  # a smaller difference is rounding


@dataclass(frozen=True)
class Exchange:
    """What pretraining is worth at one number of local patients.

    Attributes:
        n: Local patients of the transfer arm.
        value: Further local patients that local-only would need; infinite above, minus infinite below what was measured.
        low: Lower end over paired replicates, infinite in the same sense; NaN without replicates.
        high: Upper end.
        least: Smallest rate that could have been seen here.
        most: Largest rate that could have been seen here.
        meets: Share of replicates in which the two curves meet.
    """

    n: float
    value: float
    low: float
    high: float
    least: float
    most: float
    meets: float

    def words(self, number: float) -> str:
        """Write a rate, censored where the curves do not meet.

        Example:
            >>> Exchange(20, float("inf"), 10, float("inf"), -12, 32, 0.4).words(float("inf"))
            'more than 32'
        """
        if isfinite(number):
            return f"{number:.0f}"
        return f"more than {self.most:.0f}" if number > 0 else f"less than {self.least:.0f}"

    @property
    def verdict(self) -> str:
        """The rate with its interval in plain words."""
        if self.value != self.value:
            return "cannot tell"
        ends = "" if self.low != self.low else f" ({self.words(self.low)} to {self.words(self.high)})"
        return f"worth {self.words(self.value)} local patients{ends}"


def exchange_rates(local_only: LearningCurve, transfer: LearningCurve, *, level: float = 0.95) -> list[Exchange]:
    """Read the exchange rate at every number of local patients that transfer was measured with.

    The local-only curve is made monotone (isotonic regression) and read linearly in log n. Replicates are paired: row b of both curves
    stands on the same resampled patients.

    Args:
        local_only: Curve of the local-only arm; all n above 0.
        transfer: Curve of the transfer arm, same metric; n = 0 (as it is) is allowed.
        level: Confidence level in (0, 1).

    Returns:
        One rate per point of the transfer curve.

    Raises:
        DataError: The curves hold different metrics or numbers of replicates, or a local-only point has no patients.

    Example:
        >>> n = np.array([10.0, 20, 40, 80])
        >>> rates = exchange_rates(LearningCurve("local-only", "auroc", n, np.array([0.6, 0.7, 0.8, 0.9])),
        ...                        LearningCurve("transfer", "auroc", n[:2], np.array([0.8, 0.95])))
        >>> [rate.verdict for rate in rates]
        ['worth 30 local patients', 'worth more than 60 local patients']
    """
    check_level(level)
    if local_only.metric != transfer.metric or local_only.draws.shape[0] != transfer.draws.shape[0] or not (local_only.n > 0).all():
        raise DataError(
            what="Two learning curves cannot be read against each other",
            where=f"{local_only.metric} of {local_only.arm}, {transfer.metric} of {transfer.arm}",
            remedy="Measure both on the same films with the same metric, replicates and seed, local-only with one patient or more",
        )
    value = crossing(local_only.n, local_only.value, levels=transfer.value)[0]
    drawn = _paired(local_only, transfer)
    rates = []
    for point, n in enumerate(transfer.n):
        ends, meets = (nan, nan), nan
        if drawn.shape[0]:
            found = drawn[:, point] - n
            low, high = (float(np.quantile(found, at, method="nearest")) for at in ((1 - level) / 2, (1 + level) / 2))
            ends = (low, high)
            meets = float(np.isfinite(found).mean())
        span = float(local_only.n[0] - n), float(local_only.n[-1] - n)
        rates.append(Exchange(float(n), float(value[point] - n), *ends, *span, meets))
    return rates


def _paired(local_only: LearningCurve, transfer: LearningCurve) -> Floats:
    if local_only.draws.shape[0] == 0:
        return np.zeros((0, transfer.n.size))
    whole = np.isfinite(local_only.draws).all(axis=1) & np.isfinite(transfer.draws).all(axis=1)
    return crossing(local_only.n, local_only.draws[whole], levels=transfer.draws[whole])


def crossing(n: ArrayLike, values: ArrayLike, *, levels: ArrayLike) -> Floats:
    """Find where monotone curves reach given levels.

    Args:
        n: (P,) ascending, above 0.
        values: (P,) or (B, P) curves; made monotone first.
        levels: (L,) or (B, L) levels to reach.

    Returns:
        (B, L) numbers of patients; infinite above the curve, minus infinite below its first point, NaN where something is NaN.

    Example:
        >>> crossing([10, 100], [0.5, 0.7], levels=[0.4, 0.5, 0.6, 0.8]).round(3).tolist()
        [[-inf, 10.0, 31.623, inf]]
    """
    size, wanted = np.log(np.asarray(n, dtype=np.float64)), np.atleast_2d(np.asarray(levels, dtype=np.float64))
    rising = isotonic(values)
    found = np.full(wanted.shape, NAN)
    for row, (heights, level) in enumerate(zip(rising, wanted, strict=True)):
        keep = np.concatenate([[True], np.diff(heights) > _FLAT])  # of a plateau the fewest patients
        found[row] = np.exp(np.interp(level, heights[keep], size[keep]))
        found[row] = np.where(level > heights[-1] + _FLAT, np.inf, np.where(level < heights[0] - _FLAT, -np.inf, found[row]))
    return np.where(np.isnan(wanted) | np.isnan(rising).any(axis=1, keepdims=True), NAN, found)


def isotonic(values: ArrayLike) -> Floats:
    """Closest rising curves, by the max-min formula (Robertson, Wright and Dykstra 1988), equal weights.

    Args:
        values: (P,) or (B, P).

    Returns:
        (B, P) rising along the last axis.

    Example:
        >>> isotonic([0.6, 0.8, 0.7, 0.9]).round(3).tolist()
        [[0.6, 0.75, 0.75, 0.9]]
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    points = table.shape[1]
    total = np.concatenate([np.zeros((len(table), 1)), table.cumsum(axis=1)], axis=1)
    mean = np.full((len(table), points, points), np.inf)  # mean[:, j, k] of the points j to k
    for j in range(points):
        mean[:, j, j:] = (total[:, j + 1 :] - total[:, [j]]) / np.arange(1, points - j + 1)
    least = np.minimum.accumulate(mean[:, :, ::-1], axis=2)[:, :, ::-1]
    return np.stack([least[:, : i + 1, i].max(axis=1) for i in range(points)], axis=1)
