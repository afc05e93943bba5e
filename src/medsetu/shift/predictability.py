# SPDX-License-Identifier: Apache-2.0
"""What a network's features know: how well a linear classifier, cross-fitted by patient, tells where a film comes from."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.evaluation.bootstrap import patient_weights, percentile
from medsetu.evaluation.delong import MINIMUM_CLASS, estimate_from
from medsetu.evaluation.interval import NAN, Estimate
from medsetu.evaluation.metric import ratio
from medsetu.evaluation.score import Ints
from medsetu.shift.matched import stratified_parts
from medsetu.shift.plan import ShiftPlan

FOLDS = 5
MOST_FILMS = 2000  # of which a classifier is trained; of more, every category gives as many, by patient
BALANCED = "balanced accuracy"
_STRENGTH = 0.01  # C of the classifier: features are many


def predictability(features: NDArray[np.floating], category: ArrayLike, *, cluster: ArrayLike, plan: ShiftPlan) -> Estimate:
    """How well a network's features tell where a film comes from: regularised logistic regression, cross-fitted by patient.

    Args:
        features: (n, D) finite.
        category: (n,) names; those with fewer than 10 patients are left out.
        cluster: (n,) patient codes.
        plan: Level, resamples and seed.

    Returns:
        AUROC for two categories (films of one fold compared), else balanced accuracy (chance: one over the number of categories) with a
        patient bootstrap; NaN with the reason for fewer than two categories.
    """
    names, patient = np.asarray(category, dtype=str), np.asarray(cluster, dtype=np.int64)
    large = [name for name in np.unique(names) if name and np.unique(patient[names == name]).size >= MINIMUM_CLASS]
    kept = np.flatnonzero(np.isin(names, large))
    if len(large) < 2:
        note = f"fewer than two categories of {MINIMUM_CLASS} patients"
        return Estimate(NAN, NAN, NAN, int(np.unique(patient[kept]).size), kept.size, 0, "", note)
    drawn = kept[_drawn(names[kept], patient[kept], seed=plan.seed)]
    note = f"{drawn.size} of {kept.size} films, drawn by patient" if drawn.size < kept.size else ""
    kept = drawn
    code, table = np.searchsorted(large, names[kept]), np.asarray(features[kept], dtype=np.float64)
    patient = np.unique(patient[kept], return_inverse=True)[1].astype(np.int64)
    fold = patient_folds(code, patient, seed=plan.seed)
    if np.unique(code).size < len(large) or not fold.any():
        return Estimate(NAN, NAN, NAN, int(np.unique(patient).size), kept.size, 0, "", f"{note}; fewer than two patients of a category")
    score = np.zeros((kept.size, len(large)))
    for part in np.unique(fold):
        test = fold == part
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=2000)).fit(table[~test], code[~test])
        score[np.ix_(test, np.unique(code[~test]))] = model.predict_proba(table[test])
    if len(large) == 2:
        parts = stratified_parts(code.astype(np.float64), score[:, 1], stratum=fold, cluster=patient)
        found = estimate_from(parts, level=plan.level)
        return replace(found, note=note)
    return _balanced(code, score.argmax(axis=1), cluster=patient, plan=plan, note=note)


def patient_folds(category: ArrayLike, patient: ArrayLike, *, seed: int) -> Ints:
    """Give each film a fold; a patient stays whole and folds hold each category alike.

    Args:
        category: (n,) class of each film.
        patient: (n,) patient of each film.
        seed: Of the draw.

    Returns:
        (n,) folds, five or as many as the rarest category has patients; all 0 where that is one.

    Example:
        >>> np.unique(patient_folds([0, 1] * 10, np.arange(20) // 2, seed=0)).tolist()
        [0, 1, 2, 3, 4]
    """
    code = np.unique(np.asarray(category), return_inverse=True)[1]
    names = np.unique(np.asarray(patient), return_inverse=True)[1]
    held = np.unique(np.stack([names, code]), axis=1)  # categories that each patient holds
    if held.size == 0:
        return np.zeros(0, dtype=np.int64)
    patients = np.bincount(held[1])
    folds = min(FOLDS, int(patients.min()))
    rarest = np.full(int(names.max()) + 1, patients.size)
    np.minimum.at(rarest, held[0], np.argsort(np.argsort(patients, kind="stable"))[held[1]])
    order = np.lexsort((np.random.default_rng(seed).random(rarest.size), rarest))
    dealt = np.empty(rarest.size, dtype=np.int64)
    dealt[order] = np.arange(rarest.size) % folds  # patients of one kind lie together: each fold gets its share
    return dealt[names]


def draw_patients(patient: ArrayLike, *, most: int, seed: int) -> NDArray[np.intp]:
    """Draw whole patients until one more would make too many films.

    Args:
        patient: (n,) patient of each film.
        most: Largest number of films.
        seed: Of the draw.

    Returns:
        Positions of the films drawn, ascending; all of them where they are not too many.

    Example:
        >>> draw_patients(["a", "a", "b", "b"], most=3, seed=0).size
        2
    """
    codes, counts = np.unique(np.asarray(patient), return_inverse=True, return_counts=True)[1:]
    order = np.random.default_rng(seed).permutation(counts.size)
    return np.flatnonzero(np.isin(codes, order[np.cumsum(counts[order]) <= most]))


def _drawn(names: NDArray[np.str_], patient: Ints, *, seed: int) -> NDArray[np.intp]:
    """Draw films so that a small category keeps its films beside a large one."""
    if names.size <= MOST_FILMS:
        return np.arange(names.size)
    groups = [np.flatnonzero(names == name) for name in np.unique(names)]
    return np.sort(np.concatenate([rows[draw_patients(patient[rows], most=MOST_FILMS // len(groups), seed=seed)] for rows in groups]))


def _balanced(code: Ints, called: Ints, *, cluster: Ints, plan: ShiftPlan, note: str) -> Estimate:
    members = np.eye(int(code.max()) + 1)[code]
    right = members * (code == called)[:, None]
    value = float(ratio(right.sum(axis=0), members.sum(axis=0)).mean())
    weights = patient_weights(cluster, replicates=plan.bootstrap, seed=plan.seed)
    drawn = [ratio(weight @ right, weight @ members).mean(axis=1) for weight in weights]
    ends, remark = percentile(np.concatenate([np.zeros(0), *drawn]), level=plan.level, limits=(0.0, 1.0))
    method = f"{BALANCED}, patient bootstrap, {plan.bootstrap} replicates"
    counts = int(np.unique(cluster).size), code.size, 0
    return Estimate(value, *ends, *counts, method, "; ".join(filter(None, (note, remark, f"chance {1 / members.shape[1]:.3f}"))))
