# SPDX-License-Identifier: Apache-2.0
"""What the scores and the global threshold are worth on the local side: calibration there and here, sensitivity and specificity carried."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.bootstrap import bootstrap, percentile
from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.decision import established_note
from medsetu.evaluation.evaluate import RESCALED
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes, mover
from medsetu.evaluation.metric import Statistics, observed_expected
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.score import ScoreMatrix
from medsetu.shift.cause import shared_seeds
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.label_shift import temperature_bias
from medsetu.shift.operating import MEASURES, NO_VALIDATION, draws, transported
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, REFUSED, ShiftRow

INTERCEPT, SLOPE, RATIO = "calibration intercept", "calibration slope", "observed / expected"
UNITS = {INTERCEPT: "log odds", SLOPE: "log odds per log odds", RATIO: "ratio"}
CHANGE = "local minus global"
_RANGES = {RATIO: (0.0, np.inf)}


@dataclass(frozen=True)
class Moved:
    """A measure on both sides and how far it moved.

    Attributes:
        there: On the global side.
        here: On the local side.
        change: Local minus global.
    """

    there: Estimate
    here: Estimate
    change: Estimate


def calibration_statistic(label: Floats, score: Floats, weight: Floats) -> Statistics:
    """Intercept (slope fixed at 1), slope (intercept free) and observed over expected; perfect is 0, 1, 1 (Van Calster 2019).

    Args:
        label: (n,) 1 or 0.
        score: (n,) probabilities.
        weight: (B, n) sample weights.

    Returns:
        (B,) values each; NaN where a class is absent, the slope also where the classes are separated.

    Example:
        >>> found = calibration_statistic(np.array([0, 1, 0, 1.0]), np.array([0.5, 0.5, 0.5, 0.5]), np.ones((1, 4)))
        >>> float(found["observed / expected"][0])
        1.0
    """
    return {
        INTERCEPT: recalibration(label, score, weight)["calibration_intercept"],
        SLOPE: temperature_bias(label, score, weight=weight)[0],
        RATIO: observed_expected(label, score, weight),
    }


def calibration_shift(there: ScoreMatrix, here: ScoreMatrix, *, plan: ShiftPlan) -> dict[str, Moved]:
    """Calibration of one model on both sides.

    Args:
        there: Labels and probabilities on the global side.
        here: The same model on the local side, other patients.
        plan: Resamples, level and seed.

    Returns:
        Intercept, slope and observed over expected: patient bootstrap on each side, their difference by MOVER.
    """
    seeds = np.random.SeedSequence([plan.seed, 2]).generate_state(2).tolist()
    sides = [
        bootstrap(matrix, calibration_statistic, replicates=plan.bootstrap, seed=seed, level=plan.level, ranges=_RANGES)
        for matrix, seed in zip((there, here), seeds, strict=True)
    ]
    return {name: Moved(sides[0][name], sides[1][name], _change(sides[0][name], sides[1][name])) for name in UNITS}


def _change(there: Estimate, here: Estimate) -> Estimate:
    low, high = mover(here.value, (here.low, here.high), value_b=there.value, interval_b=(there.low, there.high))
    note = join_notes(there.note, here.note)
    return replace(here, value=here.value - there.value, low=float(low), high=float(high), method="MOVER of both intervals", note=note)


def threshold_transport(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan) -> dict[str, Moved]:
    """Sensitivity and specificity of the global thresholds on both sides: what was promised, and what comes.

    Both sides stand on the same resamples of validation patients, so that their difference does not count the threshold's own uncertainty
    twice.

    Args:
        cohort: Films of both sides with labels; thresholds come from ``global_val`` alone.
        plan: Resamples, level and seed.
        evaluation: Rules of the thresholds.

    Returns:
        One entry per measure and rule, such as ``sensitivity at sensitivity_0.90``; empty without global validation.
    """
    found = {}
    for fitted in transported(cohort, plan, evaluation=evaluation):
        sides = [draws(films, fitted, plan=plan, stream=place) for place, films in enumerate((cohort.global_films, cohort.local_films))]
        counts = [films.matrix.counts for films in (cohort.global_films, cohort.local_films)]
        note = established_note(fitted.counts[2])
        for name in MEASURES:
            there, here = (
                drawn.estimate(name, counts=count, level=plan.level, note=note)
                if drawn
                else Estimate(NAN, NAN, NAN, *count, "", join_notes(reason, note))
                for (drawn, reason), count in zip(sides, counts, strict=True)
            )
            change = replace(here, value=here.value - there.value, low=NAN, high=NAN, method="", note=join_notes(there.note, here.note))
            if sides[0][0] and sides[1][0] and math.isfinite(change.value):
                ends, remark = percentile(sides[1][0].replicate[name] - sides[0][0].replicate[name], level=plan.level)
                method = "confidence draws of both sides on shared resamples of validation"
                change = replace(change, low=ends[0], high=ends[1], method=method, note=join_notes(note, remark))
            found[f"{name} at {fitted.rule.name}"] = Moved(there, here, change)
    return found


def rows(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan | None = None) -> list[ShiftRow]:
    """Calibration on both sides, and what sensitivity and specificity become when the global threshold goes local.

    Args:
        cohort: Films of both sides.
        plan: Smallest side, resamples, level and seed.
        evaluation: Threshold rules and kind of the scores; None: the usual rules, raw scores.

    Returns:
        Rows of section ``explain``: global, local, and local minus global.
    """
    settings = evaluation or EvaluationPlan(primary=cohort.finding)
    there, here = shared_seeds(cohort.global_films.known(), cohort.local_films.known())
    shared = replace(cohort, global_films=there, local_films=here)
    base = ShiftRow("explain", "", LOCAL, n_global=there.n_patients, n_local=here.n_patients)
    refused = _too_small(there, here, plan=plan)
    if refused:
        return [replace(base, measure=name, verdict=REFUSED, note=refused) for name in ("calibration shift", "threshold transport")]
    return [*_calibration_rows(base, there, here, plan=plan, kind=settings.score_kind), *_transport_rows(base, shared, plan, settings)]


def _too_small(there: Films, here: Films, *, plan: ShiftPlan) -> str:
    if not there.seed.size:
        return "the sides share no training seed"
    for films in (there, here):
        if films.n_patients < plan.smallest_side:
            return f"{films.n_patients} labelled patients on the {films.side} side, {plan.smallest_side} needed"
    return ""


def _calibration_rows(base: ShiftRow, there: Films, here: Films, *, plan: ShiftPlan, kind: str) -> Iterator[ShiftRow]:
    if kind == "rescaled":
        yield replace(base, measure="calibration shift", verdict=REFUSED, note=RESCALED)
        return
    for name, moved in calibration_shift(there.matrix, here.matrix, plan=plan).items():
        yield from _three_rows(replace(base, measure=name, unit=UNITS[name]), moved, note=f"{kind} scores")


def _transport_rows(base: ShiftRow, cohort: Cohort, plan: ShiftPlan, evaluation: EvaluationPlan) -> Iterator[ShiftRow]:
    found = threshold_transport(cohort, plan, evaluation=evaluation)
    if not found:
        yield replace(base, measure="threshold transport", verdict=NOT_IDENTIFIED, note=NO_VALIDATION)
    for name, moved in found.items():
        yield from _three_rows(replace(base, measure=name, unit="share"), moved, note="threshold from val/global")


def _three_rows(base: ShiftRow, moved: Moved, *, note: str) -> Iterator[ShiftRow]:
    for subject, one in ((GLOBAL, moved.there), (LOCAL, moved.here), (CHANGE, moved.change)):
        yield replace(
            base,
            subject=subject,
            value=one.value,
            low=one.low,
            high=one.high,
            method=one.method,
            verdict=_verdict(one, changes=subject == CHANGE),
            note=join_notes(note, one.note),
        )


def _verdict(one: Estimate, *, changes: bool) -> str:
    if not math.isfinite(one.value):
        return NOT_IDENTIFIED
    if not changes:
        return ""
    if one.low > 0 or one.high < 0:
        return "higher on the local side" if one.low > 0 else "lower on the local side"
    return CANNOT_TELL
