# SPDX-License-Identifier: Apache-2.0
"""Intervals that hold for small sets: Wilson, Clopper-Pearson, logit-t, Newcombe's method 5 and MOVER."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from medsetu.core.errors import ConfigError

Floats = NDArray[np.float64]
NAN = float("nan")
SMALL_CLASS = 20  # patients per class below which Newcombe's method 5 replaces logit-t


@dataclass(frozen=True)
class Estimate:
    """A number, how sure we are of it, and what it rests on.

    Attributes:
        value: The estimate; NaN when it is undefined, and then ``note`` says why.
        low: Lower end of the interval; NaN when there is none.
        high: Upper end of the interval; NaN when there is none.
        n_patients: Patients (clusters) behind it; images where no patient ids exist.
        n_samples: Images behind it.
        n_positive: Positive images behind it.
        method: Estimator of the interval, "" when there is none.
        note: Reason of a NaN, grouping, claim level; parts joined by "; ".
    """

    value: float
    low: float
    high: float
    n_patients: int
    n_samples: int
    n_positive: int
    method: str
    note: str = ""


def check_level(level: float) -> float:
    """Refuse a confidence level outside (0, 1).

    Raises:
        ConfigError: The level is not a probability strictly between 0 and 1.

    Example:
        >>> check_level(0.95)
        0.95
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(
            what=f"A confidence level of {level} is impossible", where="level", remedy="Give a number between 0 and 1, such as 0.95"
        )
    return level


def critical(level: float, *, df: ArrayLike = np.inf) -> Floats:
    """Two-sided critical value of Student's t (normal for infinite degrees of freedom).

    Args:
        level: Confidence level in (0, 1).
        df: Degrees of freedom, any shape; infinite means normal.

    Returns:
        Critical values, shape of ``df``.

    Example:
        >>> round(float(critical(0.95)), 4), round(float(critical(0.95, df=10)), 4)
        (1.96, 2.2281)
    """
    probability = 0.5 + check_level(level) / 2
    freedom = np.asarray(df, dtype=np.float64)
    normal = float(special.ndtri(probability))
    with np.errstate(invalid="ignore"):
        student = special.stdtrit(np.where(np.isfinite(freedom), freedom, 1.0), probability)
    return np.where(np.isinf(freedom), normal, student)


def wilson(positive: ArrayLike, total: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Score interval of a proportion (Wilson 1927; Newcombe 1998 method 3).

    Args:
        positive: Successes, any shape; may be fractional (effective counts).
        total: Trials, same shape; 0 gives NaN.
        level: Confidence level in (0, 1).

    Returns:
        Lower and upper ends in [0, 1].

    Example:
        >>> [round(float(end), 4) for end in wilson(81, 263)]
        [0.2553, 0.3662]
    """
    z = float(critical(level))
    return wilson_bound(positive, total, z=-z), wilson_bound(positive, total, z=z)


def wilson_bound(positive: ArrayLike, total: ArrayLike, *, z: ArrayLike) -> Floats:
    """One Wilson bound at a normal deviate: as ``z`` runs over the normal law this is a confidence distribution.

    Args:
        positive: Successes, any shape.
        total: Trials, same shape; 0 gives NaN.
        z: Normal deviates, broadcast against the counts; negative gives lower bounds.

    Returns:
        Bounds in [0, 1], broadcast shape.

    Example:
        >>> float(wilson_bound(0, 20, z=-1.96)), round(float(wilson_bound(0, 20, z=1.96)), 4)
        (0.0, 0.1611)
    """
    k, n, deviate = (np.asarray(part, dtype=np.float64) for part in (positive, total, z))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = deviate * np.sqrt(np.maximum(k * (n - k) / n, 0.0) + deviate**2 / 4)
        return np.clip((k + deviate**2 / 2 + spread) / (n + deviate**2), 0.0, 1.0) + np.where(n > 0, 0.0, NAN)


def clopper_pearson(positive: float, total: float, *, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934).

    Args:
        positive: Successes.
        total: Trials; 0 gives NaN.
        level: Confidence level in (0, 1).

    Returns:
        Lower and upper end in [0, 1].

    Example:
        >>> [round(end, 4) for end in clopper_pearson(1, 29)]
        [0.0009, 0.1776]
    """
    tail = (1 - check_level(level)) / 2
    if total <= 0:
        return NAN, NAN
    low = 0.0 if positive == 0 else float(special.betaincinv(positive, total - positive + 1, tail))
    high = 1.0 if positive == total else float(special.betaincinv(positive + 1, total - positive, 1 - tail))
    return low, high


def logit_interval(value: ArrayLike, variance: ArrayLike, *, df: ArrayLike = np.inf, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of a number in (0, 1), symmetric on the logit scale.

    Args:
        value: Estimates strictly between 0 and 1, any shape; elsewhere the interval is NaN.
        variance: Their variances on the plain scale.
        df: Degrees of freedom of the variance (Student's t).
        level: Confidence level in (0, 1).

    Returns:
        Lower and upper ends in (0, 1).

    Example:
        >>> [round(float(end), 3) for end in logit_interval(0.9, 0.0018)]
        [0.781, 0.958]
    """
    theta = np.asarray(value, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where((theta > 0) & (theta < 1), theta, NAN)
        reach = critical(level, df=df) * np.sqrt(np.asarray(variance, dtype=np.float64)) / (inside * (1 - inside))
        middle = special.logit(inside)
    return special.expit(middle - reach), special.expit(middle + reach)


def newcombe_auroc(
    value: ArrayLike, positives: ArrayLike, *, negatives: ArrayLike, extra: ArrayLike = 0.0, df: ArrayLike = np.inf, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Interval of an AUROC by Newcombe 2006, method 5: the Hanley-McNeil variance solved at the bounds.

    It never collapses at an AUROC of 1 and is the interval of choice where a class is small.

    Args:
        value: AUROC in [0, 1], any shape.
        positives: Positive patients (at least 1).
        negatives: Negative patients (at least 1).
        extra: Further variance that does not shrink with patients (training seeds).
        df: Degrees of freedom of the whole variance; infinite when ``extra`` is 0.
        level: Confidence level in (0, 1).

    Returns:
        Lower and upper ends in [0, 1].

    Example:
        >>> [round(float(end), 3) for end in newcombe_auroc(1.0, 25, negatives=25)]
        [0.919, 1.0]
    """
    theta, m, n, more = (np.asarray(part, dtype=np.float64) for part in (value, positives, negatives, extra))
    reach = critical(level, df=df)
    mean = (m + n) / 2  # Newcombe makes the variance symmetric: both classes enter with their mean size

    def bound(end: float) -> Floats:
        near, far = np.broadcast_arrays(theta + 0 * m * n * more * np.where(np.isinf(reach), 0.0, reach), end)
        near, far = near.copy(), far.copy()
        for _ in range(50):  # bisection: 2^-50 is below rounding
            middle = (near + far) / 2
            variance = hanley_mcneil(middle, mean, negatives=mean) * mean**2 / (m * n) + more
            inside = np.abs(theta - middle) < reach * np.sqrt(variance)
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        return near

    return bound(0.0), bound(1.0)


def hanley_mcneil(value: ArrayLike, positives: ArrayLike, *, negatives: ArrayLike) -> Floats:
    """Variance of an AUROC from its value alone, under exponential scores (Hanley and McNeil 1982).

    Args:
        value: AUROC in [0, 1].
        positives: Number of positives.
        negatives: Number of negatives.

    Returns:
        Variance; 0 at 0 and 1.

    Example:
        >>> round(float(hanley_mcneil(0.893171, 51, negatives=58)) ** 0.5, 5)
        0.03249
    """
    theta, m, n = (np.asarray(part, dtype=np.float64) for part in (value, positives, negatives))
    return theta * (1 - theta) / (m * n) * (1 + (m - 1) * (1 - theta) / (2 - theta) + (n - 1) * theta / (1 + theta))


def small_or_perfect(value: ArrayLike, *, classes: tuple[int, int]) -> NDArray[np.bool_]:
    """Where Newcombe's method 5 replaces the logit interval: a class below ``SMALL_CLASS`` patients, or an AUROC of 0 or 1.

    Example:
        >>> small_or_perfect([0.9, 1.0], classes=(50, 50)).tolist()
        [False, True]
    """
    theta = np.asarray(value, dtype=np.float64)
    return (min(classes) < SMALL_CLASS) | (theta <= 0.0) | (theta >= 1.0)


def auroc_interval(
    value: ArrayLike,
    variance: ArrayLike,
    *,
    df: ArrayLike,
    classes: tuple[int, int],
    spread: tuple[ArrayLike, int] = (0.0, 0),
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """The interval of ``estimate_from`` from its ingredients, for any number of cohorts of one design at once.

    Args:
        value: AUROC in [0, 1], any shape.
        variance: Patient variance, same shape.
        df: Degrees of freedom of the patient variance.
        classes: Positive and negative patients.
        spread: Variance that the seeds add to the mean, and its degrees of freedom K - 1 (0 for one seed).
        level: Confidence level in (0, 1).

    Returns:
        Lower and upper ends in [0, 1].
    """
    theta, patients = np.asarray(value, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    extra = np.asarray(spread[0], dtype=np.float64)
    logit = logit_interval(theta, patients + extra, df=satterthwaite(patients, df, spread=spread), level=level)
    small = small_or_perfect(theta, classes=classes)
    if not small.any():
        return logit
    newcombe = newcombe_auroc(
        theta, classes[0], negatives=classes[1], extra=extra, df=satterthwaite(patients, np.inf, spread=spread), level=level
    )
    return np.where(small, newcombe[0], logit[0]), np.where(small, newcombe[1], logit[1])


def satterthwaite(variance: ArrayLike, df: ArrayLike, *, spread: tuple[ArrayLike, int]) -> Floats:
    """Degrees of freedom of a patient variance plus the variance the seeds add.

    Args:
        variance: Patient variance, any shape.
        df: Its degrees of freedom; infinite for a known variance.
        spread: Variance that the seeds add, and its degrees of freedom K - 1 (0 for one seed).

    Returns:
        Degrees of freedom, between the smaller of the two and their sum.

    Example:
        >>> float(satterthwaite(1.0, 20.0, spread=(0.0, 0))), float(satterthwaite(1.0, np.inf, spread=(1.0, 2)))
        (20.0, 8.0)
    """
    patients, extra = np.asarray(variance, dtype=np.float64), np.asarray(spread[0], dtype=np.float64)
    parts = patients**2 / np.asarray(df, dtype=np.float64) + (extra**2 / spread[1] if spread[1] else 0.0)
    freedom: Floats = np.divide((patients + extra) ** 2, parts, out=np.full(np.shape(parts + extra), np.inf), where=parts > 0)
    return freedom


def mover(
    value_a: ArrayLike,
    interval_a: tuple[ArrayLike, ArrayLike],
    *,
    value_b: ArrayLike,
    interval_b: tuple[ArrayLike, ArrayLike],
    correlation: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """Interval of a - b from the two single intervals: square and add (Zou and Donner 2008, method of variance estimates recovery).

    Args:
        value_a: First estimate.
        interval_a: Its lower and upper end.
        value_b: Second estimate.
        interval_b: Its lower and upper end.
        correlation: Correlation of the two estimates in [-1, 1]; 0 for disjoint patients.

    Returns:
        Lower and upper end of the difference.

    Example:
        >>> [round(float(end), 3) for end in mover(0.9, (0.8, 0.95), value_b=0.8, interval_b=(0.7, 0.88))]
        [-0.028, 0.212]
    """
    a, b, rho = (np.asarray(part, dtype=np.float64) for part in (value_a, value_b, correlation))
    below_a, above_a = a - np.asarray(interval_a[0]), np.asarray(interval_a[1]) - a
    below_b, above_b = b - np.asarray(interval_b[0]), np.asarray(interval_b[1]) - b
    down = np.maximum(below_a**2 + above_b**2 - 2 * rho * below_a * above_b, 0.0)
    up = np.maximum(above_a**2 + below_b**2 - 2 * rho * above_a * below_b, 0.0)
    return a - b - np.sqrt(down), a - b + np.sqrt(up)


def join_notes(*notes: str) -> str:
    """Join remarks, without empty or repeated ones.

    Example:
        >>> join_notes("by image", "", "by image", "descriptive")
        'by image; descriptive'
    """
    return "; ".join(dict.fromkeys(part for note in notes for part in note.split("; ") if part))
