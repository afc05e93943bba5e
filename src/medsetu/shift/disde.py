# SPDX-License-Identifier: Apache-2.0
"""Which part of a drop is a change of the films, and which a change of what they mean: DISDE (Cai, Namkoong and Yadlowsky 2023).

Both sides are compared on the density they share, p q / (p + q): from global to shared X shifts, on the shared density Y given X shifts,
from shared to local X shifts again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from medsetu.core.errors import DataError
from medsetu.evaluation.bootstrap import percentile
from medsetu.evaluation.interval import NAN, Floats
from medsetu.evaluation.metric import CLIP, ratio
from medsetu.evaluation.score import Ints
from medsetu.manifest.progress import progress
from medsetu.shift.cohort import Cohort
from medsetu.shift.measured import COMPONENTS_LOOKED_AT, Measured, Sides, appearance, case_mix, components_for, join, labelled
from medsetu.shift.overlap import FOLDS, overlap, patient_folds
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import NOT_IDENTIFIED, REFUSED
from medsetu.shift.weigh import fit_logistic, resamples, seed_shares, simultaneous

TERMS = ("X shift, global to shared", "Y given X", "X shift, shared to local")
LOSSES = ("log loss", "Brier")
METHOD = "DISDE, shared density p q / (p + q), classifier of the side cross-fitted by patient and refitted in each resample"


@dataclass(frozen=True)
class Split:
    """A rise of a loss from global to local, in three terms that add up.

    Attributes:
        loss: ``log loss`` or ``Brier``.
        terms: (3,) ``TERMS``; positive is loss. NaN where refused.
        low: (3,) lower ends, simultaneous over the terms.
        high: (3,) upper ends.
        total: Local minus global loss.
        ends: Interval of the total.
        covariates: What X was.
        verdict: ``""``, ``not identified`` or ``refused: ...``.
        note: Reason or overlap.
    """

    loss: str
    terms: Floats
    low: Floats
    high: Floats
    total: float
    ends: tuple[float, float]
    covariates: tuple[str, ...]
    verdict: str
    note: str


def split_discrete(
    p: ArrayLike, q: ArrayLike, *, loss_p: ArrayLike, loss_q: ArrayLike
) -> tuple[Floats, tuple[float, float, float, float], tuple[float, float, float]]:
    """DISDE where X takes few values and everything is known.

    Args:
        p: (V,) global probabilities of the values.
        q: (V,) local probabilities.
        loss_p: (V,) expected global loss at each value.
        loss_q: (V,) expected local loss.

    Returns:
        Shared density (V,); mean losses (global, shared with the global loss, shared with the local loss, local); their three steps.

    Raises:
        DataError: The sides share no value.

    Example:
        >>> [round(term, 2) for term in split_discrete([0.5, 0.5], [0.5, 0.5], loss_p=[0.1, 0.2], loss_q=[0.2, 0.3])[2]]
        [0.0, 0.1, 0.0]
    """
    first, second, before, after = (np.asarray(part, dtype=np.float64) for part in (p, q, loss_p, loss_q))
    product = ratio(first * second, first + second)
    shared = np.where(np.isnan(product), 0.0, product)
    if not shared.sum() > 0:
        raise DataError(what="The sides share no value of X", where="DISDE", remedy="Compare sides that overlap")
    shared = shared / shared.sum()
    means = (float(first @ before), float(shared @ before), float(shared @ after), float(second @ after))
    return shared, means, (means[1] - means[0], means[2] - means[1], means[3] - means[2])


def split_loss(cohort: Cohort, plan: ShiftPlan, *, loss: str = "log loss") -> Split:
    """Split the rise of a loss between the sides; X are the known facts and the leading components of the features.

    Args:
        cohort: Films of both sides.
        plan: Limits, level, resamples and seed.
        loss: One of ``LOSSES``.

    Returns:
        The split; not identified without facts and features, refused without overlap.
    """
    sides, reason = labelled(cohort, plan)
    if reason:
        return _nothing(loss, f"{REFUSED}: {reason}", reason)
    losses = [film_losses(films.label, films.scores, loss=loss) for films in sides]
    total = float(losses[1].mean() - losses[0].mean())
    facts = case_mix(sides)
    values, wide = (join(facts, appearance(sides, components=count)) for count in (components_for(sides), COMPONENTS_LOOKED_AT))
    if not values or values.global_values.shape[1] == 0:
        return _nothing(loss, NOT_IDENTIFIED, "neither facts nor features are known on both sides", total=total)
    found = overlap(wide, sides, plan=plan, toward="shared")
    if found.refused:
        return _nothing(loss, found.verdict, found.sentence, total=total, covariates=values.names)
    ones = (np.ones((1, len(sides[0]))), np.ones((1, len(sides[1]))))
    fold = patient_folds(*_both(sides), folds=FOLDS, seed=plan.seed)
    point = _terms(values, losses, weight=ones, fold=fold).mean(axis=1)[:, 0]
    replicate = _replicates(sides, values, losses=losses, fold=fold, plan=plan)
    band = simultaneous(point, replicate, level=plan.level)
    ends = percentile(replicate.sum(axis=0), level=plan.level)[0]
    return Split(loss, point, band.low, band.high, float(point.sum()), ends, values.names, "", found.sentence)


def film_losses(label: Floats, scores: Floats, *, loss: str) -> Floats:
    """(K, n) loss of each film; scores are kept ``CLIP`` away from 0 and 1.

    Example:
        >>> film_losses(np.array([1.0]), np.array([[0.5]]), loss="Brier").tolist()
        [[0.25]]
    """
    if loss == "Brier":
        return np.asarray((scores - label) ** 2)
    inside = np.clip(scores, CLIP, 1 - CLIP)
    return np.asarray(-special.xlogy(label, inside) - special.xlogy(1 - label, 1 - inside))


def _both(sides: Sides) -> tuple[Floats, Ints]:
    """Side and patient of every film, global films first."""
    local = np.r_[np.zeros(len(sides[0])), np.ones(len(sides[1]))]
    return local, np.concatenate([sides[0].cluster, sides[1].cluster + sides[0].n_patients])


def _terms(values: Measured, losses: list[Floats], *, weight: tuple[Floats, Floats], fold: Ints) -> Floats:
    """(3, K, B) steps from the global to the local mean loss."""
    first, second = weight[0] / weight[0].sum(axis=1, keepdims=True), weight[1] / weight[1].sum(axis=1, keepdims=True)
    local = np.r_[np.zeros(first.shape[1]), np.ones(second.shape[1])]
    drawn = np.hstack([first, second])
    chance = np.full(drawn.shape, NAN)
    table = np.column_stack([np.ones(local.size), values.both])
    for name in np.unique(fold):
        train = drawn * (fold != name)
        halves = np.where(
            local == 1.0,
            train / train[:, local == 1.0].sum(axis=1, keepdims=True),
            train / train[:, local == 0.0].sum(axis=1, keepdims=True),
        )
        line = fit_logistic(values.both, local, weight=halves)
        chance[:, fold == name] = special.expit(line @ table[fold == name].T)
    shared = [first * chance[:, local == 0.0], second * (1 - chance[:, local == 1.0])]
    shared = [part / part.sum(axis=1, keepdims=True) for part in shared]
    means = [losses[0] @ first.T, losses[0] @ shared[0].T, losses[1] @ shared[1].T, losses[1] @ second.T]
    return np.diff(np.stack(means), axis=0)


def _replicates(sides: Sides, values: Measured, *, losses: list[Floats], fold: Ints, plan: ShiftPlan) -> Floats:
    """(3, B) steps under resampled patients and seeds."""
    blocks = [np.zeros((3, losses[0].shape[0], 0))]
    with progress(plan.bootstrap, label="Splitting the loss") as advance:
        for weight in resamples(sides, plan, stratified=False):
            blocks.append(_terms(values, losses, weight=weight, fold=fold))
            advance(weight[0].shape[0])
    drawn = np.concatenate(blocks, axis=2)
    return np.asarray((drawn * seed_shares(drawn.shape[1], replicates=drawn.shape[2], seed=plan.seed).T).sum(axis=1))


def _nothing(loss: str, verdict: str, why: str, *, total: float = NAN, covariates: tuple[str, ...] = ()) -> Split:
    unknown = np.full(3, NAN)
    return Split(loss, unknown, unknown, unknown, total, (NAN, NAN), covariates, verdict, why)
