# SPDX-License-Identifier: Apache-2.0
"""How many local patients it takes: to prove a target, to miss nobody, to measure a gap, and to train until a target is reached.

A proportion counts as proved when the lower end of its two-sided 95 % Wilson interval reaches the target. Power is that of the exact
binomial law, and the sample size is the first from which the power holds for good: it saws up and down with n.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.stats import binom, norm

from medsetu.core.errors import ConfigError
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.interval import Estimate, Floats, check_level, critical, hanley_mcneil, wilson
from medsetu.evaluation.score import Ints
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.exchange import exchange_rates
from medsetu.shift.learning_curve import FEWEST_POINTS, LearningCurve, Need, patients_needed
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.profile import Profile
from medsetu.shift.row import REFUSED, ShiftRow

SECTION = "plan"
RECALLS = (0.98, 0.99)  # recall targets, as one-sided lower bounds
HALF_WIDTH = 0.05  # AUROC: how closely a gap should be known
_MOST = 1_000_000  # films: beyond it nobody plans
_ROUNDING = 1e-12


def proved(positive: int, total: int, *, target: float, level: float = 0.95) -> bool:
    """Whether a share is proved to reach a target: the lower Wilson end does.

    Args:
        positive: Cases found.
        total: Cases.
        target: Share to reach, in (0, 1).
        level: Level of the two-sided interval.

    Returns:
        The verdict.

    Example:
        >>> proved(95, 100, target=0.9), proved(133, 140, target=0.9)
        (False, True)
    """
    return total > 0 and float(wilson(positive, total, level=level)[0]) >= target - _ROUNDING


def proof_power(total: int, *, target: float, truth: float, level: float = 0.95) -> float:
    """Probability that a test with so many cases proves a share, exact binomial.

    Args:
        total: Cases of the test.
        target: Share to prove, in (0, 1).
        truth: True share, in (0, 1).
        level: Level of the two-sided interval.

    Returns:
        Power in [0, 1].

    Example:
        >>> round(proof_power(254, target=0.90, truth=0.95), 3)
        0.862
    """
    return float(_power(np.array([total]), target=target, truth=truth, level=level)[0])


def _power(total: Ints, *, target: float, truth: float, level: float) -> Floats:
    """Power for each number of cases; the lower Wilson end reaches p0 when the share found is at least p0 + z sqrt(p0 q0 / n)."""
    above = np.sqrt(total * target * (1 - target)) * float(critical(level))
    fewest: Floats = np.ceil(np.asarray(total * target + above - _ROUNDING * total, dtype=np.float64))
    power: Floats = binom.sf(fewest - 1, total, truth)
    return power


def cases_to_prove(target: float, *, truth: float, power: float = 0.8, level: float = 0.95) -> int:
    """Cases that a test needs to prove a sensitivity (or non-cases, a specificity).

    Args:
        target: Share to prove, in (0, 1).
        truth: True share that is assumed, above the target and below 1.
        power: Wanted power.
        level: Level of the two-sided interval.

    Returns:
        The number from which on the power is never below the wanted one.

    Raises:
        ConfigError: The truth does not lie above the target, the power is outside (0, 1), or nobody could collect so many.

    Example:
        >>> cases_to_prove(0.90, truth=0.95), cases_to_prove(0.90, truth=0.93), cases_to_prove(0.70, truth=0.80)
        (254, 740, 158)
    """
    if not (0 < target < truth < 1 and 0 < power < 1):
        raise ConfigError(
            what=f"No test proves {target:g} with power {power:g} when the truth is {truth:g}",
            where="shift.planner.cases_to_prove",
            remedy="Assume a truth above the target and below 1, and a power between 0 and 1",
        )
    z, quantile = float(critical(level)), float(norm.ppf(power))
    rough = ((z * math.sqrt(target * (1 - target)) + max(quantile, 0.0) * math.sqrt(truth * (1 - truth))) / (truth - target)) ** 2
    if rough > _MOST:
        raise ConfigError(
            what=f"Proving {target:g} takes more than {_MOST:,} cases when the truth is {truth:g}",
            where="shift.planner.cases_to_prove",
            remedy="Assume a truth further above the target",
        )
    sizes = np.arange(1, int(2 * rough) + 200)
    short = np.flatnonzero(_power(sizes, target=target, truth=truth, level=level) < power)
    return int(sizes[short[-1]] + 1) if short.size else 1


def cases_without_miss(recall: float, *, level: float = 0.95) -> int:
    """Cases in a row, none of them missed, that put the one-sided lower bound of recall at a target.

    Args:
        recall: Target in (0, 1).
        level: One-sided confidence level (Clopper and Pearson).

    Returns:
        The number of cases.

    Raises:
        ConfigError: The target is outside (0, 1).

    Example:
        >>> cases_without_miss(0.98), cases_without_miss(0.99)
        (149, 299)
    """
    if not 0 < recall < 1:
        raise ConfigError(
            what=f"A recall of {recall:g} cannot be proved", where="Recall target", remedy="Give a number below 1, such as 0.98"
        )
    return math.ceil(math.log(1 - check_level(level)) / math.log(recall) - 1e-9)


def cases_for_gap(half_width: float, *, aurocs: tuple[float, float], global_error: float | None = None, level: float = 0.95) -> int | None:
    """Positives, and as many negatives, of each side that tell a gap to plus or minus ``half_width``.

    Standard errors come from the expected values (Hanley and McNeil 1982); one film per patient.

    Args:
        half_width: Half the width of the interval, above 0, in AUROC.
        aurocs: Expected AUROC on the global and on the local side, in (0, 1).
        global_error: Standard error of the global AUROC where that side is as it is; None: both sides are as large.
        level: Confidence level.

    Returns:
        Films per class; None when the global side as it is makes the gap wider than that, however many local films there are.

    Raises:
        ConfigError: The half width is not positive, or an AUROC is outside (0, 1).

    Example:
        >>> cases_for_gap(0.05, aurocs=(0.9, 0.85))
        195
        >>> cases_for_gap(0.05, aurocs=(0.9, 0.85), global_error=0.03) is None
        True
    """
    if not (half_width > 0 and all(0 < value < 1 for value in aurocs)):
        raise ConfigError(
            what=f"A gap between AUROCs of {aurocs[0]:g} and {aurocs[1]:g} cannot be planned to within {half_width:g}",
            where="shift.planner.cases_for_gap",
            remedy="Expect AUROCs between 0 and 1, and ask for a half width above 0 such as 0.05",
        )
    sizes = np.arange(1, 20_001)
    local = hanley_mcneil(aurocs[1], sizes, negatives=sizes)
    known = hanley_mcneil(aurocs[0], sizes, negatives=sizes) if global_error is None else global_error**2
    reached = np.flatnonzero(float(critical(level)) * np.sqrt(local + known) <= half_width)
    return int(sizes[reached[0]]) if reached.size else None


def rows(
    cohort: Cohort,
    plan: ShiftPlan,
    *,
    profile: Profile | None = None,
    curves: Mapping[str, LearningCurve] | None = None,
    half_width: float = HALF_WIDTH,
    power: float = 0.8,
) -> list[ShiftRow]:
    """Say what it takes, as lines of the shift table.

    Args:
        cohort: Both sides with the scores of one arm.
        plan: Level.
        profile: Targets with their edition; None: no targets.
        curves: Learning curves of the AUROC or of the sensitivity at ``profile.assumed_specificity``, by arm.
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
    lines += _curve_rows(curves or {}, profile, power=power, level=plan.level)
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
        return replace(blank, verdict=f"{REFUSED}: an AUROC strictly between 0 and 1 on both sides is needed", note=found[0].note)
    needed = cases_for_gap(half_width, aurocs=(found[0].value, found[1].value), level=plan.level)
    if needed is None:
        return replace(blank, verdict=f"{REFUSED}: more than 20,000 per class")
    return replace(blank, value=needed, verdict=f"{needed} per class and side")


def _auroc(films: Films, *, level: float) -> Estimate:
    return auroc_estimate(films.label, films.scores, cluster=films.cluster, seed=films.seed, level=level)


def _curve_rows(curves: Mapping[str, LearningCurve], profile: Profile | None, *, power: float, level: float) -> list[ShiftRow]:
    lines = []
    for arm, learned in curves.items():
        if profile is not None and learned.metric == sensitivity_metric(profile):
            for target in (profile.sensitivity, profile.assumed_sensitivity):
                lines.append(_need_row(arm, learned, target=target, power=power, level=level))
    if {"local-only", "transfer"} <= set(curves):
        lines += [
            ShiftRow(
                SECTION,
                f"label exchange rate, {curves['transfer'].metric}",
                f"transfer with {rate.n:.0f} local patients",
                value=_finite(rate.value),
                low=_finite(rate.low),
                high=_finite(rate.high),
                unit="local patients",
                method="horizontal distance of the learning curves, paired patient bootstrap",
                verdict=rate.verdict,
                note="" if math.isnan(rate.meets) else f"the curves meet in {rate.meets:.0%} of replicates",
            )
            for rate in exchange_rates(curves["local-only"], curves["transfer"], level=level)
        ]
    return lines


def sensitivity_metric(profile: Profile) -> str:
    """Name of the learning-curve metric that a profile reads: sensitivity where specificity is as the sample size assumes."""
    return f"sensitivity at specificity {profile.assumed_specificity:g}"


def _need_row(arm: str, learned: LearningCurve, *, target: float, power: float, level: float) -> ShiftRow:
    blank = ShiftRow(
        SECTION,
        f"local patients for {learned.metric} >= {target:g}",
        arm,
        unit="local patients",
        method=f"inverse power law, {learned.draws.shape[0]} replicates of patients and seeds",
    )
    if int((learned.n > 0).sum()) < FEWEST_POINTS:
        return replace(blank, verdict=f"{REFUSED}: a law takes {FEWEST_POINTS} numbers of local patients")
    need = patients_needed(learned, target=target, power=power, level=level)
    return replace(
        blank, value=_finite(need.value), low=_finite(need.low), high=_finite(need.high), verdict=need.verdict, note=_shares(need)
    )


def _shares(need: Need) -> str:
    if math.isnan(need.never):
        return ""
    sure = f"{math.ceil(need.assured)} patients" if math.isfinite(need.assured) else "no number of patients"
    return f"never in {need.never:.0%}, cannot say in {need.cannot_say:.0%} of replicates; with {need.power:.0%} assurance: {sure}"


def _finite(number: float) -> float:
    return number if math.isfinite(number) else math.nan
