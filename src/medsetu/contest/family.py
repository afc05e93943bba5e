# SPDX-License-Identifier: Apache-2.0
"""Families of tests: what was declared, what the ranks rest on, what is only explored; and what follows from each pair."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from medsetu.contest.duel import Duel
from medsetu.contest.plan import ContestPlan
from medsetu.core.table import conform
from medsetu.shift.multiplicity import benjamini_hochberg, holm

DECLARED, ALL_PAIRS, EXPLORATORY = "declared", "all pairs", "exploratory"
PAIR_COLUMNS: dict[str, str] = {
    **{
        field.name: {"str": "str", "int": "int64"}.get(str(getattr(field.type, "__name__", field.type)), "float64")
        for field in fields(Duel)
    },
    "family": "str",  # declared: Holm in p_holm; all pairs: Holm in p_pairs only; exploratory: Benjamini-Hochberg in p_bh
    "p_holm": "float64",
    "p_pairs": "float64",
    "p_bh": "float64",
    "p_equivalent_holm": "float64",
    "verdict": "str",
}


def adjust(duels: Sequence[Duel], plan: ContestPlan) -> pd.DataFrame:
    """Adjust the p-values of each family and say what follows.

    The declared family are the AUROCs of all pairs, or of those with the reference where there is one: Holm. The ranks rest on Holm over
    the AUROCs of all pairs. Every other metric is exploratory: Benjamini-Hochberg.

    Args:
        duels: All pairs and metrics.
        plan: Reference, margin, level.

    Returns:
        Table with ``PAIR_COLUMNS``.
    """
    table = pd.DataFrame([asdict(duel) for duel in duels])
    decides = (table["metric"] == "auroc").to_numpy()
    with_reference = ((table["first"] == plan.reference) | (table["second"] == plan.reference)).to_numpy()
    declared = decides & (with_reference if plan.reference else True)
    table["family"] = np.select([declared, decides], [DECLARED, ALL_PAIRS], EXPLORATORY)
    for name, source, rows, method in (
        ("p_holm", "p", declared, holm),
        ("p_pairs", "p", decides, holm),
        ("p_bh", "p", ~decides, benjamini_hochberg),
        ("p_equivalent_holm", "p_equivalent", declared, holm),
    ):
        adjusted = np.full(len(table), nan)
        adjusted[rows] = method(table.loc[rows, source].to_numpy())
        table[name] = adjusted
    table["verdict"] = [_verdict(row, plan) for row in table.to_dict("records")]
    return conform(table, PAIR_COLUMNS, name="pairs")


def _verdict(row: Mapping[Any, Any], plan: ContestPlan) -> str:
    """Say what a pair has shown; "no difference" is only ever said as equivalence within the margin."""
    value, low, first, second = float(row["value"]), float(row["low"]), row["first"], row["second"]
    if isnan(value):
        return "not estimable"
    if isnan(low):
        return "no verdict without an interval"
    if row["family"] == EXPLORATORY:
        told = float(row["p_bh"]) <= plan.alpha
        return f"exploratory: {'higher' if value > 0 else 'lower'} for {first}" if told else "exploratory: not told apart"
    p = float(row["p_holm"] if row["family"] == DECLARED else row["p_pairs"])
    equal = float(row["p_equivalent_holm"]) <= plan.alpha / 2  # as strict as the printed interval
    if p <= plan.alpha:
        better = f"{first if value > 0 else second} is better than {second if value > 0 else first}"
        return f"{better}, by less than {plan.margin:g}" if equal else better
    return f"equal within {plan.margin:g}" if equal else "not told apart"
