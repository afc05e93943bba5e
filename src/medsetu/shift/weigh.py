# SPDX-License-Identifier: Apache-2.0
"""Weights that make one side look like the other, for any number of resamples at once; resamples of both sides; simultaneous intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from medsetu.evaluation.bootstrap import patient_strata, patient_weights
from medsetu.evaluation.interval import NAN, Floats, critical
from medsetu.shift.cohort import Films
from medsetu.shift.plan import ShiftPlan

RIDGE = 1e-3  # on standardised columns: keeps a resample finite where the classes or sides are separated
_STEPS = 40
_REACH = 3.0  # largest change of a log weight in one Newton step
_SMALL = 1e-6
_BLOCK = 2_000_000  # weights held at once: 16 MB


def class_moments(values: Floats, label: Floats, *, weight: Floats) -> Floats:
    """(B, p) mean of two class means: a moment that does not move with prevalence.

    Args:
        values: (n, p) columns.
        label: (n,) 1 or 0.
        weight: (B, n) weights.

    Returns:
        Moments; NaN where a class has no weight.

    Example:
        >>> class_moments(np.array([[0.0], [4.0], [4.0]]), np.array([0.0, 1.0, 1.0]), weight=np.ones((1, 3))).tolist()
        [[2.0]]
    """
    shares = _class_shares(label, weight)
    return np.asarray(shares @ values)


def tilt(values: Floats, label: Floats, *, weight: Floats, target: Floats) -> Floats:
    """Exponential weights under which the class moments of the columns meet a target (entropy balancing, Hainmueller 2012).

    A column that is zero outside one class is balanced within that class; any other column moves both classes alike.

    Args:
        values: (n, p) standardised columns.
        label: (n,) 1 or 0.
        weight: (B, n) weights of B resamples.
        target: (B, p) class moments to meet.

    Returns:
        (B, n) weights, each class summing to 1/2; what the target leaves unmet is ``imbalance``.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0])
        >>> float((tilt(x, y, weight=np.ones((1, 4)), target=np.array([[0.8]])) @ x).round(2)[0, 0])
        0.8
    """
    upper = np.triu_indices(values.shape[1])
    squares = values[:, upper[0]] * values[:, upper[1]]
    eta = np.zeros(weight.shape)
    theta = np.zeros(target.shape)
    shares = _class_shares(label, weight)
    for _ in range(_STEPS):
        curvature = _symmetric(shares @ squares, upper)
        for truth in (0.0, 1.0):
            mean = 2 * (shares * (label == truth)) @ values
            curvature -= 0.5 * mean[:, :, None] * mean[:, None, :]
        free = np.einsum("bpp->bp", curvature) > _SMALL
        gradient = np.where(free, target - shares @ values - RIDGE * theta, 0.0)
        if not (np.abs(gradient) > _SMALL).any():
            break
        step = _solve(curvature, gradient, free)
        change = step @ values.T
        scale = np.minimum(1.0, _REACH / np.maximum(np.ptp(change, axis=1), _SMALL))[:, None]
        eta, theta = eta + scale * change, theta + scale * step
        shares = _class_shares(label, weight, eta)
    return shares


def imbalance(values: Floats, label: Floats, *, weight: Floats, target: Floats) -> float:
    """Largest distance of a class moment from its target, in standard deviations of the column; the usual limit is 0.1.

    Example:
        >>> imbalance(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), weight=np.ones((1, 2)), target=np.array([[0.5]]))
        0.0
    """
    return float(np.abs(class_moments(values, label, weight=weight) - target).max(initial=0.0))


def fit_logistic(values: Floats, label: Floats, *, weight: Floats, ridge: float = RIDGE) -> Floats:
    """Ridge logistic regressions of one table under many weights.

    Args:
        values: (n, p) standardised columns; an intercept is added.
        label: (n,) 1 or 0.
        weight: (B, n) weights; only their ratios count.
        ridge: Penalty of half the squared slopes, per unit of mean log-likelihood.

    Returns:
        (B, 1 + p) intercept and slopes.

    Example:
        >>> fit_logistic(np.zeros((4, 1)), np.array([0.0, 1.0, 1.0, 1.0]), weight=np.ones((1, 4))).round(3).tolist()
        [[1.099, 0.0]]
    """
    table = np.column_stack([np.ones(label.size), values])
    penalty = np.r_[0.0, np.full(values.shape[1], ridge)]
    upper = np.triu_indices(table.shape[1])
    squares = table[:, upper[0]] * table[:, upper[1]]
    shares = weight / weight.sum(axis=1, keepdims=True)
    found = np.zeros((weight.shape[0], table.shape[1]))
    for _ in range(_STEPS):
        fitted = special.expit(found @ table.T)
        gradient = (shares * (label - fitted)) @ table - penalty * found
        if not (np.abs(gradient) > _SMALL).any():
            break
        curvature = _symmetric((shares * fitted * (1 - fitted)) @ squares, upper) + np.diag(penalty)
        step = _solve(curvature, gradient, np.einsum("bpp->bp", curvature) > _SMALL**2)
        reach = np.abs(step @ table.T).max(axis=1)
        found += step * np.minimum(1.0, _REACH / np.maximum(reach, _SMALL))[:, None]
    return found


def effective_patients(weight: ArrayLike, *, cluster: ArrayLike) -> float:
    """Effective number of patients behind weighted films (Kish 1965): squared sum over sum of squares of the patients' weights.

    Example:
        >>> effective_patients([1.0, 1.0, 2.0], cluster=[0, 0, 1])
        2.0
    """
    by_patient = np.bincount(np.unique(np.asarray(cluster), return_inverse=True)[1], weights=np.asarray(weight, dtype=np.float64))
    squared = float((by_patient**2).sum())
    return float(by_patient.sum() ** 2 / squared) if squared > 0 else 0.0


def resamples(sides: tuple[Films, Films], plan: ShiftPlan, *, stratified: bool = True) -> Iterator[tuple[Floats, Floats]]:
    """Resample the patients of both sides independently, in blocks.

    Args:
        sides: Labelled films of the global and the local side.
        plan: Number of resamples and seed.
        stratified: Keep the number of patients with and without a positive film, as the AUROC wants.

    Yields:
        (b, n) and (b, n') film weights.
    """
    block = max(1, _BLOCK // max(len(films) for films in sides))
    strata = [patient_strata(films.label, films.cluster) if stratified else None for films in sides]
    for number, start in enumerate(range(0, plan.bootstrap, block)):
        rows = min(block, plan.bootstrap - start)
        seeds = np.random.SeedSequence([plan.seed, number]).generate_state(2)
        drawn = [
            np.concatenate(list(patient_weights(films.cluster, replicates=rows, seed=int(seed), strata=part)))
            for films, part, seed in zip(sides, strata, seeds, strict=True)
        ]
        yield drawn[0], drawn[1]


def seed_shares(models: int, *, replicates: int, seed: int) -> Floats:
    """Weights of training seeds in each replicate, so that a mean over seeds also varies as the seeds do: every row sums to 1.

    Args:
        models: Number of seeds K.
        replicates: Number of resamples B.
        seed: Seed of the draws.

    Returns:
        (B, K): 1/K plus a contrast whose spread is Student's t with K - 1 degrees of freedom; linear, so that parts still add up.

    Example:
        >>> seed_shares(1, replicates=2, seed=0).tolist()
        [[1.0], [1.0]]
    """
    shares = np.full((replicates, models), 1.0 / models)
    if models == 1:
        return shares
    rng = np.random.default_rng([seed, models])
    normal = rng.normal(size=(replicates, models))
    spread = np.sqrt(rng.chisquare(models - 1, (replicates, 1)) / (models - 1))
    return np.asarray(shares + (normal - normal.mean(axis=1, keepdims=True)) / spread / np.sqrt(models * (models - 1)))


@dataclass(frozen=True)
class Band:
    """Simultaneous intervals.

    Attributes:
        low: (J,) lower ends.
        high: (J,) upper ends.
    """

    low: Floats
    high: Floats


def simultaneous(value: Floats, replicate: Floats, *, level: float) -> Band:
    """Intervals that hold together: the level-quantile of the largest studentised deviation over the parts (max-t).

    Args:
        value: (J,) estimates.
        replicate: (J, B) their resamples.
        level: Probability that all intervals hold at once.

    Returns:
        Symmetric intervals; NaN without resamples. A part that never moves has an interval of no width.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(2, 4000))
        >>> simultaneous(np.zeros(2), draws, level=0.95).high.round(1).tolist()
        [2.2, 2.2]
    """
    kept = replicate[:, np.isfinite(replicate).all(axis=0)]
    if kept.shape[1] < max(20, replicate.shape[1] / 2):
        return Band(np.full(value.size, NAN), np.full(value.size, NAN))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2], axis=1)
    scale = (high - low) / (2 * float(critical(level)))
    moving = scale > np.finfo(float).eps
    if not moving.any():
        return Band(value.copy(), value.copy())
    deviation = np.abs(kept[moving] - value[moving, None]) / scale[moving, None]
    reach = float(np.quantile(deviation.max(axis=0), level)) * np.where(moving, scale, 0.0)
    return Band(value - reach, value + reach)


def _class_shares(label: Floats, weight: Floats, eta: Floats | float = 0.0) -> Floats:
    """(B, n) weights times exp(eta), each class summing to 1/2; NaN in a class without weight."""
    shares = np.empty(weight.shape)
    for truth in (0.0, 1.0):  # apart, lest the far larger weights of one class drown the other
        own = label == truth
        part = weight[:, own]
        if isinstance(eta, np.ndarray) and own.any():
            part = part * np.exp(eta[:, own] - eta[:, own].max(axis=1, keepdims=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares[:, own] = 0.5 * part / part.sum(axis=1, keepdims=True)
    return shares


def _symmetric(flat: Floats, upper: tuple[NDArray[np.intp], ...]) -> Floats:
    size = int(upper[0].max(initial=-1)) + 1
    full = np.zeros((flat.shape[0], size, size))
    full[:, upper[0], upper[1]] = flat
    full[:, upper[1], upper[0]] = flat
    return full


def _solve(curvature: Floats, gradient: Floats, free: NDArray[np.bool_]) -> Floats:
    """Newton step in the free coordinates, the ridge added."""
    size = gradient.shape[1]
    both = free[:, :, None] & free[:, None, :]
    matrix = np.where(both, curvature, 0.0) + np.eye(size) * np.where(free, RIDGE, 1.0)[:, None, :]
    return np.asarray(np.linalg.solve(matrix, np.where(free, gradient, 0.0)[:, :, None])[:, :, 0])
