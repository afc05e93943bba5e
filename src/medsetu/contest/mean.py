# SPDX-License-Identifier: Apache-2.0
"""Differences of means on the same films (Brier score, log loss, shares decided right), with patients and training seeds in the interval.

A mean has a formula, so nothing is resampled: variance of the sums of patients (linearised; for shares that of Obuchowski 1998), plus that
of the seeds over their number, with Satterthwaite degrees of freedom.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from medsetu.contest.contestant import Contestant
from medsetu.evaluation.interval import NAN, Floats, critical
from medsetu.evaluation.metric import CLIP
from medsetu.evaluation.score import Ints

LOSSES = ("brier", "log_loss")
_NO_SPREAD = 1e-24  # variance of a mean that is rounding alone


@dataclass(frozen=True)
class Mean:
    """A mean, or a difference of two, with its interval.

    Attributes:
        value: NaN without films.
        low: Lower end; NaN without interval.
        high: Upper end.
        p: Two-sided p-value of a true value of 0.
        note: Why there is no interval.
    """

    value: float
    low: float = NAN
    high: float = NAN
    p: float = NAN
    note: str = ""


def losses(contestant: Contestant, metric: str) -> Floats:
    """(K, n) Brier score or log loss of each film under each seed."""
    label, score = contestant.matrix.label, contestant.matrix.scores
    if metric == "brier":
        return contestant.by_seed((score - label) ** 2)
    inside = np.clip(score, CLIP, 1 - CLIP)
    return contestant.by_seed(-np.log(np.where(label == 1, inside, 1 - inside)))


def mean_with_interval(values: Floats, *, cluster: Ints, level: float) -> Mean:
    """Mean over seeds and films.

    Args:
        values: (K, n) value of each film under each seed.
        cluster: (n,) patient of each film, any codes.
        level: Confidence level.

    Returns:
        The mean.

    Example:
        >>> found = mean_with_interval(np.array([[0.0, 1.0, 0.0, 1.0]]), cluster=np.arange(4), level=0.95)
        >>> found.value, round(found.high - found.low, 3)
        (0.5, 1.837)
    """
    if not values.size:
        return Mean(NAN, note="no film")
    return _interval(values.mean(axis=0), cluster, extra=_seed_part(values.mean(axis=1)), level=level)


def paired_mean(
    first: Contestant, second: Contestant, *, values: tuple[Floats, Floats], rows: Ints, level: float, extra: float = 0.0
) -> Mean:
    """Mean difference of two contestants on the same films.

    Args:
        first: A contestant.
        second: Another.
        values: (K, n) values of each, seeds in ascending order.
        rows: Films that count, as positions.
        level: Confidence level.
        extra: Variance that neither patients nor seeds explain (thresholds).

    Returns:
        First minus second; run k is paired with run k where both have the same seeds.
    """
    if not rows.size:
        return Mean(NAN, note="no film")
    left, right = (part[:, rows] for part in values)
    if same_seeds(first, second):
        parts = [_seed_part((left - right).mean(axis=1))]
    else:
        parts = [_seed_part(left.mean(axis=1)), _seed_part(right.mean(axis=1))]
    parts.append((extra, math.inf))
    return _interval(left.mean(axis=0) - right.mean(axis=0), first.matrix.cluster[rows], extra=parts, level=level)


def same_seeds(first: Contestant, second: Contestant) -> bool:
    """Whether run k of one can be paired with run k of the other."""
    return np.array_equal(np.unique(first.matrix.seed), np.unique(second.matrix.seed))


Part = tuple[float, float]
"""A variance and its degrees of freedom."""


def _seed_part(by_seed: Floats) -> Part:
    return (float(by_seed.var(ddof=1)) / by_seed.size, by_seed.size - 1.0) if by_seed.size > 1 else (0.0, math.inf)


def _interval(values: Floats, cluster: Ints, *, extra: Part | list[Part], level: float) -> Mean:
    value = float(values.mean())
    codes = np.unique(cluster, return_inverse=True)[1]
    size = np.bincount(codes)
    if size.size < 2:
        return Mean(value, note="fewer than two patients: no interval")
    spread = (np.bincount(codes, weights=values) - size * value) / size.mean()
    parts = [(float(spread.var(ddof=1)) / size.size, size.size - 1.0), *(extra if isinstance(extra, list) else [extra])]
    variance = sum(part for part, _ in parts)
    if variance <= _NO_SPREAD:
        same = abs(value) <= math.sqrt(_NO_SPREAD)
        return Mean(0.0, 0.0, 0.0, 1.0, "equal on every film") if same else Mean(value, note="no spread between patients: no interval")
    below = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / below if below > 0 else math.inf
    error = math.sqrt(variance)
    half = float(critical(level, df=freedom)) * error
    return Mean(value, value - half, value + half, float(2 * student.sf(abs(value) / error, freedom)))
