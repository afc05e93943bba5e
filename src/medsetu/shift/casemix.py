# SPDX-License-Identifier: Apache-2.0
"""The gap that is left when the global films are weighted to the case mix of the local ones."""

from dataclasses import dataclass

import numpy as np

from medsetu.evaluation.bootstrap import expanded_level, percentile
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.delong import MINIMUM_CLASS, claim_note
from medsetu.evaluation.interval import NAN, Estimate, Floats, join_notes
from medsetu.manifest.progress import progress
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.measured import Measured, Sides, case_mix, labelled
from medsetu.shift.overlap import NO_OVERLAP, Overlap, overlap
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import NOT_IDENTIFIED, REFUSED
from medsetu.shift.weigh import class_moments, imbalance, resamples, seed_shares, tilt

BALANCED = 0.1  # standard deviations of a fact that weighting may leave unmet
METHOD = "entropy balancing within class; patient bootstrap, weights refitted, expanded percentile"


@dataclass(frozen=True)
class MatchedGap:
    """Gap with and without the measured case mix.

    Attributes:
        estimate: G matched - L in AUROC; NaN with the reason where it is refused or not identified.
        raw: G - L on the same films.
        facts: What was matched.
        overlap: Overlap of the sides on these facts; None when it was not looked at.
        verdict: ``matched``, ``refused: ...`` or ``not identified``.
    """

    estimate: Estimate
    raw: float
    facts: tuple[str, ...]
    overlap: Overlap | None
    verdict: str


def matched_gap(cohort: Cohort, plan: ShiftPlan) -> MatchedGap:
    """Weight the global films to the local age, sex and view within each class, and take the gap again.

    Matching within classes is matching jointly on the facts and the label; the AUROC does not move with prevalence, so no further weight
    is needed for it.

    Args:
        cohort: Films of both sides.
        plan: Limits, level, resamples and seed.

    Returns:
        The matched gap; not identified without a fact known on both sides, refused without overlap.
    """
    sides, reason = labelled(cohort, plan)
    if reason:
        return _nothing(sides, f"{REFUSED}: {reason}", reason)
    raw = float(np.mean(side_auroc(sides[0]) - side_auroc(sides[1])))
    facts = case_mix(sides)
    if not facts:
        return _nothing(sides, NOT_IDENTIFIED, "no age, sex or view is known on both sides", raw=raw)
    if facts.global_values.shape[1] == 0:
        return _nothing(sides, NOT_IDENTIFIED, f"the known facts do not vary: {', '.join(facts.names)}", raw=raw)
    found = overlap(facts, sides, plan=plan, toward="local")
    if found.refused:
        return _nothing(sides, NO_OVERLAP, found.sentence, raw=raw, facts=facts.names, found=found)
    ones = [np.ones((1, len(films))) for films in sides]
    value, left = _gaps(sides, facts, (ones[0], ones[1]))
    if left > BALANCED:
        why = f"weights cannot balance the facts: {left:.2f} standard deviations left, {BALANCED:g} allowed"
        return _nothing(sides, NO_OVERLAP, join_notes(why, found.sentence), raw=raw, facts=facts.names, found=found)
    replicate = _replicates(sides, facts, plan)
    ends, remark = percentile(replicate, level=expanded_level(plan.level, patients=found.effective[found.worst]))
    note = join_notes(claim_note(sides[0].seed.size), f"matched on {', '.join(facts.names)} and prevalence", found.sentence, remark)
    estimate = Estimate(float(value.mean()), *ends, *_counts(sides), METHOD if np.isfinite(ends[0]) else "", note)
    if _fewest(sides) < MINIMUM_CLASS:
        estimate = Estimate(estimate.value, NAN, NAN, *_counts(sides), "", f"fewer than {MINIMUM_CLASS} patients of a class: no interval")
    return MatchedGap(estimate, raw, facts.names, found, "matched")


def side_auroc(films: Films) -> Floats:
    """(K,) plain AUROC of each seed."""
    return np.array([float(auroc(curve(films.label, score))[0]) for score in films.scores])


def by_class(values: Floats, label: Floats) -> Floats:
    """(n, 2 p) columns once for each class, zero in the other: a tilt then balances within classes.

    Example:
        >>> by_class(np.array([[3.0], [4.0]]), np.array([0.0, 1.0])).tolist()
        [[3.0, 0.0], [0.0, 4.0]]
    """
    return np.hstack([values * (label == 0.0)[:, None], values * (label == 1.0)[:, None]])


def _gaps(sides: Sides, facts: Measured, weight: tuple[Floats, Floats]) -> tuple[Floats, float]:
    """(K, B) matched gap of each seed and resample, and the imbalance that is left."""
    here, there = (by_class(values, films.label) for values, films in zip((facts.global_values, facts.local_values), sides, strict=True))
    target = class_moments(there, sides[1].label, weight=weight[1])
    tilted = tilt(here, sides[0].label, weight=weight[0], target=target)
    left = imbalance(here, sides[0].label, weight=tilted, target=target)
    found = [
        auroc(curve(sides[0].label, first, weight=tilted)) - auroc(curve(sides[1].label, second, weight=weight[1]))
        for first, second in zip(sides[0].scores, sides[1].scores, strict=True)
    ]
    return np.array(found), 2 * left  # a class moment is half of the class mean


def _replicates(sides: Sides, facts: Measured, plan: ShiftPlan) -> Floats:
    blocks = [np.zeros((sides[0].seed.size, 0))]
    with progress(plan.bootstrap, label="Case-mix-matched gap") as advance:
        for weight in resamples(sides, plan):
            blocks.append(_gaps(sides, facts, weight)[0])
            advance(weight[0].shape[0])
    drawn = np.concatenate(blocks, axis=1)
    return np.asarray((drawn * seed_shares(drawn.shape[0], replicates=drawn.shape[1], seed=plan.seed).T).sum(axis=0))


def _fewest(sides: Sides) -> int:
    return min(np.unique(films.cluster[films.label == truth]).size for films in sides for truth in (0.0, 1.0))


def _counts(sides: Sides) -> tuple[int, int, int]:
    return sum(films.n_patients for films in sides), sum(len(films) for films in sides), int(sum(films.label.sum() for films in sides))


def _nothing(
    sides: Sides, verdict: str, why: str, *, raw: float = NAN, facts: tuple[str, ...] = (), found: Overlap | None = None
) -> MatchedGap:
    return MatchedGap(Estimate(NAN, NAN, NAN, *_counts(sides), "", why), raw, facts, found, verdict)
