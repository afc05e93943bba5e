# SPDX-License-Identifier: Apache-2.0
"""Do the scores mean what they say: calibration intercept and slope, calibration error with its null band, reliability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.interval import NAN, Floats, wilson
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.metric import CLIP, Statistics, ratio
from medsetu.evaluation.plan import SCORE_KINDS
from medsetu.evaluation.score import Ints, ScoreMatrix, check_probability

_STEPS = 30
_CONVERGED = 1e-4  # size of the last step; Newton's error is its square
_SEPARATED = 50.0  # a slope beyond this means the classes do not overlap


def recalibration(label: Floats, score: Floats, weight: Floats) -> Statistics:
    """Calibration intercept (slope fixed at 1) and slope (intercept free) by logistic regression on the logit of the score.

    Cox 1958; Van Calster 2019. Newton's method on all weight rows together. Perfect calibration is intercept 0, slope 1.

    Args:
        label: (n,) 1 or 0.
        score: (n,) probabilities; exactly 0 and 1 are moved ``CLIP`` inside.
        weight: (B, n) sample weights.

    Returns:
        ``calibration_intercept`` and ``calibration_slope``, (B,) each; NaN where a class is absent or the classes are separated.
    """
    x = special.logit(np.clip(score, CLIP, 1 - CLIP))
    total, positive = weight.sum(axis=1), weight @ label
    usable = (positive > 0) & (positive < total)
    everyone = np.ones((1, label.size))
    found = []
    for free, begin in ((False, (0.0, 1.0)), (True, (0.0, 0.0))):  # slope 1 is too steep a start for scores that are too sure
        a, b = _newton(x, label, everyone, start=begin, free_slope=free)  # a good start saves steps in every resample
        start = (float(a[0]), float(b[0])) if np.isfinite(a[0]) else begin
        found.append(_newton(x, label, weight, start=start, free_slope=free)[int(free)])
    return {"calibration_intercept": np.where(usable, found[0], NAN), "calibration_slope": np.where(usable, found[1], NAN)}


def _newton(x: Floats, label: Floats, weight: Floats, *, start: tuple[float, float], free_slope: bool) -> tuple[Floats, Floats]:
    a, b = np.full(weight.shape[0], start[0]), np.full(weight.shape[0], start[1])
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    target = weight @ (label[:, None] * powers[:, :2])
    last = np.full(a.shape, np.inf)
    for _ in range(_STEPS):
        fitted = special.expit(a[:, None] + b[:, None] * x)
        mass = weight * fitted
        gradient_a, gradient_b = (target - mass @ powers[:, :2]).T
        mass *= 1 - fitted
        aa, ab, bb = (mass @ powers).T
        if free_slope:
            determinant = aa * bb - ab**2
            step_a, step_b = ratio(bb * gradient_a - ab * gradient_b, determinant), ratio(aa * gradient_b - ab * gradient_a, determinant)
        else:
            step_a, step_b = ratio(gradient_a, aa), np.zeros_like(a)
        last = np.abs(step_a) + np.abs(step_b)
        a, b = a + np.clip(np.nan_to_num(step_a), -5, 5), b + np.clip(np.nan_to_num(step_b), -5, 5)
        if not (last > _CONVERGED).any():
            break
    found = (last <= _CONVERGED) & (np.abs(b) < _SEPARATED)
    return np.where(found, a, NAN), np.where(found, b, NAN)


def bin_of(score: ArrayLike, *, bins: int, equal_mass: bool = False) -> Ints:
    """Assign scores to bins, closed on the right as in scikit-learn and torchmetrics.

    Args:
        score: (n,) probabilities.
        bins: Number of bins, at least 1.
        equal_mass: Bins of equal count instead of equal width; tied scores stay together.

    Returns:
        (n,) bins 0 to bins - 1.

    Example:
        >>> bin_of([0.1, 0.5, 0.9], bins=2).tolist()
        [0, 0, 1]
    """
    values = check_probability(score)
    if bins < 1:
        raise ConfigError(what=f"{bins} bins are impossible", where="evaluation.bins", remedy="Give at least 1")
    if not equal_mass:
        edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    else:
        edges = np.array([part[-1] for part in np.array_split(np.sort(values), bins)[:-1] if part.size])
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def calibration_error(
    label: ArrayLike, score: ArrayLike, *, bins: int = 10, equal_mass: bool = False, norm: str = "l1", score_kind: str = "raw"
) -> float:
    """Expected calibration error: distance of mean score and frequency per bin (Naeini 2015; equal mass after Nixon 2019).

    Args:
        label: (n,) 1 or 0; for several classes: whether the top class is right.
        score: (n,) probabilities; for several classes: the top class's.
        bins: Number of bins.
        equal_mass: Bins of equal count instead of equal width.
        norm: ``l1`` (the usual), ``l2`` (root mean square) or ``max``.
        score_kind: raw, calibrated or rescaled.

    Returns:
        Error in [0, 1]; NaN without samples.

    Raises:
        DataError: The scores are rescaled, so they are no probabilities.
        ConfigError: The norm or the score kind is unknown.

    Example:
        >>> round(calibration_error([0, 0, 1, 1, 1], [0.25, 0.25, 0.55, 0.75, 0.75], bins=2), 2)
        0.29
    """
    refuse_rescaled(score_kind)
    if norm not in ("l1", "l2", "max"):
        raise ConfigError(what=f"The norm '{norm}' is unknown", where="calibration error", value=norm, allowed=("l1", "l2", "max"))
    truth, values = np.asarray(label, dtype=np.float64), check_probability(score)
    if truth.size == 0:
        return NAN
    index = bin_of(values, bins=bins, equal_mass=equal_mass)
    count = np.bincount(index, minlength=bins)
    distance = np.abs(ratio(np.bincount(index, weights=truth - values, minlength=bins), count))[count > 0]
    share = count[count > 0] / truth.size
    if norm == "max":
        return float(distance.max())
    return float((share * distance).sum()) if norm == "l1" else float(np.sqrt((share * distance**2).sum()))


def refuse_rescaled(score_kind: str) -> None:
    """Refuse to read probabilities out of scores whose operating point was moved to 0.5.

    Raises:
        DataError: The scores are rescaled.
        ConfigError: The kind is unknown.

    Example:
        >>> refuse_rescaled("raw")
    """
    if score_kind not in SCORE_KINDS:
        raise ConfigError(what=f"The score kind '{score_kind}' is unknown", where="score_kind", value=score_kind, allowed=SCORE_KINDS)
    if score_kind == "rescaled":
        raise DataError(
            what="Rescaled scores are no probabilities and have no calibration error",
            where="Calibration of the evaluation",
            remedy="Evaluate the raw or calibrated scores, or leave calibration out",
        )


@dataclass(frozen=True)
class NullBand:
    """Calibration error and what a perfectly calibrated model of this size would show.

    Attributes:
        value: Measured error, mean over models.
        mean: Mean error under perfect calibration.
        low: Lower end of the band.
        high: Upper end of the band.
    """

    value: float
    mean: float
    low: float
    high: float


def null_band(matrix: ScoreMatrix, *, bins: int, equal_mass: bool, replicates: int, seed: int, level: float = 0.95) -> NullBand:
    """Calibration error beside its distribution when every label is drawn with its own score as probability.

    Args:
        matrix: Labels and probabilities; the mean over models is taken, every seed with the same weight.
        bins: Number of bins.
        equal_mass: Bins of equal count instead of equal width.
        replicates: Simulated label sets.
        seed: Seed of the simulation.
        level: Content of the band.

    Returns:
        The error and its band; NaN without samples or replicates.
    """
    if matrix.label.size == 0:
        return NullBand(NAN, NAN, NAN, NAN)
    rng = np.random.default_rng(seed)
    uniform = rng.random((replicates, matrix.label.size))
    value, null = 0.0, np.zeros(replicates)
    for share, score in zip(seed_weights(matrix.seed.size, seed=matrix.seed), matrix.scores, strict=True):
        member = np.eye(bins)[bin_of(score, bins=bins, equal_mass=equal_mass)] / matrix.label.size
        value += share * float(np.abs((matrix.label - score) @ member).sum())
        null += share * np.abs(((uniform < score) - score) @ member).sum(axis=1)
    if replicates == 0:
        return NullBand(value, NAN, NAN, NAN)
    low, high = np.quantile(null, [(1 - level) / 2, (1 + level) / 2])
    return NullBand(value, float(null.mean()), float(low), float(high))


@dataclass(frozen=True)
class Reliability:
    """Points of a reliability curve, one per bin that holds samples.

    Attributes:
        score: (R,) mean score.
        frequency: (R,) share of positives.
        low: (R,) lower Wilson end.
        high: (R,) upper Wilson end.
        count: (R,) samples (of one model).
    """

    score: Floats
    frequency: Floats
    low: Floats
    high: Floats
    count: Floats


def reliability(matrix: ScoreMatrix, *, bins: int = 10, equal_mass: bool = True, level: float = 0.95) -> Reliability:
    """Reliability curve of the scores pooled over models; intervals count each sample once, not once per model.

    Args:
        matrix: Labels and probabilities.
        bins: Number of bins.
        equal_mass: Bins of equal count, which small sets need.
        level: Confidence level in (0, 1).

    Returns:
        The points, ascending in score.
    """
    models = matrix.scores.shape[0]
    pooled, truth = matrix.scores.ravel(), np.tile(matrix.label, models)
    index = bin_of(pooled, bins=bins, equal_mass=equal_mass)
    count = np.bincount(index, minlength=bins) / models
    kept = count > 0
    positive = np.bincount(index, weights=truth, minlength=bins)[kept] / models
    total = count[kept]
    low, high = wilson(positive, total, level=level)
    mean = np.bincount(index, weights=pooled, minlength=bins)[kept] / models / total
    return Reliability(mean, positive / total, low, high, total)
