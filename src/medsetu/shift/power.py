# SPDX-License-Identifier: Apache-2.0
"""What a study of this size could have seen: power and sample size of AUROC comparisons, by normal approximation.

While planning, standard errors come from the value alone (Hanley and McNeil, Radiology 1982, 143:29-36); after the study, from the
interval that is printed. Power is always for a difference declared beforehand, never for the observed one (Hoenig and Heisey,
Am Stat 2001, 55:19-24).
"""

import math

from scipy.stats import norm

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Estimate, critical, hanley_mcneil


def planned_error(auroc_a: float, auroc_b: float, *, n_positive: int, n_negative: int, correlation: float) -> float:
    """Standard error of a paired difference of two AUROCs on the same films, before the study.

    Args:
        auroc_a: Expected AUROC of the first arm.
        auroc_b: Expected AUROC of the second arm.
        n_positive: Independent positives.
        n_negative: Independent negatives.
        correlation: Correlation of the two AUROC estimates, in [0, 1); 0.5 to 0.7 between networks of one family.

    Returns:
        The standard error.

    Raises:
        ConfigError: An AUROC is outside (0, 1), a class is empty, or the correlation is outside [0, 1).

    Example:
        >>> round(planned_error(0.93, 0.90, n_positive=100, n_negative=100, correlation=0.6), 4)
        0.0189
    """
    if not (0 < auroc_a < 1 and 0 < auroc_b < 1 and min(n_positive, n_negative) >= 1 and 0 <= correlation < 1):
        raise ConfigError(
            what="A comparison of AUROCs cannot be planned with these numbers",
            where="shift.power",
            remedy="Expect AUROCs between 0 and 1, at least one film per class, and a correlation of at least 0 and below 1",
        )
    first, second = (float(hanley_mcneil(auroc, n_positive, negatives=n_negative)) for auroc in (auroc_a, auroc_b))
    return math.sqrt(first + second - 2 * correlation * math.sqrt(first * second))


def interval_error(estimate: Estimate, *, level: float = 0.95) -> float:
    """Standard error that a printed interval implies: half its width over the normal quantile.

    Args:
        estimate: A difference with its interval.
        level: Confidence level of that interval.

    Returns:
        The standard error; NaN when the interval is NaN.
    """
    return (estimate.high - estimate.low) / (2 * float(critical(level)))


def detection_power(difference: float, *, standard_error: float, level: float = 0.95) -> float:
    """Probability that a two-sided comparison finds a difference of the declared size.

    Args:
        difference: Difference of interest, declared beforehand, in AUROC.
        standard_error: Standard error of the estimated difference.
        level: Confidence level of the interval that decides.

    Returns:
        Power in [0, 1]; NaN when the standard error is NaN.

    Example:
        >>> round(detection_power(0.05, standard_error=0.02), 3)
        0.705
    """
    if math.isnan(standard_error):
        return math.nan
    if standard_error == 0:
        return float(difference != 0)
    quantile = float(critical(level))
    ratio = difference / standard_error
    return float(norm.cdf(ratio - quantile) + norm.cdf(-ratio - quantile))


def noninferiority_power(margin: float, *, standard_error: float, truth: float = 0.0, level: float = 0.95) -> float:
    """Probability that the lower bound of a difference comes to lie above minus the margin.

    Args:
        margin: How much worse would still be accepted, positive, in AUROC.
        standard_error: Standard error of the estimated difference.
        truth: True difference; 0 for equal arms.
        level: Confidence level of the two-sided interval whose lower bound decides.

    Returns:
        Power in [0, 1]; NaN when the standard error is NaN.

    Example:
        >>> round(noninferiority_power(0.05, standard_error=0.0204), 2)
        0.69
    """
    if math.isnan(standard_error):
        return math.nan
    if standard_error == 0:
        return float(truth > -margin)
    return float(norm.cdf((truth + margin) / standard_error - float(critical(level))))


def sample_size(difference: float, *, auroc: float, correlation: float, power: float = 0.8, level: float = 0.95) -> int:
    """Films per class that a paired comparison needs to find a declared difference.

    Args:
        difference: Smallest difference of interest, declared beforehand, positive, in AUROC.
        auroc: Expected AUROC, the mean of the two arms, in (0, 1).
        correlation: Correlation of the two AUROC estimates, in [0, 1).
        power: Wanted power.
        level: Confidence level.

    Returns:
        Positives, and as many negatives.

    Raises:
        ConfigError: The difference is not positive, the power not in (0, 1), or the AUROCs cannot be planned with.

    Example:
        >>> sample_size(0.05, auroc=0.91, correlation=0.7)
        88
    """
    if difference <= 0 or not 0 < power < 1:
        raise ConfigError(
            what=f"No sample size gives power {power} for a difference of {difference}",
            where="shift.power.sample_size",
            remedy="Declare a positive difference such as 0.05, and a power between 0 and 1 such as 0.8",
        )
    low, high = 0, 1
    while _reached(high, difference=difference, auroc=auroc, correlation=correlation, level=level) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = _reached(middle, difference=difference, auroc=auroc, correlation=correlation, level=level) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def _reached(per_class: int, *, difference: float, auroc: float, correlation: float, level: float) -> float:
    error = planned_error(auroc, auroc, n_positive=per_class, n_negative=per_class, correlation=correlation)
    return detection_power(difference, standard_error=error, level=level)
