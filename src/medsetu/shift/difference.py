# SPDX-License-Identifier: Apache-2.0
"""Differences between two sides, or two arms on one side, with interval and p-value; patients are the unit everywhere.

AUROC: MOVER from single intervals. Sensitivity and specificity: draws of Wilson's confidence distribution over resampled validation
thresholds, which both sides share. Brier and log loss: means by patient with Welch's t.
"""

from dataclasses import dataclass, replace
from math import isnan, sqrt

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from medsetu.evaluation.bootstrap import percentile, widen
from medsetu.evaluation.delong import claim_note, difference_from
from medsetu.evaluation.interval import NAN, Estimate, Floats, critical, join_notes
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.metric import CLIP
from medsetu.evaluation.transport import Draws
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.pairing import BY_PATIENT
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.power import interval_error
from medsetu.shift.row import CANNOT_TELL, REFUSED, ShiftRow

SECTION = "gap"
ALL_FILMS = "all films"
_NO_SPREAD = 1e-24  # variance of a mean that is rounding alone


@dataclass(frozen=True)
class Difference:
    """A difference with its interval.

    Attributes:
        value: The difference; NaN where it is undefined.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p: Two-sided p-value of no difference; NaN without an interval.
        method: Estimator.
        note: Reason of a NaN, claim level, grouping.
    """

    value: float
    low: float
    high: float
    p: float
    method: str
    note: str


def parts_of(films: Films) -> KernelParts:
    """AUROC of each seed, and what each patient adds to it."""
    return kernel_parts(films.label, films.scores, cluster=films.cluster)


def auroc_gap(left: Films, right: Films, *, level: float) -> Difference:
    """AUROC on one side minus AUROC on another, disjoint patients (MOVER).

    Args:
        left: Films of the side that should be better.
        right: Films of the other side.
        level: Confidence level in (0, 1).

    Returns:
        The difference; without interval below 10 patients of a class, NaN where a side has one class only.
    """
    found = difference_from(parts_of(left), parts_of(right), paired=False, seeds=(left.seed, right.seed), level=level)
    return _tested(found, level=level)


def auroc_deficit(left: Films, right: Films, *, level: float) -> Difference:
    """AUROC of one arm minus that of another on the same films (MOVER with the DeLong correlation).

    Args:
        left: Films with the scores of the arm that should be better.
        right: The same films, in the same order, with the scores of the other arm.
        level: Confidence level in (0, 1).

    Returns:
        The difference.
    """
    found = difference_from(parts_of(left), parts_of(right), paired=True, seeds=(left.seed, right.seed), level=level)
    return _tested(found, level=level)


def losses(films: Films, *, measure: str) -> Floats:
    """(M, n) loss of each film under each seed: ``brier`` or ``log_loss``; NaN where the label is unknown."""
    if measure == "brier":
        return np.asarray((films.scores - films.label) ** 2)
    inside = np.clip(films.scores, CLIP, 1 - CLIP)
    return np.asarray(-np.log(np.where(films.label == 1, inside, 1 - inside)) + 0 * films.label)


def mean_difference(right: tuple[Floats, Films], left: tuple[Floats, Films] | None = None, *, plan: ShiftPlan) -> Difference:
    """Mean of (M, n) values on one side minus the mean on another; a mean has a formula, so nothing is resampled.

    Variance of a ratio of patient sums (linearised) on each side, plus that of the training seeds over their number, with Satterthwaite
    degrees of freedom (Welch 1947).

    Args:
        right: Values of each film under each seed, NaN left out, and the films they belong to.
        left: The same of the side that is taken away; None when the values are differences already (paired arms).
        plan: Level.

    Returns:
        The difference; NaN where a side has no known film, without interval where one has fewer than two patients.
    """
    sides = [_mean(*right)] + ([] if left is None else [_mean(*left)])
    by_seed = sides[0].by_seed
    if left is not None:
        by_seed = _by_seed(by_seed, sides[1].by_seed, same=np.array_equal(right[1].seed, left[1].seed))
    value = float(by_seed.mean())
    if isnan(value):
        return Difference(NAN, NAN, NAN, NAN, "", "no film with a known label")
    parts = [(side.variance, side.freedom) for side in sides]
    if by_seed.size > 1:
        parts.append((float(by_seed.var(ddof=1)) / by_seed.size, by_seed.size - 1.0))
    variance = sum(part for part, _ in parts)
    if isnan(variance):
        return Difference(value, NAN, NAN, NAN, "", join_notes(claim_note(by_seed.size), "fewer than two patients on a side"))
    if variance <= _NO_SPREAD and abs(value) <= sqrt(_NO_SPREAD):  # equal up to rounding, film by film
        return Difference(0.0, 0.0, 0.0, 1.0, "equal on every film", claim_note(by_seed.size))
    if variance <= _NO_SPREAD:
        return Difference(value, NAN, NAN, NAN, "", join_notes(claim_note(by_seed.size), "no spread within a side: no interval"))
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    error = sqrt(variance)
    half = float(critical(plan.level, df=freedom)) * error
    p = float(2 * student.sf(abs(value) / error, freedom))
    return Difference(value, value - half, value + half, p, "mean by patient, Welch t", claim_note(by_seed.size))


def share_gap(left: Draws | None, right: Draws | None, *, name: str, plan: ShiftPlan, note: str = "") -> tuple[Difference, Floats]:
    """Sensitivity or specificity on one side minus another, at thresholds whose resamples both sides share.

    Args:
        left: Draws of the side that should be better; None when no threshold could be carried there.
        right: Draws of the other side, of the same training seeds.
        name: ``sensitivity`` or ``specificity``.
        plan: Level and seed.
        note: Where the threshold comes from.

    Returns:
        The difference, NaN with the reason where a side lacks the class; and its (B,) draws, none where it is NaN.
    """
    if left is None or right is None:
        return Difference(NAN, NAN, NAN, NAN, "", join_notes("no threshold on a side", note)), np.zeros(0)
    if isnan(left.ratios[name].value - right.ratios[name].value):
        return Difference(NAN, NAN, NAN, NAN, "", join_notes(f"no samples in the denominator of {name}", note)), np.zeros(0)
    by_seed = _by_seed(left.by_model[name], right.by_model[name], same=True)
    found = left.patients[name] - right.patients[name]
    method = "difference of Wilson draws, over resampled validation"
    difference = _widened(found, by_seed, plan=plan, method=method)
    return replace(difference, note=join_notes(note, difference.note)), found


def direction(found: Difference, *, paired: bool = False) -> str:
    """Say what a gap has shown where no margin was declared; "no difference" is never said.

    Args:
        found: The gap; positive is loss.
        paired: Whether two arms are compared on one side.

    Returns:
        The verdict.

    Example:
        >>> direction(Difference(0.1, 0.02, 0.2, 0.01, "", "")), direction(Difference(0.1, -0.02, 0.2, 0.1, "", ""))
        ('worse on the local side', 'cannot tell')
    """
    if isnan(found.value):
        return f"{REFUSED}: {reason_of(found.note)}"
    if isnan(found.low):
        return f"{CANNOT_TELL}: no interval"
    words = ("worse than local-only", "better than local-only") if paired else ("worse on the local side", "better on the local side")
    return words[0] if found.low > 0 else words[1] if found.high < 0 else CANNOT_TELL


def reason_of(note: str) -> str:
    """First part of a note that is neither a claim nor the origin of a threshold: the reason of a NaN.

    Example:
        >>> reason_of("claim: this model; threshold from val/global; no samples")
        'no samples'
    """
    return next((part for part in note.split("; ") if part and not part.startswith(("claim", "threshold"))), "undefined")


def gap_row(cohort: Cohort, measure: str, found: Difference, *, subject: str = ALL_FILMS, said: str = "", extra: str = "") -> ShiftRow:
    """Write a difference as a line of section ``gap``.

    Args:
        cohort: Both sides, for their sizes.
        measure: What was measured.
        found: The difference.
        subject: Of which films.
        said: The verdict; the direction of the difference when empty.
        extra: A remark before those of the difference.

    Returns:
        The line.
    """
    sides = (cohort.global_films, cohort.local_films)
    return ShiftRow(
        section=SECTION,
        measure=measure,
        subject=subject,
        value=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        n_global=cohort.global_films.known().n_patients,
        n_local=cohort.local_films.known().n_patients,
        unit=unit_of(measure),
        method=found.method,
        verdict=said or direction(found),
        note=join_notes(extra, found.note, *(f"{films.side} {films.unit}" for films in sides if films.unit != BY_PATIENT)),
    )


def unit_of(measure: str) -> str:
    """Unit of the value of a measure.

    Example:
        >>> unit_of("gap: auroc"), unit_of("gap: sensitivity at transported sensitivity_0.90"), unit_of("gap: brier")
        ('AUROC', 'share', 'Brier score')
    """
    kinds = {"power": "share", "auroc": "AUROC", "sensitivity": "share", "specificity": "share", "brier": "Brier score", "log_loss": "nats"}
    return next((unit for word, unit in kinds.items() if word in measure), "")


def crossing(replicate: Floats) -> float:
    """Two-sided p-value from draws of a difference: (b + 1) / (N + 1) of them on the far side of zero, twice.

    Example:
        >>> crossing(np.array([1.0, 2.0, 3.0])), crossing(np.array([-1.0, 1.0, 2.0]))
        (0.5, 1.0)
    """
    drawn = replicate[np.isfinite(replicate)]
    if drawn.size == 0:
        return NAN
    fewer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (drawn.size + 1))


@dataclass(frozen=True)
class _Mean:
    """Mean of a side: by seed, and the variance of their mean by patient."""

    by_seed: Floats
    variance: float
    freedom: float


def _mean(values: Floats, films: Films) -> _Mean:
    known = ~np.isnan(values).any(axis=0)
    if not known.any():
        return _Mean(np.full(values.shape[0], NAN), NAN, NAN)
    codes = np.unique(films.cluster[known], return_inverse=True)[1]
    total, size = np.bincount(codes, weights=values[:, known].mean(axis=0)), np.bincount(codes)
    patients = size.size
    if patients < 2:
        return _Mean(values[:, known].mean(axis=1), NAN, NAN)
    spread = (total - size * total.sum() / size.sum()) / size.mean()
    return _Mean(values[:, known].mean(axis=1), float(spread.var(ddof=1)) / patients, patients - 1.0)


def _by_seed(left: Floats, right: Floats, *, same: bool) -> Floats:
    """Difference of each seed; of the means where the seeds are not the same runs."""
    return left - right if same else np.atleast_1d(left.mean() - right.mean())


def _widened(found: Floats, by_seed: Floats, *, plan: ShiftPlan, method: str) -> Difference:
    """Add what the training seeds contribute to the draws of a difference, and read interval and p-value."""
    value = float(by_seed.mean())
    if isnan(value):
        return Difference(NAN, NAN, NAN, NAN, "", "no film with a known label")
    rng = np.random.default_rng([plan.seed, 12])
    drawn = widen(found, by_seed, seed=np.arange(by_seed.size), rng=rng)
    ends, remark = percentile(drawn, level=plan.level)
    return Difference(value, *ends, crossing(drawn), method, join_notes(claim_note(by_seed.size), remark))


def _tested(found: Estimate, *, level: float) -> Difference:
    error = interval_error(found, level=level)
    p = float(2 * norm.sf(abs(found.value) / error)) if error > 0 else NAN  # no width, no test
    return Difference(found.value, found.low, found.high, p, found.method, found.note)
