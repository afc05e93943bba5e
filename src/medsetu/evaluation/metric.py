# SPDX-License-Identifier: Apache-2.0
"""Metrics of one model as numbers, each for any number of sample weights at once (the weights of a resample)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import ConfigError
from medsetu.evaluation import curve as roc_curve
from medsetu.evaluation.curve import Curve, curve
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.score import check_scores

CLIP = 1e-7  # scores of exactly 0 and 1 are moved this far inside before a logarithm

Statistics = dict[str, Floats]
Statistic = Callable[[Floats, Floats, Floats], Statistics]
"""Label (n,), score (n,), weight (B, n) -> name to (B,) values; NaN where undefined."""


def auroc_value(label: ArrayLike, score: ArrayLike) -> float:
    """AUROC of one score column as a plain number.

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        score: (n,) finite scores on any monotone scale.

    Returns:
        AUROC in [0, 1]; NaN where only one class is present.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> auroc_value([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    truth, table, _ = check_scores(label, score)
    return float(roc_curve.auroc(curve(truth, table[0]))[0]) if truth.size else float("nan")


def brier(label: Floats, score: Floats, weight: Floats) -> Floats:
    """(B,) mean squared distance of probability and outcome.

    Example:
        >>> float(brier(np.array([0, 1, 1, 0.0]), np.array([0.1, 0.9, 0.8, 0.3]), np.ones((1, 4)))[0].round(4))
        0.0375
    """
    return weighted_mean((score - label) ** 2, weight)


def log_loss(label: Floats, score: Floats, weight: Floats) -> Floats:
    """(B,) mean negative log-likelihood; scores are kept ``CLIP`` away from 0 and 1."""
    inside = np.clip(score, CLIP, 1 - CLIP)
    return weighted_mean(-(label * np.log(inside) + (1 - label) * np.log1p(-inside)), weight)


def observed_expected(label: Floats, score: Floats, weight: Floats) -> Floats:
    """(B,) observed over expected positives: above 1 the scores are too low."""
    return ratio(weight @ label, weight @ score)


def net_benefit(true_positive: ArrayLike, false_positive: ArrayLike, *, total: ArrayLike, threshold: float) -> Floats:
    """Net benefit at a threshold probability (Vickers and Elkin 2006): TP/n - FP/n * odds(threshold).

    Args:
        true_positive: Positives called positive.
        false_positive: Negatives called positive.
        total: All samples; 0 gives NaN.
        threshold: Probability in [0, 1) at which one would treat.

    Returns:
        Net benefit, at most the prevalence; treating everybody is the value at TP = events, FP = non-events.

    Raises:
        ConfigError: The threshold is outside [0, 1).

    Example:
        >>> round(float(net_benefit(24, 91, total=750, threshold=0.1)), 10)
        0.0185185185
    """
    if not 0.0 <= threshold < 1.0:
        raise ConfigError(
            what=f"A threshold probability of {threshold} is impossible", where="decision_thresholds", remedy="Give numbers in [0, 1)"
        )
    gain = np.asarray(true_positive, dtype=np.float64) - np.asarray(false_positive, dtype=np.float64) * threshold / (1 - threshold)
    return ratio(gain, np.asarray(total, dtype=np.float64))


def predictive_values(sensitivity: ArrayLike, specificity: ArrayLike, *, prevalence: float) -> tuple[Floats, Floats]:
    """PPV and NPV at a stated prevalence, by Bayes' rule.

    Args:
        sensitivity: In [0, 1].
        specificity: In [0, 1].
        prevalence: In [0, 1].

    Returns:
        PPV and NPV; NaN where nobody would be called.

    Raises:
        ConfigError: The prevalence is outside [0, 1].

    Example:
        >>> [round(float(value), 4) for value in predictive_values(0.9, 0.7, prevalence=0.1)]
        [0.25, 0.9844]
    """
    if not 0.0 <= prevalence <= 1.0:
        raise ConfigError(what=f"A prevalence of {prevalence} is impossible", where="prevalences", remedy="Give numbers in [0, 1]")
    sens, spec = np.asarray(sensitivity, dtype=np.float64), np.asarray(specificity, dtype=np.float64)
    called = sens * prevalence + (1 - spec) * (1 - prevalence)
    cleared = spec * (1 - prevalence) + (1 - sens) * prevalence
    return ratio(sens * prevalence, called), ratio(spec * (1 - prevalence), cleared)


def ranking(roc: Curve, *, partial_fpr: float, sensitivities: ArrayLike, specificities: ArrayLike) -> Statistics:
    """Statistics that need only the order of the scores; ``roc_...`` are summaries of the test curve, no operating points."""
    found = {
        "auprc": roc_curve.average_precision(roc),
        f"partial_auroc_fpr_{short(partial_fpr)}": roc_curve.partial_auroc(roc, high=partial_fpr),
    }
    for target in np.asarray(specificities, dtype=np.float64):
        found[f"roc_sensitivity_at_specificity_{short(target)}"] = roc_curve.sensitivity_at_specificity(roc, specificity=float(target))
    for target in np.asarray(sensitivities, dtype=np.float64):
        found[f"roc_specificity_at_sensitivity_{short(target)}"] = roc_curve.specificity_at_sensitivity(roc, sensitivity=float(target))
    return found


def probability(label: Floats, score: Floats, weight: Floats, *, decision_thresholds: ArrayLike) -> Statistics:
    """Statistics of the scores as probabilities: Brier, log loss, observed / expected, net benefit."""
    found = {
        "brier": brier(label, score, weight),
        "log_loss": log_loss(label, score, weight),
        "observed_expected": observed_expected(label, score, weight),
    }
    total = weight.sum(axis=1)
    for threshold in np.asarray(decision_thresholds, dtype=np.float64):
        called = (score >= threshold).astype(np.float64)
        found[f"net_benefit_{short(threshold)}"] = net_benefit(
            weight @ (called * label), weight @ (called * (1 - label)), total=total, threshold=float(threshold)
        )
    return found


def short(number: float) -> str:
    """Write a target in the name of a metric: two decimals where they suffice.

    Example:
        >>> short(0.9), short(0.001)
        ('0.90', '0.001')
    """
    return f"{number:.2f}" if round(number, 2) == number else f"{number:g}"


def weighted_mean(values: Floats, weight: Floats) -> Floats:
    """(B,) mean of (n,) values under (B, n) weights; NaN without weight."""
    return ratio(weight @ values, weight.sum(axis=1))


def ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """Divide, NaN where the divisor is 0.

    Example:
        >>> ratio([1, 1], [2, 0]).tolist()
        [0.5, nan]
    """
    top, bottom = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    quotient: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
    return quotient
