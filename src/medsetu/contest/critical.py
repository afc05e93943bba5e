# SPDX-License-Identifier: Apache-2.0
"""Average ranks over releases with their critical difference (Demšar, JMLR 2006, 7:1-30): only over at least five independent releases."""

from collections.abc import Collection
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from medsetu.core.table import PREDICTION_COLUMNS, conform
from medsetu.evaluation.delong import MINIMUM_CLASS
from medsetu.evaluation.kernel import kernel_parts
from medsetu.evaluation.score import score_matrix

LEAST_RELEASES = 5


@dataclass(frozen=True)
class Critical:
    """Average ranks of contestants over releases.

    Attributes:
        releases: Releases behind it.
        ranks: Contestant and its average rank, best first; empty where refused.
        difference: Average ranks that differ by less cannot be told apart (Nemenyi); NaN where refused.
        p: Friedman's test that all are equal; NaN where refused, or with two contestants.
        refused: Why there is no diagram; "" where there is one.
    """

    releases: tuple[str, ...]
    ranks: tuple[tuple[str, float], ...] = ()
    difference: float = nan
    p: float = nan
    refused: str = ""


def critical_difference(predictions: pd.DataFrame, *, finding: str, alpha: float, overlapping: Collection[frozenset[str]] = ()) -> Critical:
    """Rank contestants on each release and average the ranks.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``; ``arm`` names the contestant; only split ``test`` is read.
        finding: The finding.
        alpha: Size of the comparison.
        overlapping: Pairs of releases that share images: only the first of a pair counts.

    Returns:
        Average ranks, or why they are refused: a release counts with at least 10 patients of each class, scored by every contestant.

    Example:
        >>> empty = pd.DataFrame(columns=list(PREDICTION_COLUMNS))
        >>> critical_difference(empty, finding="tuberculosis", alpha=0.05).refused
        'critical differences need at least 5 independent releases, and there are 0'
    """
    rows = conform(predictions, PREDICTION_COLUMNS, name="predictions")
    rows = rows[(rows["split"] == "test") & (rows["finding"] == finding) & (rows["release"].fillna("") != "")]
    names = list(dict.fromkeys(rows["arm"].astype(str)))
    found: dict[str, np.ndarray] = {}
    for release, part in rows.groupby("release", sort=True):
        clash = any(frozenset((str(release), other)) in overlapping for other in found)
        values = None if clash else _aurocs(part, names)
        if values is not None:
            found[str(release)] = values
    if len(found) < LEAST_RELEASES or len(names) < 2:
        reason = f"critical differences need at least {LEAST_RELEASES} independent releases, and there are {len(found)}"
        return Critical(tuple(found), refused=reason)
    table = np.stack(list(found.values()))
    average = np.stack([rankdata(-row) for row in table]).mean(axis=0)
    quantile = float(studentized_range.ppf(1 - alpha, len(names), 1e6)) / sqrt(2)
    return Critical(
        tuple(found),
        tuple(sorted(zip(names, map(float, average), strict=True), key=lambda one: one[1])),
        quantile * sqrt(len(names) * (len(names) + 1) / (6 * len(found))),
        float(friedmanchisquare(*table.T).pvalue) if len(names) > 2 else nan,
    )


def _aurocs(rows: pd.DataFrame, names: list[str]) -> np.ndarray | None:
    """AUROC of each contestant on one release; None where it does not count."""
    values = []
    for name in names:
        part = rows[rows["arm"] == name]
        if part["label"].nunique() < 2:
            return None
        matrix = score_matrix(part)
        parts = kernel_parts(matrix.label, matrix.scores, cluster=matrix.cluster)
        if min(parts.positive_patients, parts.negative_patients) < MINIMUM_CLASS:
            return None
        values.append(float(parts.averaged(matrix.seed).auroc[0]))
    return np.array(values)
