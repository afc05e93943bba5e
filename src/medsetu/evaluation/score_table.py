# SPDX-License-Identifier: Apache-2.0
"""Scores of any model, from CSV or parquet, become a predictions table: gaps are filled knowingly, what is wrong is named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError, nearest
from medsetu.core.sample import DOMAINS
from medsetu.core.table import PREDICTION_COLUMNS, conform, read_table

REQUIRED = ("sample_id", "domain", "score", "label")
SPLITS = ("test", "val", "train")
MODEL = "model"  # arm of scores that name none
FINDING = "finding"  # finding of scores that name none
_DEFAULTS: dict[str, Any] = {
    "run": "scores",
    "arm": MODEL,
    "seed": 0,
    "fold": -1,
    "patient_id": None,
    "split": "test",
    "finding": FINDING,
    "site": "",
    "sex": "",
    "age_years": np.nan,
    "view": "",
    "device": "",
    "release": "",
    "seen": "",
}
_PATIENT = ["domain", "release", "site", "patient_id"]  # patients of two sites may share a number
_KEYS = ["arm", "seed", "fold", "split", "finding", "sample_id"]


def read_scores(path: Path, *, columns: Mapping[str, str] | None = None, assumed: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Read the scores of a model and check every row.

    Args:
        path: CSV or parquet file, one row per film (and finding, and model where there are several).
        columns: Our column name -> name in the file, for those that are called otherwise. ``sample_id``, ``domain`` (global, local or
            external), ``score`` (probability in [0, 1]) and ``label`` (1, 0, empty for unknown) are needed; ``patient_id``, ``finding``,
            ``split`` (test, val, train), ``arm``, ``seed``, ``fold``, ``threshold`` (the operating point in use), ``site``, ``sex``,
            ``age_years``, ``view`` and ``device`` are used where they exist.
        assumed: Our column name -> value where the file has no such column; a needed column is optional then.

    Returns:
        Table with ``PREDICTION_COLUMNS``, and ``threshold`` where the file has it.

    Raises:
        DataError: The file or a column is missing, a value is impossible, a film was scored twice, one model has several thresholds, or a
            film or patient stands in two splits of one model.
    """
    raw = read_table(path)
    raw = raw.assign(**{name: value for name, value in (assumed or {}).items() if name not in raw.columns and name not in (columns or {})})
    table = _named(raw, columns or {}, where=str(path))
    _check(table, where=str(path))
    kept = [*PREDICTION_COLUMNS, *(["threshold"] if "threshold" in table.columns else [])]
    return conform(table, PREDICTION_COLUMNS, name="scores")[kept]


def _named(raw: pd.DataFrame, columns: Mapping[str, str], *, where: str) -> pd.DataFrame:
    allowed = [*PREDICTION_COLUMNS, "threshold"]
    for ours, theirs in columns.items():
        if ours not in allowed:
            _refuse(f"'{ours}' is no column of ours", "Key columns", f"Did you mean '{nearest(ours, allowed)}'?")
        if theirs not in raw.columns:
            _refuse(f"There is no column '{theirs}'", where, f"The file has: {', '.join(map(str, raw.columns))}")
    table = raw.rename(columns={theirs: ours for ours, theirs in columns.items()})
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        _refuse(
            f"Column '{missing[0]}' is missing",
            where,
            f"Rename a column, or say which one it is: columns.{missing[0]}=<name>; the file has {', '.join(map(str, raw.columns))}",
        )
    if table.empty:
        _refuse("The table has no row", where, "Give one row per film")
    filled = table.assign(**{name: value for name, value in _DEFAULTS.items() if name not in table.columns})
    for name in ("score", "label", "age_years", *(["threshold"] if "threshold" in table.columns else [])):
        filled[name] = _numbers(filled[name], name=name, where=where)
    patient = filled["patient_id"]
    return filled.assign(patient_id=patient.where(patient.notna() & (patient.astype(str).str.strip() != "")))


def _numbers(values: "pd.Series[float]", *, name: str, where: str) -> "pd.Series[float]":
    numbers = pd.to_numeric(values, errors="coerce")
    words = int((numbers.isna() & values.notna() & (values.astype(str).str.strip() != "")).sum())
    if words:
        _refuse(f"{words} values of column '{name}' are no numbers", where, "Write numbers; leave a field empty when it is unknown")
    return numbers.astype(np.float64)


def _check(table: pd.DataFrame, *, where: str) -> None:
    score, label = table["score"], table["label"]
    faults = {
        "scores are missing": (score.isna(), "Give a score for every film, or leave the film out"),
        "scores lie outside [0, 1]": (score.notna() & ~score.between(0, 1), "Give probabilities: apply the sigmoid to logits first"),
        "labels are neither 0, 1 nor empty": (label.notna() & ~label.isin([0, 1]), "Write 1 present, 0 absent, nothing for unknown"),
        "rows name no film": (table["sample_id"].isna(), "Fill sample_id"),
        f"rows are of no side ({', '.join(DOMAINS)})": (~table["domain"].isin(DOMAINS), "Write global, local or external in column domain"),
        f"rows are of no split ({', '.join(SPLITS)})": (~table["split"].isin(SPLITS), "Write test, val or train in column split"),
        "rows score a film a second time for the same model": (
            table.duplicated(_KEYS),
            "Remove the duplicates, or name models by arm and seed",
        ),
    }
    for what, (wrong, remedy) in faults.items():
        if wrong.any():
            _refuse(f"{int(wrong.sum())} {what}", where, remedy)
    unsure = table.groupby(["finding", "sample_id"])["label"].nunique()
    if (unsure > 1).any():
        _refuse(f"{int((unsure > 1).sum())} films carry two labels of one finding", where, "Give every film one label per finding")
    for unit, names in (("films", ["sample_id"]), ("patients", _PATIENT)):
        known = table[table[names[-1]].notna()].fillna(dict.fromkeys(names[:-1], ""))
        splits = known.groupby(["arm", "seed", "fold", *names])["split"].nunique()
        if (splits > 1).any():
            remedy = "Keep every patient in one split: whoever chose a threshold is no test of it"
            _refuse(f"{int((splits > 1).sum())} {unit} stand in two splits of one model", where, remedy)
    if "threshold" in table.columns:
        several = table.groupby(["arm", "finding"])["threshold"].nunique(dropna=False)
        if (several > 1).any():
            arm, finding = several.index[several > 1][0]
            _refuse(
                f"{int(several.max())} thresholds are mixed for '{finding}' by {arm}", where, "Give one threshold per model and finding"
            )


def _refuse(what: str, where: str, remedy: str) -> None:
    raise DataError(what=what, where=where, remedy=remedy)
