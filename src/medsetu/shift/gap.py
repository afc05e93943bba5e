# SPDX-License-Identifier: Apache-2.0
"""The gap with certainty: what the arm loses from the global to the local side, per measure, with power, equivalence and non-inferiority.

Positive means loss. The sides hold different patients, so each is resampled by itself; the local deficit compares two arms on the same
films, so their difference is resampled. AUROC: MOVER from single intervals. Sensitivity and specificity: draws of Wilson's confidence
distribution over resampled validation thresholds, which both sides share. Brier and log loss: means by patient, Welch t.
"""

from dataclasses import replace
from math import isnan

import numpy as np
from scipy.stats import norm

from medsetu.evaluation.decision import Fitted, established_note
from medsetu.evaluation.delong import estimate_from
from medsetu.evaluation.evaluate import RESCALED
from medsetu.evaluation.interval import NAN, Estimate, join_notes
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.cohort import Cohort
from medsetu.shift.contrast import GAP, LOCAL_DEFICIT, Contrast, verdict
from medsetu.shift.difference import (
    Difference,
    auroc_deficit,
    auroc_gap,
    direction,
    gap_row,
    losses,
    mean_difference,
    parts_of,
    reason_of,
    share_gap,
)
from medsetu.shift.multiplicity import holm
from medsetu.shift.operating import MEASURES, NO_VALIDATION, draws, transported
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.power import detection_power, noninferiority_power, sample_size
from medsetu.shift.row import CANNOT_TELL, REFUSED, ShiftRow
from medsetu.shift.subgroup import subgroup_rows

_PLANNED = (0.60, 0.98)  # AUROC between which a sample size is planned
_MIXED = "holds the case mix too: it moves with prevalence"
_UNKNOWN_AUROC = 0.85  # expected where a side cannot tell


def rows(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan, local_only: Cohort | None = None) -> list[ShiftRow]:
    """Measure the gap, and the local deficit where the local arm is given.

    Args:
        cohort: Both sides with the scores of the arm studied.
        plan: Level, resamples, sizes, seed.
        evaluation: Margin, thresholds, groups.
        local_only: The same films with the scores of the local-only arm; None leaves the local deficit out.

    Returns:
        Lines of section ``gap``; a side that is too small gives one line with the patients it takes.
    """
    refused = _refused(cohort, plan, margin=evaluation.margin)
    if refused:
        return refused
    fitted = transported(cohort, plan, evaluation=evaluation)
    made = [*_cells(cohort, plan), *_auroc(cohort, plan, margin=evaluation.margin)]
    made += [row for one in fitted for row in _shares(cohort, plan, fitted=one)]
    if not fitted:
        made.append(
            gap_row(cohort, f"{GAP}: sensitivity", Difference(NAN, NAN, NAN, NAN, "", NO_VALIDATION), said=f"{REFUSED}: {NO_VALIDATION}")
        )
    for measure in ("brier", "log_loss"):
        if evaluation.score_kind == "rescaled":
            nothing = Difference(NAN, NAN, NAN, NAN, "", RESCALED)
            made.append(gap_row(cohort, f"{GAP}: {measure}", nothing, said=f"{REFUSED}: {RESCALED}"))
            continue
        sides = [(losses(films, measure=measure), films) for films in (cohort.local_films, cohort.global_films)]
        made.append(gap_row(cohort, f"{GAP}: {measure}", mean_difference(sides[0], sides[1], plan=plan), extra=_MIXED))
    if local_only is not None:
        made += _deficit(cohort, plan, local_only=local_only, margin=evaluation.margin)
    return [*_adjusted(made), *subgroup_rows(cohort, plan, evaluation=evaluation, fitted=fitted[0] if fitted else None)]


def _adjusted(made: list[ShiftRow]) -> list[ShiftRow]:
    """Holm over the secondary gaps; that in AUROC is the primary one and stands alone. Their intervals are not adjusted."""
    family = [place for place, row in enumerate(made) if row.measure.startswith(GAP) and row.measure != f"{GAP}: auroc" and row.p == row.p]
    adjusted = dict(zip(family, holm([made[place].p for place in family]), strict=True))
    return [replace(row, p_adjusted=float(adjusted[place])) if place in adjusted else row for place, row in enumerate(made)]


def _cells(cohort: Cohort, plan: ShiftPlan) -> list[ShiftRow]:
    """AUROC of each side by itself."""
    made = []
    for films in (cohort.global_films, cohort.local_films):
        found = estimate_from(parts_of(films), seed=films.seed, level=plan.level)
        here = Difference(found.value, found.low, found.high, NAN, found.method, found.note)
        made.append(
            gap_row(
                cohort,
                "auroc",
                here,
                subject=films.side,
                said="measured" if not isnan(found.value) else f"{REFUSED}: {reason_of(here.note)}",
            )
        )
    return made


def _auroc(cohort: Cohort, plan: ShiftPlan, *, margin: float) -> list[ShiftRow]:
    """The gap in AUROC with its power, and the two tests against the margin."""
    left, right = cohort.global_films, cohort.local_films
    found = auroc_gap(left, right, level=plan.level)
    contrast = Contrast(GAP, (cohort.arm, left.side), (cohort.arm, right.side), loss=True, formula="G - L")
    return [
        gap_row(cohort, f"{GAP}: auroc", found, said=_said(contrast, found, margin=margin)),
        *_margin(cohort, found, plan, margin=margin),
    ]


def _margin(cohort: Cohort, found: Difference, plan: ShiftPlan, *, margin: float) -> list[ShiftRow]:
    if isnan(found.low) or margin == 0:
        return []
    error = (found.high - found.low) / (2 * float(norm.ppf(0.5 + plan.level / 2)))
    power, equal = (power_of(margin, standard_error=error, level=plan.level) for power_of in (detection_power, noninferiority_power))
    size = sample_size(margin, auroc=_planned(cohort), correlation=0.0, level=plan.level)
    inferior, superior = (_one_sided(value, error) for value in (margin - found.value, margin + found.value))
    name = f"margin {margin:g}"
    each = f"one-sided {(1 - plan.level) / 2:.1%}: the printed {plan.level:.0%} interval decides"
    return [
        gap_row(
            cohort,
            "non-inferiority: auroc",
            Difference(found.value, found.low, found.high, inferior, each, ""),
            subject=name,
            said=_shown(found, low=NAN, high=margin),
        ),
        gap_row(
            cohort,
            "equivalence: auroc",
            Difference(found.value, found.low, found.high, max(inferior, superior), f"TOST, {each}", ""),
            subject=name,
            said=_shown(found, low=-margin, high=margin),
        ),
        gap_row(
            cohort,
            "power: auroc",
            Difference(power, NAN, NAN, NAN, "normal approximation from the printed interval", ""),
            subject=f"gap of {margin:g}",
            said=f"{equal:.2f} to show non-inferiority if both sides are equal; power 0.80 takes about {size} patients per class and side",
        ),
    ]


def _shown(found: Difference, *, low: float, high: float) -> str:
    """Whether the whole interval lies between the margins (a NaN margin does not bind), beyond one of them, or neither."""
    if found.low >= high:
        return f"not shown: worse by more than {high:g}"
    if found.high <= low:
        return f"not shown: better by more than {high:g}"
    return "shown" if found.high < high and not found.low <= low else CANNOT_TELL


def _one_sided(distance: float, error: float) -> float:
    return float(norm.sf(distance / error)) if error > 0 else float(distance <= 0)


def _shares(cohort: Cohort, plan: ShiftPlan, *, fitted: Fitted) -> list[ShiftRow]:
    """Sensitivity and specificity of both sides at one transported threshold, and their gaps."""
    made, rule = [], f"{fitted.kind} {fitted.rule.name}"
    sides = [
        (films, *draws(films, fitted, plan=plan, stream=stream)) for stream, films in enumerate((cohort.global_films, cohort.local_films))
    ]
    note = join_notes(f"threshold from {fitted.origin}", established_note(fitted.counts[2]))
    for name in MEASURES:
        for films, drawn, reason in sides:
            one = drawn.estimate(name, counts=films.matrix.counts, level=plan.level, note=note) if drawn else None
            here = (
                Difference(one.value, one.low, one.high, NAN, one.method, one.note) if one else Difference(NAN, NAN, NAN, NAN, "", reason)
            )
            made.append(
                gap_row(
                    cohort,
                    f"{name} at {rule}",
                    here,
                    subject=films.side,
                    said="measured" if not isnan(here.value) else f"{REFUSED}: {reason_of(here.note)}",
                )
            )
        made.append(gap_row(cohort, f"{GAP}: {name} at {rule}", share_gap(sides[0][1], sides[1][1], name=name, plan=plan, note=note)[0]))
    return made


def _deficit(cohort: Cohort, plan: ShiftPlan, *, local_only: Cohort, margin: float) -> list[ShiftRow]:
    """Local-only minus the arm, on the local films that both have scored."""
    shared, at_left, at_right = np.intersect1d(local_only.local_films.sample_id, cohort.local_films.sample_id, return_indices=True)
    left, right = local_only.local_films.take(at_left), cohort.local_films.take(at_right)
    lost = max(len(local_only.local_films), len(cohort.local_films)) - shared.size
    note = f"{lost} films left both arms: not both have scored them" if lost else ""
    found = auroc_deficit(left, right, level=plan.level)
    contrast = Contrast(LOCAL_DEFICIT, (local_only.arm, left.side), (cohort.arm, right.side), loss=True, formula="C - L")
    made = [gap_row(cohort, f"{LOCAL_DEFICIT}: auroc", found, said=_said(contrast, found, margin=margin), extra=note)]
    for measure in ("brier", "log_loss"):
        each = [losses(films, measure=measure) for films in (right, left)]
        if not np.array_equal(left.seed, right.seed):
            each = [one.mean(axis=0, keepdims=True) for one in each]
        paired = mean_difference((each[0] - each[1], right), plan=plan)
        made.append(gap_row(cohort, f"{LOCAL_DEFICIT}: {measure}", paired, said=direction(paired, paired=True), extra=note))
    return made


def _said(contrast: Contrast, found: Difference, *, margin: float) -> str:
    if isnan(found.value):
        return f"{REFUSED}: {reason_of(found.note)}"
    if isnan(found.low):
        return f"{CANNOT_TELL}: {reason_of(found.note)}"
    return verdict(contrast, Estimate(found.value, found.low, found.high, 0, 0, 0, found.method), margin=margin)


def _refused(cohort: Cohort, plan: ShiftPlan, *, margin: float) -> list[ShiftRow]:
    """One line when a side is too small to be measured at all, with the patients it takes."""
    sizes = {films.side: films.known().n_patients for films in (cohort.global_films, cohort.local_films)}
    small = [f"{count} labelled patients on the {side} side" for side, count in sizes.items() if count < plan.smallest_side]
    if not small:
        return []
    takes = "10 patients of each class per side give the AUROC an interval"
    if margin > 0:
        size = sample_size(margin, auroc=_planned(cohort), correlation=0.0, level=plan.level)
        takes += f", {size} per class and side find a gap of {margin:g} with power 0.80"
    nothing = Difference(NAN, NAN, NAN, NAN, "", takes)
    return [gap_row(cohort, f"{GAP}: auroc", nothing, said=f"{REFUSED}: {' and '.join(small)}, {plan.smallest_side} are the least")]


def _planned(cohort: Cohort) -> float:
    """Mean AUROC of the sides, kept where a sample size can be planned."""
    found = np.array([float(parts_of(films).averaged(films.seed).auroc[0]) for films in (cohort.global_films, cohort.local_films)])
    known = found[np.isfinite(found)]
    return float(np.clip(known.mean() if known.size else _UNKNOWN_AUROC, *_PLANNED))
