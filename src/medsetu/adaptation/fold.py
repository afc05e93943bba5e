# SPDX-License-Identifier: Apache-2.0
"""Repairs of scores where labels are few: fitted on the validation part of each fold, applied to its test part."""

import numpy as np
import pandas as pd

from medsetu.adaptation.score import ScoreMethod
from medsetu.core.errors import DataError
from medsetu.core.sample import LOCAL
from medsetu.evaluation.interval import Floats

INNER_FOLDS = 5


def with_folds(predictions: pd.DataFrame, *, splits: pd.DataFrame) -> pd.DataFrame:
    """Give each local film of an arm that never learned there the part it has in every fold of its repeat; scores stay.

    Such an arm (global-only) scored a cross-fitted side once, as test altogether. Repairs that spend local labels need its folds.

    Args:
        predictions: Predictions table.
        splits: Splits table: sample_id, domain, repeat, fold, split.

    Returns:
        The table; rows with fold -1 on a cross-fitted local side stand once per fold (split val or test, training films left out).

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a"], "domain": ["local"], "seed": [0], "fold": [-1], "split": ["test"]})
        >>> splits = pd.DataFrame({"sample_id": "a", "domain": "local", "repeat": 0, "fold": [0, 1], "split": ["test", "val"]})
        >>> with_folds(rows, splits=splits)[["fold", "split"]].values.tolist()
        [[0, 'test'], [1, 'val']]
    """
    crossed = splits[(splits["domain"] == LOCAL) & (splits["fold"] >= 0) & splits["split"].isin(["val", "test"])]
    if crossed.empty:
        return predictions
    repeats = int(crossed["repeat"].max()) + 1
    mine = (predictions["domain"] == LOCAL) & (predictions["fold"] < 0) & predictions["sample_id"].isin(crossed["sample_id"])
    rows = predictions[mine].drop(columns=["fold", "split"])
    rows = rows.assign(repeat=rows["seed"] % repeats).merge(crossed[["sample_id", "repeat", "fold", "split"]], on=["sample_id", "repeat"])
    return pd.concat([predictions[~mine], rows[list(predictions.columns)]], ignore_index=True)


def crossfitted(rows: pd.DataFrame, method: ScoreMethod, *, global_val: pd.DataFrame | None, seed: int) -> pd.DataFrame:
    """Repair the local scores of an arm, model by model; validation films by inner folds, so that they can be chosen on.

    Args:
        rows: Local predictions of one arm and finding: seed, fold, split (val, test), sample_id, patient_id, label, score.
        method: How scores are repaired.
        global_val: Labelled val/global rows of the same seeds, with ``weight``: the method is fitted there and spends no local label.
            None: it is fitted on the val rows of each seed and fold.
        seed: Seed of the inner folds.

    Returns:
        The rows with repaired scores; validation films that no inner fold could repair have NaN.

    Raises:
        DataError: A model has no films of both classes to be fitted on.
    """
    parts = []
    for (number, _), part in rows.groupby(["seed", "fold"], sort=True):
        learned = part[part["split"] == "val"].assign(weight=1.0) if global_val is None else global_val[global_val["seed"] == number]
        learned = learned[learned["label"].notna()]
        if learned["label"].nunique() < 2:
            raise DataError(
                what="A model has no labelled validation films of both classes",
                where=f"Seed {number}, {'val/local' if global_val is None else 'val/global'}",
                remedy="Give validation films, or choose a repair that needs no label",
            )
        scores = _apply(method, learned, part)
        if global_val is None:
            val = (part["split"] == "val").to_numpy()
            scores[val] = _inner(part[val], method, seed=seed)
        parts.append(part.assign(score=scores))
    return pd.concat(parts, ignore_index=True)


def _apply(method: ScoreMethod, learned: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    fitted = method.fit(learned["label"].to_numpy(), learned["score"].to_numpy(), weight=learned["weight"].to_numpy())
    return np.array(fitted.apply(rows["score"].to_numpy(np.float64)))


def _inner(val: pd.DataFrame, method: ScoreMethod, *, seed: int) -> Floats:
    """Score each validation film by a fit on other patients; NaN where a class has fewer than two patients."""
    from sklearn.model_selection import StratifiedGroupKFold

    scores, label = np.full(len(val), np.nan), val["label"].to_numpy(np.float64)
    known = np.flatnonzero(~np.isnan(label))
    patient = val["patient_id"].where(val["patient_id"].notna(), "film " + val["sample_id"].astype(str)).to_numpy(dtype=str)[known]
    folds = min(INNER_FOLDS, *(np.unique(patient[label[known] == value]).size for value in (0, 1)))
    if folds < 2:
        return scores
    weighted = val.assign(weight=1.0)
    for learned, tested in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(known, label[known], patient):
        if np.unique(label[known[learned]]).size == 2:
            scores[known[tested]] = _apply(method, weighted.iloc[known[learned]], weighted.iloc[known[tested]])
    return scores
