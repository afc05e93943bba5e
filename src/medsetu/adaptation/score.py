# SPDX-License-Identifier: Apache-2.0
"""Repairs of scores: prior correction, temperature, Platt, isotonic, vector and bias-corrected temperature scaling, threshold refit.

Each is a frozen choice whose ``fit`` reads labels of validation films and returns something to ``apply`` to scores of others. Nothing here
changes the order of the scores but isotonic regression (ties) and Platt or vector scaling with a negative slope.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.curve import curve
from medsetu.evaluation.decision import Rule, Threshold, fit_threshold, read_threshold
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.metric import CLIP
from medsetu.evaluation.score import check_probability, check_scores

COOLEST, HOTTEST = 0.05, 20.0  # bounds of a temperature


class Fitted(Protocol):
    """A repair that has seen its labels."""

    def apply(self, score: ArrayLike) -> Floats:
        """Map probabilities to probabilities, same shape."""


class ScoreMethod(Protocol):
    """A way of repairing scores."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Fitted:
        """Learn from validation films: labels (1, 0, NaN unknown), probabilities, and importance weights (None: all 1)."""


@dataclass(frozen=True)
class Affine:
    """A straight line on the logit scale; what most repairs of scores come to.

    Attributes:
        slope: Factor of the logit, a number or one per finding (L,); 1 / temperature.
        intercept: What is added to it.

    Example:
        >>> Affine(1.0, 0.0).apply([0.25]).round(6).tolist()
        [0.25]
    """

    slope: float | Floats
    intercept: float | Floats

    def apply(self, score: ArrayLike) -> Floats:
        """Map probabilities; exactly 0 and 1 are moved ``CLIP`` inside."""
        return np.asarray(special.expit(self.slope * logits(score) + self.intercept))


@dataclass(frozen=True)
class Steps:
    """A rising curve through knots, constant outside (isotonic regression).

    Attributes:
        score: (K,) knots, ascending.
        probability: (K,) their probabilities, ascending.
    """

    score: Floats
    probability: Floats

    def apply(self, score: ArrayLike) -> Floats:
        """Interpolate between the knots."""
        return np.asarray(np.interp(check_probability(score), self.score, self.probability))


@dataclass(frozen=True)
class PriorCorrection:
    """Move posteriors to the local prevalence; exact under label shift for calibrated scores (Saerens, Latinne and Decaestecker 2002).

    Attributes:
        local_prevalence: Share of positives among local patients, in (0, 1); stated or estimated, never read off test labels.
        global_prevalence: Prevalence the scores were learned at; that of the labels given to ``fit`` when None.

    Raises:
        ConfigError: A prevalence is outside (0, 1).
    """

    local_prevalence: float
    global_prevalence: float | None = None

    def __post_init__(self) -> None:
        for value in (self.local_prevalence, self.global_prevalence):
            if value is not None and not 0.0 < value < 1.0:
                raise ConfigError(
                    what=f"A prevalence of {value} corrects nothing", where="Prior correction", remedy="Give a share in (0, 1)"
                )

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Affine:
        """Read the global prevalence off global validation labels; no local label is needed.

        Example:
            >>> PriorCorrection(0.1).fit([1, 0], [0.5, 0.5]).apply([0.5]).round(6).tolist()
            [0.1]
        """
        learned = self.global_prevalence
        if learned is None:
            truth, _, mass = _films(label, score, weight)
            learned = float(np.average(truth, weights=mass))
        return Affine(1.0, float(special.logit(self.local_prevalence) - special.logit(learned)))


@dataclass(frozen=True)
class Temperature:
    """Divide the logits by one number that minimises the log loss (Guo et al. 2017); within ``COOLEST`` and ``HOTTEST``."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Affine:
        """Solve for the temperature; at a bound where the loss still falls there (separated or useless scores).

        Example:
            >>> round(1 / Temperature().fit([1, 1, 1, 0], special.expit([2.0] * 4)).slope, 9)
            1.820478453
        """
        truth, score, mass = _films(label, score, weight)
        x = logits(score)

        def gradient(slope: float) -> float:
            return float(mass @ (x * (special.expit(slope * x) - truth)))

        low, high = 1 / HOTTEST, 1 / COOLEST
        if gradient(low) >= 0:
            return Affine(low, 0.0)
        if gradient(high) <= 0:
            return Affine(high, 0.0)
        return Affine(float(optimize.brentq(gradient, low, high, xtol=1e-14)), 0.0)


@dataclass(frozen=True)
class Platt:
    """Slope and intercept with Platt's targets (n+ + 1) / (n+ + 2) and 1 / (n- + 2), so that few or separated films stay finite (1999)."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Affine:
        """Fit a logistic curve of the logit of the score.

        Raises:
            DataError: There is one class, or one score.
        """
        truth, score, mass = _films(label, score, weight)
        positive, negative = float(mass @ truth), float(mass @ (1 - truth))
        target = np.where(truth == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
        x = np.tile(logits(score), 2)[:, None]
        slope, intercept = _logistic(np.column_stack([x, np.ones_like(x)]), target=target, weight=mass)
        return Affine(slope, intercept)


@dataclass(frozen=True)
class Isotonic:
    """The rising step curve closest to the labels (Zadrozny and Elkan 2002); needs many labels, and ties scores."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Steps:
        """Fit by pooling adjacent violators."""
        from sklearn.isotonic import IsotonicRegression

        truth, score, mass = _films(label, score, weight)
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, truth, sample_weight=mass)
        return Steps(np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64))


@dataclass(frozen=True)
class VectorScaling:
    """A slope and an intercept of its own for each finding, by maximum likelihood (Guo et al. 2017, for independent findings)."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Affine:
        """Fit each column of (n, L), or (n,) scores.

        Raises:
            DataError: A finding has one class, or its classes do not overlap.
        """
        truth, table = _columns(label, score)
        found = [_joint(truth[:, [column]], table[:, [column]], weight=weight) for column in range(truth.shape[1])]
        slope, intercept = np.array([one.slope for one in found]), np.concatenate([np.atleast_1d(one.intercept) for one in found])
        return Affine(float(slope[0]), float(intercept[0])) if np.ndim(score) == 1 else Affine(slope, intercept)


@dataclass(frozen=True)
class BiasCorrectedTemperature:
    """One temperature for all findings and a bias for each (Alexandari, Kundaje and Shrikumar 2020); one finding: vector scaling."""

    def fit(self, label: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Affine:
        """Fit all columns of (n, L) together, or (n,) scores.

        Raises:
            DataError: A finding has one class, or classes do not overlap.
        """
        found = _joint(*_columns(label, score), weight=weight)
        return Affine(found.slope, float(np.atleast_1d(found.intercept)[0])) if np.ndim(score) == 1 else found


def refit_threshold(label: ArrayLike, score: ArrayLike, *, rule: Rule, origin: str, weight: ArrayLike | None = None) -> Threshold:
    """Choose the threshold anew, on validation films, with importance weights where they stand for other patients.

    Args:
        label: (n,) validation labels: 1, 0, NaN unknown.
        score: (n,) their scores.
        rule: What it must reach.
        origin: Split they belong to, such as ``val/local``; recorded.
        weight: (n,) importance weights; None: all 1.

    Returns:
        The threshold.

    Raises:
        ConfigError: The origin is a test split.

    Example:
        >>> refit_threshold([0, 1, 1], [0.2, 0.4, 0.9], rule=Rule("sensitivity", 0.9), origin="val/local").value
        0.4
        >>> refit_threshold([0, 1, 1], [0.2, 0.4, 0.9], rule=Rule("sensitivity", 0.9), origin="val/global", weight=[1, 0, 1]).value
        0.9
    """
    plain = fit_threshold(label, score, rule=rule, origin=origin)
    if weight is None:
        return plain
    truth, values, mass = _films(label, score, weight)
    kept = mass > 0
    value = float(read_threshold(curve(truth[kept], values[kept], weight=mass[None, kept]), rule=rule)[0])
    return Threshold(value, rule, origin, plain.n_positive, "; ".join(part for part in (plain.note, "importance weights") if part))


def label_shift_weights(label: ArrayLike, *, local_prevalence: float) -> Floats:
    """Importance weights that give global films the local prevalence, classes otherwise unchanged (label shift).

    Args:
        label: (n,) 1, 0, NaN unknown.
        local_prevalence: Share of positives in (0, 1).

    Returns:
        (n,) weights with mean 1 over known labels; NaN where the label is unknown.

    Raises:
        DataError: A class is absent.

    Example:
        >>> label_shift_weights([1, 0, 0, 0], local_prevalence=0.5).round(3).tolist()
        [2.0, 0.667, 0.667, 0.667]
    """
    truth = np.asarray(label, dtype=np.float64)
    share = float(np.nanmean(truth)) if np.isfinite(truth).any() else 0.0
    if not 0.0 < share < 1.0:
        raise _one_class()
    weight = np.where(truth == 1, local_prevalence / share, (1 - local_prevalence) / (1 - share))
    return np.where(np.isnan(truth), np.nan, weight)


def logits(score: ArrayLike) -> Floats:
    """Logits of probabilities, 0 and 1 moved ``CLIP`` inside.

    Example:
        >>> float(logits(0.5))
        0.0
    """
    return np.asarray(special.logit(np.clip(check_probability(score), CLIP, 1 - CLIP)))


def _films(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Known labels, their probabilities and weights; both classes, or an error."""
    truth, table, _ = check_scores(label, score)
    known = ~np.isnan(np.asarray(label, dtype=np.float64))
    mass = np.ones(truth.size) if weight is None else np.asarray(weight, dtype=np.float64)[known]
    if not (np.isfinite(mass) & (mass >= 0)).all():
        raise DataError(
            what="An importance weight is negative or not a number", where="Repair of scores", remedy="Give weights of 0 or more"
        )
    if not 0 < mass @ truth < mass.sum():
        raise _one_class()
    return truth, check_probability(table[0]), mass


def _columns(label: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    truth, table = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    return (truth[:, None], table[:, None]) if table.ndim == 1 else (truth, table)


def _joint(label: Floats, score: Floats, *, weight: ArrayLike | None) -> Affine:
    """One slope, and one intercept for each column."""
    parts = [_films(label[:, column], score[:, column], weight) for column in range(label.shape[1])]
    for truth, values, mass in parts:
        present, absent = values[(truth == 1) & (mass > 0)], values[(truth == 0) & (mass > 0)]
        if present.min() > absent.max() or present.max() < absent.min():
            raise DataError(
                what="The classes do not overlap, so the slope has no largest likelihood",
                where="Repair of scores",
                remedy="Use Platt scaling",
            )
    design = [np.zeros((truth.size, len(parts) + 1)) for truth, _, _ in parts]
    for column, (rows, (_, values, _)) in enumerate(zip(design, parts, strict=True)):
        rows[:, 0], rows[:, column + 1] = logits(values), 1.0
    truth, _, mass = (np.concatenate(part) for part in zip(*parts, strict=True))
    slope, *intercept = _logistic(np.tile(np.concatenate(design), (2, 1)), target=truth, weight=mass)
    return Affine(slope, np.array(intercept))


def _logistic(design: Floats, *, target: Floats, weight: Floats) -> list[float]:
    """Coefficients of a logistic regression on soft targets: each row stands twice, as positive and as negative."""
    from sklearn.linear_model import LogisticRegression

    mass = np.concatenate([weight * target, weight * (1 - target)])
    kept = mass > 0
    if np.linalg.matrix_rank(design[kept]) < design.shape[1]:
        raise DataError(what="All scores are the same, so there is no slope", where="Repair of scores", remedy="Use a prior correction")
    outcome = np.repeat([1, 0], target.size)
    model = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-10, max_iter=200)
    model.fit(design[kept], outcome[kept], sample_weight=mass[kept])
    return [float(value) for value in model.coef_[0]]


def _one_class() -> DataError:
    return DataError(
        what="The validation films show one class only", where="Repair of scores", remedy="Add labelled films of the other class"
    )
