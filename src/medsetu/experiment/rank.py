# SPDX-License-Identifier: Apache-2.0
"""Which repair wins back how much: scores repaired here, networks and films in the runs of a study, ranked together."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import yaml

from medsetu.adaptation.conformal import Conformal
from medsetu.adaptation.conformal import measured as measured_sets
from medsetu.adaptation.fold import with_folds
from medsetu.adaptation.repair import REPAIR_COLUMNS, Repair, RepairPlan, ScoreRepair, ThresholdRefit, rank_repairs
from medsetu.adaptation.selective import Selective
from medsetu.core.errors import DataError
from medsetu.core.sample import LOCAL
from medsetu.core.table import conform
from medsetu.evaluation.interval import Estimate
from medsetu.experiment.evidence import Evidence, run_fact
from medsetu.recipe.instantiate import build
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.importance import Importance, importance
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import REFUSED, ShiftRow

log = logging.getLogger(__name__)
_TESTED = "test/local"
_OF_FILMS = ("medsetu.adaptation.network.", "medsetu.adaptation.image.")
_SETS = ("coverage", "coverage of positives", "coverage of negatives", "single")


def build_repairs(nodes: Mapping[str, Any], *, films: bool) -> dict[str, Any]:
    """Build repairs by name from their configurations (``configs/adaptation``).

    Args:
        nodes: Name -> configuration; an empty one is left out.
        films: Build repairs of networks and films too, which loads torch.

    Returns:
        Name -> repair.
    """
    wanted = {name: node for name, node in nodes.items() if node and (films or not str(node["_target_"]).startswith(_OF_FILMS))}
    return {name: build(node, where=f"repairs.{name}") for name, node in wanted.items()}


def repair_table(
    evidence: Evidence, cohort: Cohort, *, repairs: Mapping[str, Any], plan: RepairPlan, shift: ShiftPlan, films: bool
) -> pd.DataFrame:
    """Measure and rank repairs of one arm.

    Args:
        evidence: Predictions, and the runs and manifest of a study.
        cohort: Films of both sides.
        repairs: Name -> repair of scores, threshold, network or film; sets and silence are no gain, see ``caution_rows``.
        plan: Settings of the table.
        shift: Limits of the overlap, for repairs under importance weights.
        films: Whether networks and films may be used; repairs that need them are left out otherwise.

    Returns:
        Table with ``REPAIR_COLUMNS``.
    """
    of_scores = {name: one for name, one in repairs.items() if isinstance(one, ScoreRepair | ThresholdRefit)}
    others = {name: one for name, one in repairs.items() if not isinstance(one, ScoreRepair | ThresholdRefit | Conformal | Selective)}
    weighted = [name for name, one in of_scores.items() if isinstance(one, ScoreRepair) and one.weighted]
    predictions = evidence.predictions[evidence.predictions["arm"] == cohort.arm]
    if evidence.prepared is not None:
        predictions = with_folds(predictions, splits=evidence.prepared.splits)
        if others and films and not _spent_local_labels(evidence, cohort):
            predictions = pd.concat([predictions, *_repaired(evidence, cohort, others)], ignore_index=True)
    found = importance(cohort, shift) if weighted else Importance(None)
    table = rank_repairs(predictions, finding=cohort.finding, repairs=of_scores, plan=plan, weight=found.weight)
    table = _weighted(table, found, names=weighted)
    if films and others and _spent_local_labels(evidence, cohort):
        table = pd.concat([table, _refused(others)], ignore_index=True)
    return conform(table, REPAIR_COLUMNS, name="repairs")


def _spent_local_labels(evidence: Evidence, cohort: Cohort) -> bool:
    """Whether the arm has learned from local labels: its networks have met the local side already."""
    runs = [run for run in evidence.runs if run_fact(run, "arm") == cohort.arm]
    return any(run_fact(run, "labels_spent").get(LOCAL, 0) for run in runs)


def _refused(repairs: Mapping[str, Any]) -> pd.DataFrame:
    why = f"{REFUSED}: the arm has learned from local labels, its networks need no repair towards films they have met"
    return pd.DataFrame([asdict(Repair(name, "", verdict=why)) for name in repairs])


def _weighted(table: pd.DataFrame, found: Importance, *, names: Sequence[str]) -> pd.DataFrame:
    """Say of repairs under importance weights what they spent, or why they were refused."""
    mine = table["repair"].isin(names)
    if found.weight is None:
        return table.assign(verdict=table["verdict"].mask(mine, found.verdict), note=table["note"].mask(mine, found.note))
    seen = table["local_images"].mask(mine & table["value"].notna(), found.images)
    return table.assign(local_images=seen, note=table["note"].mask(mine, table["note"] + f"; {found.note}"))


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


def caution_rows(cohort: Cohort, *, repairs: Mapping[str, Any], level: float) -> list[ShiftRow]:
    """What sets and silence do on local test films: fitted on each side's validation films, on the mean score over seeds.

    Args:
        cohort: Films of both sides.
        repairs: Name -> repair; those that are neither ``Conformal`` nor ``Selective`` are passed over.
        level: Confidence level in (0, 1).

    Returns:
        Lines of section ``repair``: how often a set holds the truth and names one class; how many films are answered, how many wrongly.
    """
    made = []
    for name, one in repairs.items():
        if isinstance(one, Conformal | Selective):
            for side, films in (("global", cohort.global_val), ("local", cohort.local_val)):
                if films is not None:
                    made += _caution(name, one, films, cohort=cohort, origin=f"val/{side}", level=level)
    return made


def _caution(name: str, one: Conformal | Selective, films: Films, *, cohort: Cohort, origin: str, level: float) -> list[ShiftRow]:
    tested, fitted = cohort.local_films.known(), films.known()
    subject = f"{name}, fitted on {origin}"
    if not len(tested):
        return [ShiftRow("repair", "coverage", subject, verdict=f"{REFUSED}: no labelled local test film")]
    try:
        if isinstance(one, Conformal):
            sets = one.fit(fitted.label, fitted.score, origin=origin, cluster=fitted.cluster)
            found = measured_sets(sets, tested.label, score=tested.score, tested=_TESTED, cluster=tested.cluster, level=level)
            found = {key: found[key] for key in _SETS}
        else:
            silence = one.fit(fitted.label, fitted.score, origin=origin)
            found = silence.measured(tested.label, tested.score, cluster=tested.cluster, level=level)
    except DataError as refusal:
        return [ShiftRow("repair", "coverage", subject, verdict=f"{REFUSED}: {refusal.what}", note=refusal.where)]
    goal = one.coverage if isinstance(one, Conformal) else one.risk
    return [
        ShiftRow(
            "repair",
            key,
            subject,
            *(estimate.value, estimate.low, estimate.high),
            n_global=fitted.n_patients if origin == "val/global" else 0,
            n_local=estimate.n_patients,
            unit="share",
            method=estimate.method,
            verdict=_kept(key, estimate, goal=goal),
            note=estimate.note,
        )
        for key, estimate in found.items()
    ]


def _kept(key: str, estimate: Estimate, *, goal: float) -> str:
    """Whether a stated coverage, or a stated risk, was kept."""
    if estimate.value != estimate.value:
        return "not estimable"
    if key == "risk" and estimate.low > goal:
        return f"above the stated {goal:g}"
    return f"below the stated {goal:g}" if f"below the stated {goal:g}" in estimate.note else "measured"


def _spent(row: Mapping[Any, Any]) -> str:
    counts = {"local images": row["local_images"], "local labels": row["local_labels"]}
    spent = ", ".join(f"{value:.0f} {name}" for name, value in counts.items() if value == value)
    ranked = f"rank {row['rank']:.0f} by the labels of {row['chosen_on']}" if row["rank"] == row["rank"] else "not ranked: no validation"
    parts: Sequence[str] = [spent, ranked, str(row["note"] or "")]
    return "; ".join(part for part in parts if part and part != "nan")
