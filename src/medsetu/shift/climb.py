# SPDX-License-Identifier: Apache-2.0
"""How a rung of the shortcut ladder is climbed: a regularised logistic regression, trained and tested on the folds of the model."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.evaluation.interval import Floats
from medsetu.shift.predictability import patient_folds
from medsetu.shift.rung import NO_FACTS, Rung

Part = tuple[int, NDArray[np.bool_], NDArray[np.bool_]]
"""Repeat, training films, test films."""


def climb(rung: Rung, *, label: Floats, parts: Sequence[Part]) -> Floats | str:
    """Score every film by a rung that was trained without it.

    Args:
        rung: Features of the rung.
        label: (n,) 1 or 0.
        parts: Training and test films.

    Returns:
        (R, n) log-odds, one row per repeat, NaN where a film was not tested; or why there are none.
    """
    if rung.features.shape[1] == 0:
        return NO_FACTS
    if any(np.unique(label[train]).size < 2 for _, train, _ in parts) or not parts:
        return "a training part has one class only"
    scores = np.full((1 + max(repeat for repeat, _, _ in parts), len(label)), math.nan)
    for repeat, train, test in parts:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=rung.strength, max_iter=5000))
        scores[repeat, test] = model.fit(rung.features[train], label[train]).decision_function(rung.features[test])
    return scores


def covered(parts: Sequence[Part], *, films: int) -> NDArray[np.bool_]:
    """Films that every repeat tested.

    Example:
        >>> covered([(0, np.array([True, False]), np.array([False, True]))], films=2).tolist()
        [False, True]
    """
    count = np.zeros((1 + max((repeat for repeat, _, _ in parts), default=0), films), dtype=bool)
    for repeat, _, test in parts:
        count[repeat] |= test
    return np.asarray(count.all(axis=0))


def ladder_parts(rows: pd.DataFrame, *, label: Floats, seed: int, splits: pd.DataFrame | None = None) -> Iterator[Part]:
    """Find the folds of a side.

    Args:
        rows: (n) manifest rows with ``sample_id`` and ``group_id``.
        label: (n,) 1 or 0.
        seed: Of the folds of a side on which nothing was trained.
        splits: Frozen splits of a study; None, or without training films of these rows, for five stratified folds by ``group_id``.

    Yields:
        Training and test films; nothing where a class has fewer than two groups.
    """
    own = splits[splits["sample_id"].isin(rows["sample_id"])] if splits is not None else None
    if own is not None and (own["split"] == "train").any():
        repeats = sorted(set(own["repeat"]))
        for (repeat, _), cell in own.groupby(["repeat", "fold"]):
            split = rows["sample_id"].map(cell.set_index("sample_id")["split"])
            yield repeats.index(repeat), split.isin(["train", "val"]).to_numpy(), (split == "test").to_numpy()
        return
    if np.unique(label).size < 2:
        return
    fold = patient_folds(label, rows["group_id"].to_numpy(dtype=str), seed=seed)
    if not fold.any():  # nothing can be cross-fitted
        return
    for number in np.unique(fold):
        yield 0, fold != number, fold == number
