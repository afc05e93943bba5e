# SPDX-License-Identifier: Apache-2.0
"""The ROC curve of one model under any number of sample weights at once, and what is read off it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsetu.evaluation.interval import NAN, Floats

_ROUNDING = 1e-9  # a target of 0.9 is met by 9 of 10


@dataclass(frozen=True)
class Curve:
    """Weighted true and false positives at each distinct score, from the highest down; ``score >= threshold`` is positive.

    Attributes:
        threshold: (U,) distinct scores, descending.
        true_positive: (B, U) weight of positives at or above each threshold.
        false_positive: (B, U) weight of negatives at or above each threshold.
    """

    threshold: Floats
    true_positive: Floats
    false_positive: Floats

    def sensitivity(self) -> Floats:
        """(B, U + 1) sensitivity from "nothing is positive" on; NaN without positives."""
        return _share(self.true_positive)

    def false_positive_rate(self) -> Floats:
        """(B, U + 1) 1 - specificity from "nothing is positive" on; NaN without negatives."""
        return _share(self.false_positive)


def curve(label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Curve:
    """Sweep a threshold over one model's scores.

    Args:
        label: (n,) 1 or 0.
        score: (n,) finite scores.
        weight: (B, n) sample weights of B resamples; None: one row of ones.

    Returns:
        The curve; zero samples give U = 0.

    Example:
        >>> curve([0, 1, 1], [0.2, 0.9, 0.2]).true_positive.tolist()
        [[1.0, 2.0]]
    """
    truth, values = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    falling = values[order]
    last = np.flatnonzero(np.diff(falling, append=np.inf))
    rows = np.ones((1, truth.size)) if weight is None else np.asarray(weight, dtype=np.float64)
    ordered = rows[:, order]
    hits = np.cumsum(ordered * truth[order], axis=1)
    return Curve(falling[last], hits[:, last], np.cumsum(ordered, axis=1)[:, last] - hits[:, last])


def auroc(roc: Curve) -> Floats:
    """(B,) area under the curve, ties one half; NaN where a class is absent.

    Example:
        >>> auroc(curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).tolist()
        [0.75]
    """
    return partial_area(roc, high=1.0)


def partial_area(roc: Curve, *, high: float, low: float = 0.0) -> Floats:
    """(B,) raw area between two false-positive rates, linear between the points of the curve.

    Args:
        roc: The curve.
        high: Upper false-positive rate in [0, 1].
        low: Lower false-positive rate in [0, 1].

    Returns:
        Areas in [0, high - low]; NaN where a class is absent.
    """
    x, y = roc.false_positive_rate(), roc.sensitivity()
    left, right = np.clip(x[:, :-1], low, high), np.clip(x[:, 1:], low, high)
    run = np.diff(x, axis=1)
    slope = np.divide(np.diff(y, axis=1), run, out=np.zeros_like(run), where=run > 0)
    middle = y[:, :-1] + slope * ((left + right) / 2 - x[:, :-1])
    area: Floats = ((right - left) * middle).sum(axis=1)
    return area + _defined(roc)


def partial_auroc(roc: Curve, *, high: float) -> Floats:
    """(B,) partial AUROC up to a false-positive rate, standardised after McClish 1989: 0.5 is chance, 1 is perfect.

    Args:
        roc: The curve.
        high: Largest false-positive rate in (0, 1]; 1 gives the AUROC.

    Returns:
        Standardised areas; NaN where a class is absent.
    """
    least, most = high**2 / 2, high
    return 0.5 * (1 + (partial_area(roc, high=high) - least) / (most - least))


def average_precision(roc: Curve) -> Floats:
    """(B,) average precision, the step-wise area under the precision-recall curve; NaN without positives.

    Example:
        >>> average_precision(curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).round(4).tolist()
        [0.8333]
    """
    called = roc.true_positive + roc.false_positive
    precision = np.divide(roc.true_positive, called, out=np.zeros_like(called), where=called > 0)
    area: Floats = (np.diff(roc.sensitivity(), axis=1) * precision).sum(axis=1)
    return area


def sensitivity_at_specificity(roc: Curve, *, specificity: float) -> Floats:
    """(B,) best sensitivity of a point of the curve whose specificity reaches the target: a ROC summary, no operating point."""
    allowed = roc.false_positive_rate() <= 1 - specificity + _ROUNDING
    best: Floats = np.where(allowed, roc.sensitivity(), 0.0).max(axis=1)
    return best + _defined(roc)


def specificity_at_sensitivity(roc: Curve, *, sensitivity: float) -> Floats:
    """(B,) best specificity of a point of the curve whose sensitivity reaches the target: a ROC summary, no operating point."""
    allowed = roc.sensitivity() >= sensitivity - _ROUNDING
    best: Floats = np.where(allowed, 1 - roc.false_positive_rate(), 0.0).max(axis=1)
    return best + _defined(roc)


def sensitivity_at_rates(roc: Curve, *, rates: ArrayLike) -> Floats:
    """(B, R) sensitivity at given false-positive rates, linear between points: for curves with bands.

    Args:
        roc: The curve.
        rates: (R,) ascending false-positive rates in [0, 1].

    Returns:
        Sensitivities; at a jump of the curve the upper end.
    """
    grid = np.asarray(rates, dtype=np.float64)
    x, y = roc.false_positive_rate(), roc.sensitivity()
    return np.stack([np.interp(grid + _ROUNDING, row_x, row_y) for row_x, row_y in zip(x, y, strict=True)])


def _share(cumulative: Floats) -> Floats:
    total = cumulative[:, -1:] if cumulative.shape[1] else np.zeros((cumulative.shape[0], 1))
    shares = np.divide(cumulative, total, out=np.full_like(cumulative, NAN), where=total > 0)
    return np.concatenate([np.where(total > 0, 0.0, NAN), shares], axis=1)


def _defined(roc: Curve) -> Floats:
    present = (roc.true_positive[:, -1:] > 0) & (roc.false_positive[:, -1:] > 0)
    verdict: Floats = np.where(present.any(axis=1), 0.0, NAN)
    return verdict
