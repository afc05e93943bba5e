# SPDX-License-Identifier: Apache-2.0
"""What a network does when its films are altered: AUROC lost, scores moved, decisions flipped, and the noise of telling a film again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medsetu.core.errors import DataError
from medsetu.evaluation.bootstrap import patient_weights, percentile
from medsetu.evaluation.decision import Rule, fit_threshold
from medsetu.evaluation.delong import difference_from, estimate_from
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.kernel import kernel_parts
from medsetu.evaluation.proportion import clustered_ratio
from medsetu.shift.cohort import Films
from medsetu.shift.occlusion import AS_IT_IS, LUNGS_ONLY, OCCLUSIONS, RETESTS, WITHOUT_BORDER, WITHOUT_LUNGS, WITHOUT_MARKERS
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, REFUSED, ShiftRow

LOST = "auroc lost"
USES = {WITHOUT_BORDER: "uses the border", WITHOUT_MARKERS: "uses the markers", LUNGS_ONLY: "uses more than the lungs"}
BLIND = "tells the classes apart without lungs"
STRANGE = "an altered film is unlike those of training: a loss may come from that"
RETEST_SUBJECT = "all retests"


@dataclass(frozen=True)
class Probe:
    """Scores of one arm on films of one side, as they are and altered.

    Attributes:
        films: The films; ``scores`` are those of the films as they are, read again by the probe.
        altered: Alteration -> (M, n) probabilities, rows and columns as in ``films``.
    """

    films: Films
    altered: Mapping[str, Floats]


def probe_of(table: pd.DataFrame, films: Films, *, finding: str) -> Probe:
    """Bring a table of altered scores into the order of films.

    Args:
        table: Long table with ``sample_id``, ``seed``, ``finding``, ``alteration`` and ``score``; folds of a seed are averaged.
        films: Test films of one side and arm.
        finding: The finding, by name.

    Returns:
        The probe, of the films and seeds that were scored under every alteration.

    Raises:
        DataError: A column is missing, no film was scored under every alteration, or a score is no probability.
    """
    _check(table)
    rows = table[(table["finding"] == finding) & table["sample_id"].isin(films.sample_id) & table["seed"].isin(films.seed)]
    wide = rows.pivot_table(index="sample_id", columns=["alteration", "seed"], values="score", aggfunc="mean").dropna()
    if wide.empty or AS_IT_IS not in wide.columns.get_level_values(0):
        raise DataError(
            what="No film was scored as it is and under every alteration",
            where=f"Altered scores of '{finding}' on the {films.side} side",
            remedy="Run the probe on the test films of the arm",
        )
    wide = wide.sort_index()
    kept = films.take(np.isin(films.sample_id, wide.index.to_numpy(dtype=str)))
    scores = {str(name): wide[name].loc[kept.sample_id].sort_index(axis=1) for name in wide.columns.get_level_values(0).unique()}
    seeds = scores[AS_IT_IS].columns.to_numpy(dtype=np.int64)
    values = {name: part.to_numpy(dtype=np.float64).T for name, part in scores.items()}
    asis = values.pop(AS_IT_IS)
    return Probe(replace(kept, scores=asis, seed=seeds), values)


def thresholds(validation: Films, *, rule: Rule) -> Floats:
    """Choose a threshold for each seed on validation films.

    Args:
        validation: Validation films of the side on which the arm may choose.
        rule: What the threshold must reach.

    Returns:
        (M,) thresholds; NaN where validation lacks a class the rule needs.
    """
    origin = f"val/{validation.side}"
    return np.array([fit_threshold(validation.label, row, rule=rule, origin=origin).value for row in validation.scores])


def rows(probe: Probe, plan: ShiftPlan, *, threshold: ArrayLike | None = None) -> list[ShiftRow]:
    """Occlusion and test-retest as lines of the shift table.

    Args:
        probe: Scores of the films as they are and altered; films with an unknown label count for scores and flips, not for AUROC.
        plan: Level, smallest side, resamples and seed.
        threshold: One threshold, or one per seed, fixed on validation; flips are "not identified" without.

    Returns:
        For each alteration AUROC altered and lost (positive means loss), mean absolute change of the score and flip rate; over all retests
        standard deviation within a film and share of films that flip at least once. A side with too few patients is refused.
    """
    films = probe.films
    if films.n_patients < plan.smallest_side:
        why = f"{REFUSED}: {films.n_patients} patients, {plan.smallest_side} are needed"
        return [_line("probe", films, RETEST_SUBJECT, Estimate(NAN, NAN, NAN, 0, 0, 0, ""), unit="", verdict=why)]
    lines: list[ShiftRow] = []
    for name, scores in probe.altered.items():
        lines += _ranking(films, name, scores, plan=plan)
        lines.append(
            _line("mean absolute change", films, name, _mean(np.abs(scores - films.scores).mean(axis=0), films, plan), unit="score")
        )
        lines.append(_flips(films, name, [scores], threshold=threshold, plan=plan))
    retests = [probe.altered[name] for name in RETESTS if name in probe.altered]
    if retests:
        variance = np.var([films.scores, *retests], axis=0, ddof=1).mean(axis=0)
        found = _mean(variance, films, plan, scale=np.sqrt)
        lines.append(_line("retest sd", films, RETEST_SUBJECT, found, unit="score", verdict="noise of telling the same film again"))
        lines.append(_flips(films, RETEST_SUBJECT, retests, threshold=threshold, plan=plan))
    return lines


def _ranking(films: Films, name: str, scores: Floats, *, plan: ShiftPlan) -> list[ShiftRow]:
    before, after = (kernel_parts(films.label, table, cluster=films.cluster) for table in (films.scores, scores))
    single = estimate_from(after, seed=films.seed, level=plan.level)
    lost = difference_from(before, after, paired=True, seeds=(films.seed, films.seed), level=plan.level)
    note = STRANGE if name in OCCLUSIONS else ""
    blind = name == WITHOUT_LUNGS and single.low > 0.5
    seen = BLIND if blind else "not shown to tell the classes apart without lungs" if name == WITHOUT_LUNGS else ""
    return [
        _line("auroc altered", films, name, single, verdict=seen if np.isfinite(single.low) else CANNOT_TELL),
        _line(LOST, films, name, replace(lost, note=join_notes(lost.note, note)), verdict=_use(name, lost)),
    ]


def _use(name: str, lost: Estimate) -> str:
    if np.isnan(lost.low):
        return CANNOT_TELL
    if lost.low > 0:
        return USES.get(name, "loses AUROC")
    return "no loss shown" if lost.high >= 0 else "gains AUROC"


def _flips(films: Films, name: str, altered: Sequence[Floats], *, threshold: ArrayLike | None, plan: ShiftPlan) -> ShiftRow:
    """Share of films whose decision changes under at least one of the alterations, averaged over seeds."""
    cut = np.full(films.seed.size, NAN) if threshold is None else np.broadcast_to(np.asarray(threshold, dtype=np.float64), films.seed.shape)
    if np.isnan(cut).any():
        nothing = Estimate(NAN, NAN, NAN, 0, 0, 0, "", "no threshold from validation")
        return _line("flip rate", films, name, nothing, unit="share", verdict=NOT_IDENTIFIED)
    called = films.scores >= cut[:, None]
    flipped = np.any([(scores >= cut[:, None]) != called for scores in altered], axis=0).mean(axis=0)
    found = clustered_ratio(flipped, np.ones(len(films)), cluster=films.cluster, level=plan.level)
    low, high = found.interval(level=plan.level)
    estimate = Estimate(found.value, low, high, found.n_patients, len(films), 0, "wilson, effective size" if found.clustered else "wilson")
    return _line("flip rate", films, name, estimate, unit="share")


def _mean(values: Floats, films: Films, plan: ShiftPlan, *, scale: Callable[[Floats], Floats] = np.asarray) -> Estimate:
    """Mean over films with its patient bootstrap, on another scale where one is given."""
    weights = patient_weights(films.cluster, replicates=plan.bootstrap, seed=plan.seed)
    drawn = [scale(weight @ values / weight.sum(axis=1)) for weight in weights]
    ends, remark = percentile(np.concatenate([np.zeros(0), *drawn]), level=plan.level)
    value = float(scale(np.asarray(values.mean())))
    return Estimate(value, *ends, films.n_patients, len(films), 0, f"patient bootstrap, {plan.bootstrap} replicates", remark)


def _line(measure: str, films: Films, name: str, found: Estimate, *, unit: str = "AUROC", verdict: str = "") -> ShiftRow:
    local = films.side != "global"
    return ShiftRow(
        section="shortcut",
        measure=measure,
        subject=f"{films.side}: {name}",
        value=found.value,
        low=found.low,
        high=found.high,
        n_global=0 if local else films.n_patients,
        n_local=films.n_patients if local else 0,
        unit=unit,
        method=found.method,
        verdict=verdict,
        note=found.note,
    )


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in ("sample_id", "seed", "finding", "alteration", "score") if name not in table.columns]
    if missing:
        raise DataError(what=f"Column '{missing[0]}' is missing", where="Table of altered scores", remedy="Write it with the probe")
    score = table["score"].to_numpy(np.float64)
    wrong = int((~((score >= 0) & (score <= 1))).sum())
    if wrong:
        raise DataError(what=f"{wrong} scores are NaN or outside [0, 1]", where="Table of altered scores", remedy="Give probabilities")
