# SPDX-License-Identifier: Apache-2.0
"""Which shift is it: none, prevalence, covariate or both, and when that cannot be told.

The logic follows Roschewitz et al. (MICCAI 2025): compare the sides, bring the global side to the local prevalence, compare again. What is
left then is no shift of prevalence. Three things differ. A test that finds nothing proves nothing, so prevalence is named only where the
second comparison would not even by itself reject, and the reason says what was looked at; prevalence on top of appearance is named only
with local labels, for scores alone cannot tell them apart; and no label noise is named without the votes of readers.
"""

import math
from dataclasses import replace

import numpy as np

from medsetu.evaluation.interval import NAN, Estimate, join_notes
from medsetu.evaluation.proportion import clustered_ratio, wilson_name
from medsetu.shift.cause import Evidence, calibration_films, gather, shared_seeds
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.prevalence import EM, METHODS, prevalence_estimates
from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, REFUSED, ShiftRow

NO_SHIFT = "no shift found"
PREVALENCE = "prevalence"
COVARIATE = "covariate"
BOTH = "prevalence and covariate"
LABEL_NOISE = "label noise"
SEVERAL = "several"
_POWERED = (1.959964 + 0.841621) / (2 * 1.959964)  # width of a 95 % interval -> difference found with 80 % power


def name_shift(evidence: Evidence, *, alpha: float = 0.05) -> tuple[str, str]:
    """Name the shift that the evidence shows.

    Args:
        evidence: What was compared.
        alpha: Size of the family of causes (Holm), in (0, 1).

    Returns:
        ``no shift found``, ``prevalence``, ``covariate``, ``prevalence and covariate``, ``label noise``, ``several`` or ``cannot tell``,
        and the reason.

    Example:
        >>> from medsetu.shift.relabel import TwoSample
        >>> moved, still = TwoSample(0.2, 0.001, 90, 90, ""), TwoSample(0.0, 0.6, 90, 90, "")
        >>> name_shift(Evidence(prevalence=moved, covariate=still, anything=0.001, has_features=True))[0]
        'prevalence'
    """
    if evidence.refused:
        return CANNOT_TELL, evidence.refused
    prevalence, covariate, labelling = evidence.adjusted
    if labelling <= alpha:
        name = SEVERAL if min(prevalence, covariate) <= alpha else LABEL_NOISE
        return name, "the labels contradict the readers otherwise than globally" + (", and the films differ" if name == SEVERAL else "")
    if covariate <= alpha:
        return _beside_covariate(evidence, moved=prevalence <= alpha)
    if prevalence <= alpha:
        return _prevalence_or_not(evidence, alpha=alpha)
    if evidence.anything <= alpha:
        return CANNOT_TELL, "the sides differ, but no cause could be shown"
    return NO_SHIFT, "no test found a difference, which does not show that there is none"


def _beside_covariate(evidence: Evidence, *, moved: bool) -> tuple[str, str]:
    if not evidence.labelled:
        return COVARIATE, "no prevalence explains the local films; whether it moved too cannot be told without local labels"
    reason = "films of one class do not look as they do globally (or were labelled by another policy)"
    return (BOTH if moved else COVARIATE), f"{reason}, and the share of positives {'differs' if moved else 'shows no difference'}"


def _prevalence_or_not(evidence: Evidence, *, alpha: float) -> tuple[str, str]:
    if not (evidence.has_features or evidence.labelled):
        return (
            CANNOT_TELL,
            "the scores moved as another prevalence would move them; features or local labels must show that nothing else did",
        )
    if not (evidence.covariate.p if math.isnan(evidence.rest) else evidence.rest) > alpha:
        return CANNOT_TELL, "the prevalence seems to differ, but the films may look different too"
    if evidence.labelled:
        return PREVALENCE, "the share of positives differs, and within the classes nothing was found to differ"
    return PREVALENCE, "local films look like global films at another prevalence; films that merely look more or less ill would do so too"


def rows(cohort: Cohort, plan: ShiftPlan) -> list[ShiftRow]:
    """Local prevalence by every method, the tests of each cause, and the name of the shift.

    Args:
        cohort: Films of both sides.
        plan: Sizes, resamples and seed.

    Returns:
        Rows of section ``explain``; the estimates that need unchanged films are refused where the covariate test rejects.
    """
    evidence = gather(cohort, plan)
    validation, here = shared_seeds(calibration_films(cohort), cohort.local_films)
    estimates = prevalence_estimates(
        validation.label,
        validation.scores,
        cluster=validation.cluster,
        local_scores=here.scores,
        local_cluster=here.cluster,
        replicates=plan.bootstrap,
        seed=plan.seed,
        level=plan.level,
    )
    name, reason = name_shift(evidence, alpha=plan.alpha)
    base = ShiftRow("explain", "", cohort.finding, n_global=validation.n_patients, n_local=here.n_patients)
    standing = "global test films stand in for validation" if cohort.global_val is None else ""
    found = [_estimate_row(base, method, estimates[method], evidence=evidence, plan=plan) for method in METHODS]
    found = [replace(row, note=join_notes(row.note, standing)) for row in found]
    adjustment = "Holm" if evidence.labelled else "closed test"
    named = replace(base, n_global=cohort.global_films.known().n_patients)
    return [
        *found,
        _observed_row(base, cohort.local_films, plan=plan),
        *_cause_rows(named, evidence, width=estimates[EM].high - estimates[EM].low, plan=plan),
        replace(named, measure="shift named", method=f"permutation of patients, {adjustment} over causes", verdict=name, note=reason),
    ]


def _estimate_row(base: ShiftRow, name: str, estimate: Estimate, *, evidence: Evidence, plan: ShiftPlan) -> ShiftRow:
    row = replace(base, measure=f"prevalence ({name})", unit="share", method=estimate.method or METHODS[name], note=estimate.note)
    if evidence.refused:
        return replace(row, verdict=REFUSED, note=evidence.refused)
    if evidence.covariate.p <= plan.alpha:
        return replace(row, verdict=f"{REFUSED}: covariate shift found", note=f"p {evidence.covariate.p:.3f} at the local prevalence")
    if not math.isfinite(estimate.value):
        return replace(row, verdict=NOT_IDENTIFIED)
    note = join_notes(estimate.note, "holds if positives and negatives look as they do globally")
    return replace(row, value=estimate.value, low=estimate.low, high=estimate.high, verdict="estimated", note=note)


def _observed_row(base: ShiftRow, films: Films, *, plan: ShiftPlan) -> ShiftRow:
    row, known = replace(base, measure="prevalence (local labels)", unit="share"), films.known()
    if not len(known):
        return replace(row, verdict=NOT_IDENTIFIED, note="no local labels")
    found = clustered_ratio(known.label, np.ones(len(known)), cluster=known.cluster, level=plan.level)
    low, high = found.interval(level=plan.level)
    left = len(films) - len(known)
    note = join_notes(f"width {high - low:.2f}", f"{left} films without a label" if left else "")
    return replace(
        row, value=found.value, low=low, high=high, n_local=known.n_patients, method=wilson_name(found), verdict="observed", note=note
    )


def _cause_rows(base: ShiftRow, evidence: Evidence, *, width: float, plan: ShiftPlan) -> list[ShiftRow]:
    power = f"a change of {_POWERED * width:.2f} would be found with 80 % power" if math.isfinite(width) and not evidence.labelled else ""
    told = (
        ("prevalence shift", evidence.prevalence, "share" if evidence.labelled else "mean score", power),
        ("covariate shift", evidence.covariate, "MMD²", f"global side at prevalence {evidence.target:.2f}"),
        ("label noise", evidence.labelling, "share", ""),
    )
    found = []
    for (measure, test, unit, note), adjusted in zip(told, (NAN,) * 3 if evidence.refused else evidence.adjusted, strict=True):
        row = replace(base, measure=measure, unit=unit, value=test.value, p=test.p, p_adjusted=adjusted, method=test.method)
        if math.isnan(test.p):
            found.append(replace(row, verdict=NOT_IDENTIFIED, note=evidence.refused or "needs votes of readers on both sides"))
        else:
            shown = adjusted <= plan.alpha
            found.append(replace(row, verdict="shift found" if shown else CANNOT_TELL, note=note))
    return found
