# SPDX-License-Identifier: Apache-2.0
"""Predictions to results: arm × domain × group × finding × metric, each with its interval, its n and what it may claim."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, base_arm
from medsetu.core.errors import DataError
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.table import PREDICTION_COLUMNS, RESULT_COLUMNS, conform
from medsetu.evaluation import metric
from medsetu.evaluation.bootstrap import SHARE, bootstrap
from medsetu.evaluation.calibration import null_band, recalibration
from medsetu.evaluation.curve import curve
from medsetu.evaluation.decision import Fitted, Rule, fit_all
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.group import Group, groups
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.macro import macro_auroc
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.score import ScoreMatrix, score_matrix
from medsetu.evaluation.transport import decide

ALL, MACRO, TEST, VAL = "all", "macro", "test", "val"
RESCALED = "rescaled scores are no probabilities"

_RANGES = {"observed_expected": (0.0, np.inf), "log_loss": (0.0, np.inf)} | dict.fromkeys(
    ("brier", "auprc", "partial_auroc", "roc_"), SHARE
)
_UNITS = {
    "threshold": "probability",
    "brier": "squared probability",
    "log_loss": "nat",
    "calibration_intercept": "log odds",
    "calibration_slope": "log odds per log odds",
    "observed_expected": "ratio",
    "net_benefit": "true positives per sample",
    "ece": "probability",
}


@dataclass(frozen=True)
class Cell:
    """Address of a result: the key columns of the results table."""

    run: str
    arm: str
    split: str
    domain: str
    group: str
    finding: str


def evaluate_predictions(predictions: pd.DataFrame, plan: EvaluationPlan) -> pd.DataFrame:
    """Evaluate every arm on the test samples of every domain; thresholds come from the arm's own validation samples.

    Groups repeat the core of the metrics (AUROC, Brier, observed / expected, operating points); "all" has every metric.

    Args:
        predictions: Predictions table of any number of arms, seeds and folds.
        plan: What was fixed before the test.

    Returns:
        Results table, one row per metric; NaN values carry the reason in ``note``.

    Raises:
        DataError: A column is missing, scores are no probabilities, or one model scored a sample twice.
        ConfigError: A group column does not exist.
    """
    table = conform(predictions, PREDICTION_COLUMNS, name="predictions")
    if table.empty:
        raise DataError(what="There are no predictions", where="Table predictions", remedy="Run `medsetu train` first, or name other runs")
    rows: list[dict[str, object]] = []
    for arm, of_arm in table.groupby("arm", sort=False):
        fitted = {finding: _thresholds(part, plan, arm=str(arm)) for finding, part in of_arm.groupby("finding", sort=False)}
        tested = of_arm[of_arm["split"] == TEST]
        for domain, of_domain in tested.groupby("domain", sort=False):
            cell = Cell(_run_name(of_domain), str(arm), TEST, str(domain), ALL, "")
            for finding, part in of_domain.groupby("finding", sort=False):
                rows.extend(_finding_rows(part, plan, cell=replace(cell, finding=str(finding)), fitted=fitted[finding]))
            rows.extend(_macro_rows(of_domain, plan, cell=replace(cell, finding=MACRO)))
    return conform(pd.DataFrame(rows, columns=list(RESULT_COLUMNS)), RESULT_COLUMNS, name="results")


def threshold_rules(plan: EvaluationPlan) -> tuple[Rule, ...]:
    """List the threshold rules of a plan."""
    rules = [Rule("sensitivity", target) for target in plan.sensitivity_targets] + [
        Rule("specificity", target) for target in plan.specificity_targets
    ]
    return (*rules, Rule("youden")) if plan.youden else tuple(rules)


def estimate_row(cell: Cell, name: str, *, estimate: Estimate, note: str = "") -> dict[str, object]:
    """Write an estimate as a row of the results table.

    Args:
        cell: Address.
        name: Metric.
        estimate: Value, interval, counts, method and note.
        note: Further remarks of the cell.

    Returns:
        One value per column.
    """
    return {
        **cell.__dict__,
        **estimate.__dict__,
        "metric": name,
        "unit": next((unit for start, unit in _UNITS.items() if name.startswith(start)), "share"),
        "note": join_notes(estimate.note, note),
    }


def _run_name(rows: pd.DataFrame) -> str:
    names = rows["run"].dropna().unique()
    return str(names[0]) if len(names) == 1 else f"{len(names)} runs"


def _thresholds(rows: pd.DataFrame, plan: EvaluationPlan, *, arm: str) -> list[Fitted]:
    kinds = {GLOBAL: "transported", LOCAL: "refitted"}
    blind = {GLOBAL_ONLY: LOCAL, LOCAL_ONLY: GLOBAL}.get(base_arm(arm))  # the side whose labels it may not spend
    origins = {domain: kind for domain, kind in kinds.items() if domain != blind}
    found: list[Fitted] = []
    for domain, kind in origins.items():
        validation = rows[(rows["split"] == VAL) & (rows["domain"] == domain)]
        found.extend(
            fit_all(validation, rules=threshold_rules(plan), kind=kind, origin=f"{VAL}/{domain}", replicates=plan.bootstrap, seed=plan.seed)
        )
    return found


def _finding_rows(rows: pd.DataFrame, plan: EvaluationPlan, *, cell: Cell, fitted: list[Fitted]) -> Iterator[dict[str, object]]:
    matrix = score_matrix(rows)
    here = [one for one in fitted if not (cell.domain == GLOBAL and one.kind == "refitted")]
    yield from _matrix_rows(matrix, plan, cell=cell, fitted=here, whole=True)
    for group in groups(rows, columns=plan.groups, age_bands=plan.age_bands):
        part = matrix.take(np.isin(matrix.sample_id, list(group.sample_ids)))
        yield from _group_rows(part, plan, cell=replace(cell, group=group.name), group=group, fitted=here)


def _group_rows(part: ScoreMatrix, plan: EvaluationPlan, *, cell: Cell, group: Group, fitted: list[Fitted]) -> Iterable[dict[str, object]]:
    reason = group.note
    if not reason and part.label.size == 0:
        reason = "no samples"
    elif not reason and part.n_patients < plan.minimum_group:
        reason = f"suppressed: fewer than {plan.minimum_group} patients"
    if reason:
        return [estimate_row(cell, "auroc", estimate=Estimate(NAN, NAN, NAN, *part.counts, "", reason), note=part.note)]
    return _matrix_rows(part, plan, cell=cell, fitted=fitted, whole=False)


def _matrix_rows(
    matrix: ScoreMatrix, plan: EvaluationPlan, *, cell: Cell, fitted: list[Fitted], whole: bool
) -> Iterator[dict[str, object]]:
    estimates = _estimates(matrix, plan, fitted=fitted, whole=whole)
    if matrix.label.size and bool((np.ptp(matrix.scores, axis=1) == 0).any()):
        reason = "every score is the same: an untrained head is not scored"
        estimates = {name: Estimate(NAN, NAN, NAN, *matrix.counts, "", reason) for name in estimates}
    for name, estimate in estimates.items():
        yield estimate_row(cell, name, estimate=estimate, note=matrix.note)


def _estimates(matrix: ScoreMatrix, plan: EvaluationPlan, *, fitted: list[Fitted], whole: bool) -> dict[str, Estimate]:
    found = {"auroc": auroc_estimate(matrix.label, matrix.scores, cluster=matrix.cluster, seed=matrix.seed, level=plan.level)}
    prevalences = tuple(plan.prevalences) if whole else ()
    for one in fitted:
        carried = decide(matrix, one, prevalences=prevalences, level=plan.level, seed=plan.seed)
        found |= {name: estimate for name, estimate in carried.items() if whole or not name.startswith("threshold")}
    resampled = _resampled(matrix, plan, whole=whole)
    if whole:
        resampled |= _calibration_errors(matrix, plan)
    if plan.score_kind == "rescaled":
        resampled = {
            name: one if _only_order(name) else Estimate(NAN, NAN, NAN, *matrix.counts, "", RESCALED) for name, one in resampled.items()
        }
    return found | resampled


def _only_order(name: str) -> bool:
    return name.startswith(("auprc", "partial_auroc", "roc_"))


def _resampled(matrix: ScoreMatrix, plan: EvaluationPlan, *, whole: bool) -> dict[str, Estimate]:
    def statistic(label: Floats, score: Floats, weight: Floats) -> metric.Statistics:
        found = metric.probability(label, score, weight, decision_thresholds=plan.decision_thresholds if whole else ())
        if not whole:
            return found
        roc = curve(label, score, weight=weight)
        ranked = metric.ranking(
            roc, partial_fpr=plan.partial_fpr, sensitivities=plan.sensitivity_targets, specificities=plan.specificity_targets
        )
        return ranked | found | recalibration(label, score, weight)

    return bootstrap(
        matrix, statistic, replicates=plan.bootstrap, seed=plan.seed, level=plan.level, stratified=plan.stratified, ranges=_RANGES
    )


def _calibration_errors(matrix: ScoreMatrix, plan: EvaluationPlan) -> dict[str, Estimate]:
    """Calibration error twice: the value without an interval, and what a perfectly calibrated model of this size would show."""
    found = {}
    for name, equal_mass in (("ece_equal_width", False), ("ece_equal_mass", True)):
        band = null_band(matrix, bins=plan.bins, equal_mass=equal_mass, replicates=plan.bootstrap, seed=plan.seed, level=plan.level)
        told = f"a perfectly calibrated model of this size shows {band.low:.3f} to {band.high:.3f}"
        method = f"simulated labels, {plan.bootstrap} replicates"
        found[name] = Estimate(band.value, NAN, NAN, *matrix.counts, "", told)
        found[f"{name}_null"] = Estimate(band.mean, band.low, band.high, *matrix.counts, method, "band of a perfectly calibrated model")
    return found


def _macro_rows(rows: pd.DataFrame, plan: EvaluationPlan, *, cell: Cell) -> Iterator[dict[str, object]]:
    if not plan.macro:
        return
    matrices = {finding: score_matrix(rows, finding=finding) for finding in plan.macro}
    note = join_notes(*(matrix.note for matrix in matrices.values()))
    yield estimate_row(cell, "auroc", estimate=macro_auroc(matrices, level=plan.level), note=note)
