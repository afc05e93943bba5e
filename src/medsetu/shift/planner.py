# SPDX-License-Identifier: Apache-2.0
"""What it takes, as lines of the shift table: cases to prove a target, patients to train until it is reached, films to know a gap."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medsetu.core.arm import LOCAL_ONLY, TRANSFER
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.interval import Estimate, join_notes
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.exchange import Exchange, exchange_rates
from medsetu.shift.learning_curve import FEWEST_POINTS, LearningCurve, Need, patients_needed
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.profile import Profile
from medsetu.shift.row import CANNOT_TELL, REFUSED, ShiftRow
from medsetu.shift.sample_size import cases_for_gap, cases_to_prove, cases_without_miss

SECTION = "plan"
RECALLS = (0.98, 0.99)  # recall targets, as one-sided lower bounds
HALF_WIDTH = 0.05  # AUROC: how closely a gap should be known


def rows(
    cohort: Cohort,
    plan: ShiftPlan,
    *,
    profile: Profile | None = None,
    curves: Sequence[LearningCurve] = (),
    half_width: float = HALF_WIDTH,
    power: float = 0.8,
) -> list[ShiftRow]:
    """Say what it takes, as lines of the shift table.

    Args:
        cohort: Both sides with the scores of one arm.
        plan: Level.
        profile: Targets with their edition; None: no targets.
        curves: Learning curves of any arms: AUROC for the exchange rate, sensitivity at ``profile.assumed_specificity`` for the need too.
        half_width: How closely the gap should be known, in AUROC.
        power: Power of proofs, and share of replicates that must reach a target.

    Returns:
        Lines of section ``plan``; a question that cannot be answered is refused with the reason.
    """
    films = cohort.local_films.known()
    lines = [_gap_row(cohort, plan, half_width=half_width)]
    for recall in RECALLS:
        needed, have = cases_without_miss(recall, level=plan.level), _patients_of(films, 1.0)
        lines.append(_size_row("cases without a miss", f"recall {recall:g}", needed, have, method="one-sided Clopper-Pearson"))
    if profile is not None:
        lines += _profile_rows(films, profile, power=power, level=plan.level)
    lines += _curve_rows(curves, profile, power=power, level=plan.level)
    n_global, n_local = cohort.global_films.known().n_patients, films.n_patients
    return [replace(line, n_global=n_global, n_local=n_local) for line in lines]


def _patients_of(films: Films, label: float) -> int:
    return int(np.unique(films.cluster[films.label == label]).size)


def _size_row(measure: str, subject: str, needed: int, have: int, *, method: str) -> ShiftRow:
    verdict = f"enough: {have} are here" if have >= needed else f"{needed - have} more: {have} are here"
    return ShiftRow(SECTION, measure, subject, value=needed, unit="patients", method=method, verdict=verdict)


def _profile_rows(films: Films, profile: Profile, *, power: float, level: float) -> list[ShiftRow]:
    lines = []
    for key, label, what in (("sensitivity", 1.0, "positives"), ("specificity", 0.0, "negatives")):
        target, truth = float(getattr(profile, key)), float(getattr(profile, f"assumed_{key}"))
        lines.append(
            _size_row(
                f"{what} to prove {key} >= {target:g}",
                f"{profile.name} (edition {profile.edition})",
                cases_to_prove(target, truth=truth, power=power, level=level),
                _patients_of(films, label),
                method=f"Wilson {level:.0%} two-sided, exact binomial power {power:.0%}, if the truth is {truth:g}",
            )
        )
    return lines


def _gap_row(cohort: Cohort, plan: ShiftPlan, *, half_width: float) -> ShiftRow:
    found = [_auroc(films.known(), level=plan.level) for films in (cohort.global_films, cohort.local_films)]
    blank = ShiftRow(
        SECTION,
        f"positives, and as many negatives, for the gap to +- {half_width:g}",
        cohort.arm,
        unit="patients per class and side",
        method="Hanley-McNeil 1982",
    )
    if not all(0 < one.value < 1 for one in found):
        return replace(
            blank,
            verdict=f"{REFUSED}: an AUROC strictly between 0 and 1 on both sides is needed",
            note=join_notes(*(one.note for one in found)),
        )
    needed = cases_for_gap(half_width, aurocs=(found[0].value, found[1].value), level=plan.level)
    if needed is None:
        return replace(blank, verdict=f"{REFUSED}: more than 20,000 per class")
    return replace(blank, value=needed, verdict=f"{needed} per class and side")


def _auroc(films: Films, *, level: float) -> Estimate:
    return auroc_estimate(films.label, films.scores, cluster=films.cluster, seed=films.seed, level=level)


def _curve_rows(curves: Sequence[LearningCurve], profile: Profile | None, *, power: float, level: float) -> list[ShiftRow]:
    lines = []
    for learned in curves:
        if profile is not None and learned.metric == sensitivity_metric(profile):
            lines += _need_rows(learned, profile, power=power, level=level)
    arms = {(learned.arm, learned.metric): learned for learned in curves}
    for metric in dict.fromkeys(learned.metric for learned in curves):
        if (LOCAL_ONLY, metric) in arms and (TRANSFER, metric) in arms:
            rates = exchange_rates(arms[LOCAL_ONLY, metric], arms[TRANSFER, metric], level=level)
            lines += [_rate_row(rate, metric) for rate in rates]
    return lines


def sensitivity_metric(profile: Profile) -> str:
    """Name of the learning-curve metric that a profile reads: sensitivity where specificity is as the sample size assumes."""
    return f"sensitivity at specificity {profile.assumed_specificity:g}"


def _need_rows(learned: LearningCurve, profile: Profile, *, power: float, level: float) -> list[ShiftRow]:
    """Patients to train with: until the target is the truth, and until a test of the planned size proves it."""
    cases = cases_to_prove(profile.sensitivity, truth=profile.assumed_sensitivity, power=power, level=level)
    proof = f"{cases} positives then prove {profile.sensitivity:g} or more with power {power:.0%}"
    lines = []
    for target, remark in ((profile.sensitivity, "the truth, not yet proved"), (profile.assumed_sensitivity, proof)):
        blank = ShiftRow(
            SECTION,
            f"local patients for {learned.metric} >= {target:g}",
            learned.arm,
            unit="local patients",
            method=f"inverse power law, {learned.draws.shape[0]} replicates of patients and seeds",
        )
        if int((learned.n > 0).sum()) < FEWEST_POINTS or not np.isfinite(learned.value).all():
            lines.append(replace(blank, verdict=f"{REFUSED}: a law takes {FEWEST_POINTS} numbers of local patients, and both classes"))
            continue
        need = patients_needed(learned, target=target, power=power, level=level)
        value, low, high = (_finite(number) for number in (need.value, need.low, need.high))
        if need.verdict.startswith(CANNOT_TELL):
            value = math.nan  # no number beyond the data without an interval
        note = join_notes(remark, _shares(need))
        lines.append(replace(blank, value=value, low=low, high=high, verdict=need.verdict, note=note))
    return lines


def _rate_row(rate: Exchange, metric: str) -> ShiftRow:
    return ShiftRow(
        SECTION,
        f"label exchange rate, {metric}",
        f"transfer with {rate.n:.0f} local patients",
        value=_finite(rate.value),
        low=_finite(rate.low),
        high=_finite(rate.high),
        unit="local patients",
        method="horizontal distance of the learning curves, paired patient bootstrap",
        verdict=rate.verdict,
        note="" if math.isnan(rate.meets) else f"the curves meet in {rate.meets:.0%} of replicates",
    )


def _shares(need: Need) -> str:
    if math.isnan(need.never):
        return ""
    sure = f"{math.ceil(need.assured)} patients" if math.isfinite(need.assured) else "no number of patients"
    return f"never in {need.never:.0%}, cannot say in {need.cannot_say:.0%} of replicates; with {need.power:.0%} assurance: {sure}"


def _finite(number: float) -> float:
    return number if math.isfinite(number) else math.nan
