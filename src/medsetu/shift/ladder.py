# SPDX-License-Identifier: Apache-2.0
"""The shortcut ladder without a model: manifest rows alone say whether a release can be told apart without looking at a lung."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.label import check_findings
from medsetu.core.table import MANIFEST_COLUMNS, conform, finding_columns
from medsetu.evaluation.delong import estimate_from
from medsetu.evaluation.interval import Estimate, join_notes
from medsetu.evaluation.kernel import kernel_parts
from medsetu.shift.climb import climb, ladder_parts
from medsetu.shift.pairing import side_names
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.predictability import draw_patients
from medsetu.shift.row import REFUSED, ShiftRow
from medsetu.shift.rung import WITHOUT_LUNGS, reduced_films, rungs
from medsetu.shift.shortcut import ALONE, INFLATED_FROM, OPTIMISM

MEASURE = "ladder"
INFLATED = "reference inflated"
MOST_FILMS = 1000  # of each side, drawn by patient: a minute of reading
_METHOD = "logistic regression, cross-fitted by patient"


def ladder_rows(
    manifest: pd.DataFrame, *, finding: str, plan: ShiftPlan, cache: Path | None = None, most: int = MOST_FILMS
) -> list[ShiftRow]:
    """Climb the ladder on every side of a manifest, in five folds by patient, without any predictions.

    Args:
        manifest: Manifest rows with the finding; unknown labels are left out.
        finding: The finding, by name.
        plan: Level, smallest side and seed.
        cache: Folder that keeps the reduced films; None keeps nothing.
        most: Largest number of films read on each side.

    Returns:
        One line for each side and rung, subject ``<side>: <rung>``; the verdict is "reference inflated" where a rung that sees no lung
        tells the classes apart with a lower bound above 0.80, and a side with too few patients is refused.

    Raises:
        ConfigError: The manifest lacks the finding.
        DataError: A column is missing, or a film cannot be read.
    """
    check_findings([finding], finding_columns(manifest), where="Manifest of the shortcut ladder")
    labelled = conform(manifest, MANIFEST_COLUMNS, name="manifest").dropna(subset=finding)
    names = side_names(labelled)
    lines: list[ShiftRow] = []
    for side in sorted(names.unique(), key=lambda name: (["global", "local", name].index(name), name)):
        rows = labelled[names == side]
        kept = draw_patients(rows["group_id"], most=most, seed=plan.seed)
        note = f"{kept.size} of {len(rows)} films, drawn by patient" if kept.size < len(rows) else ""
        lines += _side(rows.iloc[kept].reset_index(drop=True), side=str(side), finding=finding, plan=plan, cache=cache, note=note)
    return lines


def study_ladder_rows(ladders: pd.DataFrame) -> list[ShiftRow]:
    """Write the ladder of a study as lines of the shift table.

    Args:
        ladders: Table of ``shortcut_ladders``.

    Returns:
        The AUROC of each rung once for each side, and the skill of every arm above it.
    """
    lines = []
    for (side, rung), rows in ladders.groupby(["side", "rung"], sort=False):
        first = rows.iloc[0]
        found = _estimate(first, ("value", "low", "high"), note=str(first["note"]))
        lines.append(_line(MEASURE, str(side), str(rung), found=found, patients=int(first["n_patients"])))
        for _, row in rows.iterrows():
            above = _estimate(row, ("skill_above", "skill_low", "skill_high"), note="")
            verdict = "above the rung" if above.low > 0 else "skill above the rung is not shown"
            subject = f"{rung}: {row['arm']}"
            lines.append(_line("skill above", str(side), subject, found=above, patients=int(row["n_patients"]), verdict=verdict))
    return lines


def _side(rows: pd.DataFrame, *, side: str, finding: str, plan: ShiftPlan, cache: Path | None, note: str) -> list[ShiftRow]:
    label = rows[finding].to_numpy(np.float64)
    patients = rows["group_id"].nunique()
    parts = list(ladder_parts(rows, label=label, seed=plan.seed))
    if patients < plan.smallest_side or not parts:
        why = f"{REFUSED}: {patients} labelled patients of {np.unique(label).size} classes, {plan.smallest_side} of both are needed"
        nothing = Estimate(math.nan, math.nan, math.nan, 0, 0, 0, "")
        return [_line(MEASURE, side, "all rungs", found=nothing, patients=patients, verdict=why)]
    found = {}
    for rung in rungs(rows, reduced_films(rows, cache=cache)):
        scores = climb(rung, label=label, parts=parts)
        if isinstance(scores, str):
            found[rung.name] = Estimate(math.nan, math.nan, math.nan, 0, 0, 0, "", scores)
        else:
            found[rung.name] = estimate_from(kernel_parts(label, scores, cluster=rows["group_id"]), level=plan.level)
    best = max(found, key=lambda name: -1.0 if math.isnan(found[name].value) else found[name].value)
    return [
        _line(MEASURE, side, name, found=one, patients=patients, note=join_notes(OPTIMISM if name == best else "", note))
        for name, one in found.items()
    ]


def _estimate(row: "pd.Series[float]", names: tuple[str, str, str], *, note: str) -> Estimate:
    value, low, high = (float(row[name]) for name in names)
    return Estimate(value, low, high, int(row["n_patients"]), int(row["n_samples"]), int(row["n_positive"]), str(row["method"]), note)


def _line(measure: str, side: str, subject: str, *, found: Estimate, patients: int, verdict: str | None = None, note: str = "") -> ShiftRow:
    """One rung of one side; external sites stand in the column of the local side."""
    rung_verdict = _verdict(subject, found) if verdict is None else verdict
    remarks = [part for part in found.note.split("; ") if not part.startswith("claim")]
    return ShiftRow(
        section="shortcut",
        measure=measure,
        subject=f"{side}: {subject}",
        value=found.value,
        low=found.low,
        high=found.high,
        n_global=patients if side == "global" else 0,
        n_local=0 if side == "global" else patients,
        unit="AUROC",
        method=f"{_METHOD}, {found.method}" if found.method else "",
        verdict=rung_verdict,
        note=join_notes(*remarks, note),
    )


def _verdict(rung: str, found: Estimate) -> str:
    if math.isnan(found.value):
        return "not identified"
    if rung in WITHOUT_LUNGS and found.low > INFLATED_FROM:
        return f"{INFLATED}: the classes are told apart by {ALONE[rung]}"
    return f"the classes are told apart by {ALONE[rung]}" if found.low > 0.5 else "nothing found"
