# SPDX-License-Identifier: Apache-2.0
"""What the model means for a screening programme on the local side: predictive values, alerts, films not read, net benefit, calibration.

Sensitivity and specificity come from the local test films; the prevalence is stated, because a test set is no programme. Every interval
holds the local patients and, where a threshold was chosen, the validation patients it was chosen on.
"""

from collections.abc import Iterator
from math import isnan

import numpy as np
from numpy.typing import ArrayLike

from medsetu.evaluation.bootstrap import bootstrap, percentile
from medsetu.evaluation.calibration import recalibration
from medsetu.evaluation.decision import Fitted, established_note
from medsetu.evaluation.evaluate import RESCALED
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.evaluation.metric import Statistics, brier, net_benefit, observed_expected, predictive_values
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.proportion import clustered_ratio, wilson_name
from medsetu.evaluation.transport import Draws
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.difference import reason_of
from medsetu.shift.operating import NO_VALIDATION, draws, fixed, transported
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, REFUSED, ShiftRow

SECTION = "decide"
SCREENED = 1000  # persons, one film each
_STREAM = 900
_BAYES = "Bayes' rule on draws of sensitivity and specificity"


def programme(sensitivity: ArrayLike, specificity: ArrayLike, *, prevalence: float) -> dict[str, Floats]:
    """What happens to screened persons at a stated prevalence.

    Args:
        sensitivity: In [0, 1].
        specificity: In [0, 1].
        prevalence: In [0, 1].

    Returns:
        ``ppv`` and ``npv``; ``alerts`` and ``missed cases`` per 1,000 screened; ``films not read``, the share that the model clears.

    Raises:
        ConfigError: The prevalence is outside [0, 1].

    Example:
        >>> found = programme(0.9, 0.7, prevalence=0.1)
        >>> {name: round(float(value), 6) for name, value in found.items()}
        {'ppv': 0.25, 'npv': 0.984375, 'alerts': 360.0, 'missed cases': 10.0, 'films not read': 0.64}
    """
    sens, spec = np.asarray(sensitivity, dtype=np.float64), np.asarray(specificity, dtype=np.float64)
    ppv, npv = predictive_values(sens, spec, prevalence=prevalence)
    called = sens * prevalence + (1 - spec) * (1 - prevalence)
    return {
        "ppv": ppv,
        "npv": npv,
        "alerts": SCREENED * called,
        "missed cases": SCREENED * prevalence * (1 - sens),
        "films not read": 1 - called,
    }


def benefit_at(sensitivity: ArrayLike, specificity: ArrayLike, *, prevalence: float, threshold: float) -> Floats:
    """Net benefit at a stated prevalence (Vickers and Elkin 2006).

    Args:
        sensitivity: In [0, 1].
        specificity: In [0, 1].
        prevalence: In [0, 1].
        threshold: Probability in [0, 1) at which one would treat.

    Returns:
        Net benefit per person.

    Raises:
        ConfigError: The threshold is outside [0, 1).

    Example:
        >>> round(float(benefit_at(24 / 105, 1 - 91 / 645, prevalence=105 / 750, threshold=0.1)), 10)
        0.0185185185
    """
    sens, spec = np.asarray(sensitivity, dtype=np.float64), np.asarray(specificity, dtype=np.float64)
    return net_benefit(sens * prevalence, (1 - spec) * (1 - prevalence), total=np.ones(1), threshold=threshold).reshape(sens.shape)


def rows(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan) -> list[ShiftRow]:
    """Say what the model would mean on the local side.

    Args:
        cohort: Both sides; thresholds come from ``global_val``.
        plan: Level, resamples, smallest group, seed.
        evaluation: Thresholds, prevalences, decision thresholds.

    Returns:
        Lines of section ``decide``.
    """
    patients = cohort.local_films.n_patients
    if patients < plan.smallest_side:
        said = f"{REFUSED}: {patients} patients on the local side, {plan.smallest_side} are the least"
        return [_row("decision", "local", _nothing(said), unit="", said=said)]
    fitted = transported(cohort, plan, evaluation=evaluation)
    made = [row for one in fitted for row in _operating(cohort, plan, fitted=one, evaluation=evaluation)]
    if not fitted:
        made.append(_row("decision", "local", _nothing(NO_VALIDATION), unit="", said=f"{REFUSED}: {NO_VALIDATION}"))
    made += [row for value in evaluation.decision_thresholds for row in _benefit(cohort, plan, value=value, evaluation=evaluation)]
    return [*made, *_calibration(cohort, plan, score_kind=evaluation.score_kind)]


def _operating(cohort: Cohort, plan: ShiftPlan, *, fitted: Fitted, evaluation: EvaluationPlan) -> Iterator[ShiftRow]:
    """Alerts as they would come, and the programme at every stated prevalence, at one transported threshold."""
    films, rule = cohort.local_films, f"{fitted.kind} {fitted.rule.name}"
    note = join_notes(f"threshold from {fitted.origin}", established_note(fitted.counts[2]))
    yield _row(f"alerts as observed at {rule}", "local", _observed(films, plan, fitted=fitted, note=note), unit="per 1,000 films")
    drawn, reason = draws(films, fitted, plan=plan, stream=_STREAM)
    for prevalence in evaluation.prevalences:
        point, spread = (_programme(drawn, prevalence=prevalence, drawn=kind) for kind in (False, True))
        for name, unit in (("ppv", "share"), ("npv", "share"), ("alerts", "per 1,000 screened"), ("missed cases", "per 1,000 screened")):
            found = _estimate(films, point[name], spread[name], plan=plan, note=join_notes(note, reason or _class_note(drawn)))
            yield _row(f"{name} at {rule}", f"prevalence {prevalence:g}", found, unit=unit)
        if fitted.rule.kind == "sensitivity":
            name = "films not read"
            found = _estimate(films, point[name], spread[name], plan=plan, note=join_notes(note, reason or _class_note(drawn)))
            yield _row(f"{name} at {rule}", f"prevalence {prevalence:g}", found, unit="share", said=_triage(drawn, fitted, found, plan))


def _programme(found: Draws | None, *, prevalence: float, drawn: bool) -> dict[str, Floats]:
    if found is None:
        return programme(np.full(1, NAN), np.full(1, NAN), prevalence=prevalence)
    if drawn:
        return programme(found.replicate["sensitivity"], found.replicate["specificity"], prevalence=prevalence)
    values = [np.array([found.ratios[name].value]) for name in ("sensitivity", "specificity")]
    return programme(values[0], values[1], prevalence=prevalence)


def _class_note(found: Draws | None) -> str:
    absent = [name for name in ("sensitivity", "specificity") if found is None or isnan(found.ratios[name].value)]
    return f"no local films for the {' and the '.join(absent)}" if absent else ""


def _triage(found: Draws | None, fitted: Fitted, share: Estimate, plan: ShiftPlan) -> str:
    """Films are only saved where the sensitivity that was asked for is kept on the local side."""
    if found is None or isnan(share.low):
        return ""
    low = percentile(found.replicate["sensitivity"], level=plan.level)[0][0]
    kept = f"local sensitivity {found.ratios['sensitivity'].value:.3f}, at least {low:.3f}"
    return f"{'kept' if low >= fitted.rule.target else 'not shown to be kept'}: {kept}, asked {fitted.rule.target:g}"


def _observed(films: Films, plan: ShiftPlan, *, fitted: Fitted, note: str) -> Estimate:
    """Share of the local films, labelled or not, that the thresholds call; Wilson at the effective size by patient."""
    values = np.array([fitted.value.get((int(seed), -1), NAN) for seed in films.seed])
    counts = (films.n_patients, len(films), int(np.nansum(films.label)))
    if np.isnan(values).any():
        return Estimate(NAN, NAN, NAN, *counts, "", join_notes("validation has no threshold for some seed", note))
    called = (films.scores >= values[:, None]).mean(axis=0)
    found = clustered_ratio(called, np.ones(len(films)), cluster=films.cluster, level=plan.level)
    ends = found.interval(level=plan.level)
    return Estimate(SCREENED * found.value, SCREENED * ends[0], SCREENED * ends[1], *counts, wilson_name(found), note)


def _benefit(cohort: Cohort, plan: ShiftPlan, *, value: float, evaluation: EvaluationPlan) -> Iterator[ShiftRow]:
    """Net benefit of treating at a probability, beside treating everybody and nobody; rescaled scores are no probabilities."""
    if evaluation.score_kind == "rescaled":
        yield _row(f"net benefit at {value:g}", "local", _nothing(RESCALED), unit="", said=f"{REFUSED}: {RESCALED}")
        return
    films = cohort.local_films
    drawn, reason = draws(films, fixed(films, value=value), plan=plan, stream=_STREAM + 1)
    for prevalence in evaluation.prevalences:
        nothing = np.full(1, NAN)
        shares = [(np.array([drawn.ratios[name].value]), drawn.replicate[name]) for name in ("sensitivity", "specificity")] if drawn else []
        point = benefit_at(shares[0][0], shares[1][0], prevalence=prevalence, threshold=value) if shares else nothing
        spread = benefit_at(shares[0][1], shares[1][1], prevalence=prevalence, threshold=value) if shares else nothing
        everybody = float(benefit_at(1.0, 0.0, prevalence=prevalence, threshold=value))
        found = _estimate(
            films, point, spread, plan=plan, note=join_notes(f"treating everybody: {everybody:.4f}", reason or _class_note(drawn))
        )
        said = "" if isnan(found.low) else _better(found, max(0.0, everybody))
        yield _row(f"net benefit at {value:g}", f"prevalence {prevalence:g}", found, unit="true positives per person", said=said)


def _better(found: Estimate, simple: float) -> str:
    if found.low > simple:
        return "better than treating everybody or nobody"
    return "no better than treating everybody or nobody" if found.high < simple else CANNOT_TELL


def _calibration(cohort: Cohort, plan: ShiftPlan, *, score_kind: str) -> Iterator[ShiftRow]:
    """Calibration of every site, by bootstrap of its patients; small sites are suppressed, rescaled scores have none."""
    if score_kind == "rescaled":
        yield _row("calibration", "local", _nothing(RESCALED), unit="", said=f"{REFUSED}: {RESCALED}")
        return
    for films in (cohort.global_films, cohort.local_films):
        site = films.facts["site"].to_numpy(dtype=str) if "site" in films.facts else np.full(len(films), "")
        for name in np.unique(site):
            yield from _site(cohort, films.take(site == name), plan, subject=f"{films.side}: {name}" if name else films.side)


def _site(cohort: Cohort, films: Films, plan: ShiftPlan, *, subject: str) -> Iterator[ShiftRow]:
    if films.known().n_patients < max(1, plan.minimum_group):
        said = f"suppressed: fewer than {plan.minimum_group} labelled patients"
        yield _row("calibration", subject, _nothing(said), unit="", said=said)
        return

    def statistic(label: Floats, score: Floats, weight: Floats) -> Statistics:
        fitted = recalibration(label, score, weight)
        return {**fitted, "observed / expected": observed_expected(label, score, weight), "brier": brier(label, score, weight)}

    perfect = {"calibration_intercept": 0.0, "calibration_slope": 1.0, "observed / expected": 1.0}
    for name, found in bootstrap(films.matrix, statistic, replicates=plan.bootstrap, seed=plan.seed, level=plan.level).items():
        said = "" if name not in perfect or isnan(found.low) else _calibrated(found, perfect[name])
        yield _row(
            name.replace("_", " "), subject, found, unit="ratio" if "/" in name else "logit" if "intercept" in name else "", said=said
        )


def _calibrated(found: Estimate, perfect: float) -> str:
    return CANNOT_TELL if found.low <= perfect <= found.high else "not calibrated"


def _estimate(films: Films, value: Floats, replicate: Floats, *, plan: ShiftPlan, note: str) -> Estimate:
    counts = films.matrix.counts
    if isnan(float(value[0])):
        return Estimate(NAN, NAN, NAN, *counts, "", join_notes(note, "undefined: a class is absent or nobody is called"))
    ends, remark = percentile(replicate, level=plan.level)
    return Estimate(float(value[0]), *ends, *counts, _BAYES, join_notes(note, remark))


def _nothing(note: str) -> Estimate:
    return Estimate(NAN, NAN, NAN, 0, 0, 0, "", note)


def _row(measure: str, subject: str, found: Estimate, *, unit: str, said: str = "") -> ShiftRow:
    here = not subject.startswith("global")
    return ShiftRow(
        section=SECTION,
        measure=measure,
        subject=subject,
        value=found.value,
        low=found.low,
        high=found.high,
        n_global=0 if here else found.n_patients,
        n_local=found.n_patients if here else 0,
        unit=unit,
        method=found.method,
        verdict=said or ("measured" if not isnan(found.value) else f"{REFUSED}: {reason_of(found.note)}"),
        note=found.note,
    )
