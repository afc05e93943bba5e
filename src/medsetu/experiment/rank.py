# SPDX-License-Identifier: Apache-2.0
"""Which repair wins back how much: scores repaired here, networks and films in the runs of a study, ranked together."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from medsetu.adaptation.fold import with_folds
from medsetu.adaptation.repair import RepairPlan, ScoreRepair, ThresholdRefit, rank_repairs
from medsetu.experiment.evidence import Evidence, run_fact
from medsetu.recipe.instantiate import build
from medsetu.shift.cohort import Cohort
from medsetu.shift.row import ShiftRow

log = logging.getLogger(__name__)


def build_repairs(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Build repairs by name from their configurations (``configs/adaptation``)."""
    return {name: build(node, where=f"repairs.{name}") for name, node in nodes.items() if node}


def repair_table(evidence: Evidence, cohort: Cohort, *, repairs: Mapping[str, Any], plan: RepairPlan, films: bool) -> pd.DataFrame:
    """Measure and rank repairs of one arm.

    Args:
        evidence: Predictions, and the runs and manifest of a study.
        cohort: Films of both sides.
        repairs: Name -> repair of scores, threshold, network or film.
        plan: Settings of the table.
        films: Whether networks and films may be used; repairs that need them are left out otherwise.

    Returns:
        Table with ``REPAIR_COLUMNS``.
    """
    of_scores = {name: one for name, one in repairs.items() if isinstance(one, ScoreRepair | ThresholdRefit)}
    others = {name: one for name, one in repairs.items() if name not in of_scores}
    predictions = evidence.predictions[evidence.predictions["arm"] == cohort.arm]
    if evidence.prepared is not None:
        predictions = with_folds(predictions, splits=evidence.prepared.splits)
        if others and films:
            predictions = pd.concat([predictions, *_repaired(evidence, cohort, others)], ignore_index=True)
    return rank_repairs(predictions, finding=cohort.finding, repairs=of_scores, plan=plan)


def _repaired(evidence: Evidence, cohort: Cohort, repairs: Mapping[str, Any]) -> list[pd.DataFrame]:
    from medsetu.experiment.repair import repaired_predictions
    from medsetu.recipe.recipe import build_recipe

    if evidence.prepared is None:
        return []
    recipe = build_recipe(yaml.safe_load(evidence.runs[0].recipe.read_text()))
    runs = [run for run in evidence.runs if run_fact(run, "arm") == cohort.arm]
    log.info("Repairing %d networks: %s", len(runs), ", ".join(repairs))
    return [repaired_predictions(recipe, evidence.prepared, run=run, repairs=repairs) for run in runs]


def repair_rows(table: pd.DataFrame, cohort: Cohort) -> list[ShiftRow]:
    """Write the table of repairs as lines of the shift table, by metric and rank.

    Args:
        table: Table with ``REPAIR_COLUMNS``.
        cohort: Films of both sides.

    Returns:
        One line per repair and metric; a repair that could not be made says why.
    """
    return [
        ShiftRow(
            "repair",
            f"gain in {row['metric']}" if row["metric"] else "gain",
            str(row["repair"]),
            value=row["value"],
            low=row["low"],
            high=row["high"],
            n_global=cohort.global_films.n_patients,
            n_local=int(row["n_patients"]),
            unit=str(row["metric"]),
            method=str(row["method"]),
            verdict=str(row["verdict"]),
            note=_spent(row),
        )
        for row in table.sort_values(["metric", "rank"], kind="stable").to_dict("records")
    ]


def _spent(row: Mapping[Any, Any]) -> str:
    counts = {"local images": row["local_images"], "local labels": row["local_labels"]}
    spent = ", ".join(f"{value:.0f} {name}" for name, value in counts.items() if value == value)
    ranked = f"rank {row['rank']:.0f} on {row['chosen_on']}" if row["rank"] == row["rank"] else "not ranked: no validation"
    parts: Sequence[str] = [spent, ranked, str(row["note"] or "")]
    return "; ".join(part for part in parts if part and part != "nan")
