# SPDX-License-Identifier: Apache-2.0
"""The comparisons behind the name of a shift: both sides as they are, then with the global side brought to the local prevalence.

Patients are the units, one film of each, so that every permutation is exact however many films a patient has.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.interval import NAN, Estimate, Floats
from medsetu.evaluation.metric import CLIP
from medsetu.evaluation.score import Ints
from medsetu.manifest.consensus import MAJORITY, policy_label
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.measured import case_mix
from medsetu.shift.multiplicity import holm
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.prevalence import BBSE, EM, LEAST_CLASS, prevalence_estimates
from medsetu.shift.relabel import TwoSample, mean_difference, one_per_patient
from medsetu.shift.two_sample import mmd_test

NOTHING = TwoSample(NAN, NAN, 0, 0, "")
MISSED = 0.005  # chance that the interval of the prevalence misses it; added to the p-value taken over the interval
_TARGETS = 9  # prevalences of the interval that are tried


@dataclass(frozen=True)
class Evidence:
    """What the comparisons of both sides have shown.

    Attributes:
        prevalence: Local minus global: share of positives where local labels are known, else mean score.
        covariate: Comparison with the global side at the local prevalence: MMD of features (of scores without features); with local labels
            p covers both, without them it is the largest over the prevalences that the scores leave open.
        labelling: Local minus global share of labels that contradict most readers; NaN without votes on both sides.
        anything: p of the plain comparison of features, and of scores where local labels are known or there are no features.
        target: Prevalence to which the global side was brought: of local labels, else as the scores imply it (EM).
        rest: p of the comparison at ``target`` alone; NaN: that of ``covariate``.
        labelled: Whether local labels are known.
        has_features: Whether features were compared.
        refused: Why nothing was compared; "" when it was.
    """

    prevalence: TwoSample = NOTHING
    covariate: TwoSample = NOTHING
    labelling: TwoSample = NOTHING
    anything: float = NAN
    target: float = NAN
    rest: float = NAN
    labelled: bool = False
    has_features: bool = False
    refused: str = ""

    @property
    def adjusted(self) -> tuple[float, float, float]:
        """Adjusted p of prevalence, covariate and labelling: Holm over those that were tested.

        Without local labels a closed test instead (Marcus, Peritz and Gabriel, Biometrika 1976, 63:655): that nothing at all differs is
        rejected where the plain comparison or the mean score rejects at half the level; each cause is then held against its own p.
        """
        if not self.labelled and math.isnan(self.labelling.p):
            nothing = min(1.0, 2 * float(np.fmin(self.anything, self.prevalence.p)))
            return max(self.prevalence.p, nothing), max(self.covariate.p, nothing), NAN
        prevalence, covariate, labelling = holm([self.prevalence.p, self.covariate.p, self.labelling.p]).tolist()
        return prevalence, covariate, labelling


def gather(cohort: Cohort, plan: ShiftPlan) -> Evidence:
    """Compare both sides, plainly and at the local prevalence.

    Where votes exist on both sides, the majority of the readers stands for the label.

    Args:
        cohort: Films of both sides; global labels are needed, local labels (of all films), features and votes are used where they exist.
        plan: Permutations, smallest side and seed.

    Returns:
        The evidence; refused, with the reason, where a side is too small or the global side has too few of a class.
    """
    here, there, validation = _readers(cohort, plan)
    refused = _too_small(here, there, plan=plan)
    if refused:
        return Evidence(refused=refused)
    votes = _labelling(there, here, plan=plan)
    if not math.isnan(votes.p):
        here, there = (_by_majority(films) for films in (here, there))
    labelled = not bool(np.isnan(here.label).any())
    target = float(here.label.mean()) if labelled else _implied(validation, here)
    if math.isnan(target):
        return Evidence(refused="the scores do not tell the classes of global validation apart")
    kept = at_prevalence(there.label, target, seed=plan.seed)
    if kept.size < plan.smallest_side:
        return Evidence(refused=f"{kept.size} global patients are left at a prevalence of {target:.2f}, {plan.smallest_side} needed")
    pair = (there.label, here.label) if labelled else (there.score, here.score)
    # without labels the prevalence was chosen to fit the scores: they can hardly object to it
    still = _compare(there.take(kept), here, plan=plan, scores="by class" if labelled else "last")
    return Evidence(
        prevalence=_turned(mean_difference(*pair, permutations=plan.permutations, seed=plan.seed)),
        covariate=still if labelled or still.p > plan.alpha else _anywhere(there, here, validation, plan=plan, found=still),
        rest=still.p,
        labelling=votes,
        anything=_compare(there, here, plan=plan, scores="too" if labelled else "last").p,
        target=target,
        labelled=labelled,
        has_features=here.features is not None and there.features is not None,
    )


def calibration_films(cohort: Cohort) -> Films:
    """Labelled global films that say what the scores mean: validation, or the test films of a table without validation."""
    return (cohort.global_films if cohort.global_val is None else cohort.global_val).known()


def at_prevalence(label: Floats, target: float, *, seed: int) -> Ints:
    """Draw as many films as possible, without replacement, of which a share ``target`` is positive.

    Args:
        label: (n,) 1 or 0, one film per patient.
        target: Prevalence in [0, 1].
        seed: Seed of the draw.

    Returns:
        Positions, sorted.

    Example:
        >>> at_prevalence(np.array([1, 1, 0, 0.0]), 1.0, seed=0).tolist()
        [0, 1]
    """
    rng = np.random.default_rng(seed)
    pools = [(np.flatnonzero(label == 1), target), (np.flatnonzero(label == 0), 1 - target)]
    total = min(rows.size / share for rows, share in pools if share > 0)
    drawn = [rng.permutation(rows)[: round(total * share)] for rows, share in pools]  # those of a smaller draw are in any larger one
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def shared_seeds(*sides: Films) -> list[Films]:
    """Keep the scores of the training seeds that all sides share, in one order."""
    shared = sorted(set.intersection(*[set(films.seed.tolist()) for films in sides]))
    rows = [[films.seed.tolist().index(name) for name in shared] for films in sides]
    return [replace(films, scores=films.scores[row], seed=films.seed[row]) for films, row in zip(sides, rows, strict=True)]


def _readers(cohort: Cohort, plan: ShiftPlan) -> tuple[Films, Films, Films]:
    """Local and labelled global films, one per patient, and all films of global validation."""
    here, there, validation = shared_seeds(cohort.local_films, cohort.global_films.known(), calibration_films(cohort))
    here, there = (films.take(one_per_patient(films.cluster, seed=plan.seed)) for films in (here, there))
    return here, there, validation


def _too_small(here: Films, there: Films, *, plan: ShiftPlan) -> str:
    if not here.seed.size:
        return "the sides share no training seed"
    for name, films in ((GLOBAL, there), (LOCAL, here)):
        if len(films) < plan.smallest_side:
            return f"{len(films)} patients on the {name} side, {plan.smallest_side} needed"
    fewest = int(min(there.label.sum(), (1 - there.label).sum()))
    return f"{fewest} global patients in the rarer class, {LEAST_CLASS} needed" if fewest < LEAST_CLASS else ""


def _implied(validation: Films, here: Films) -> float:
    return _estimate(validation, here, replicates=0).value


def _estimate(validation: Films, here: Films, *, replicates: int, seed: int = 0) -> Estimate:
    found = prevalence_estimates(
        validation.label,
        validation.scores,
        cluster=validation.cluster,
        local_scores=here.scores,
        local_cluster=here.cluster,
        replicates=replicates,
        seed=seed,
        level=1 - MISSED,
    )
    return found[EM] if math.isfinite(found[EM].value) else found[BBSE]  # separated validation needs no calibration


def _anywhere(there: Films, here: Films, validation: Films, *, plan: ShiftPlan, found: TwoSample) -> TwoSample:
    """Compare at every prevalence that the scores leave open, until one explains the local films.

    The largest p over an interval that holds the prevalence with probability 1 - ``MISSED``, plus ``MISSED``, is a p-value whatever the
    prevalence is (Berger and Boos, JASA 1994, 89:1012); that at the estimate alone takes its error for a shift.
    """
    open_ = _estimate(validation, here, replicates=plan.bootstrap, seed=plan.seed)
    low, high = (open_.low, open_.high) if math.isfinite(open_.low) else (0.0, 1.0)
    largest = found.p
    for target in np.linspace(low, high, _TARGETS):
        kept = at_prevalence(there.label, float(target), seed=plan.seed)
        if kept.size >= plan.smallest_side:
            largest = max(largest, _compare(there.take(kept), here, plan=plan, scores="last").p)
        if largest > plan.alpha:
            break
    method = f"{found.method}, largest p over the prevalences that the scores leave open (Berger and Boos 1994)"
    return replace(found, p=min(1.0, largest + MISSED), method=method)


def _compare(there: Films, here: Films, *, plan: ShiftPlan, scores: str = "too") -> TwoSample:
    """MMD of features, of age, sex and view where they are known, and of scores; p Bonferroni-adjusted for their number.

    Scores count ``too``; only where there are no features (``last``); or within each class apart (``by class``), which sees a marker that
    has come to lie on the films of another class.
    """
    logits = [special.logit(np.clip(films.score, CLIP, 1 - CLIP)) for films in (there, here)]
    tables: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []
    if there.features is not None and here.features is not None:
        tables.append((there.features, here.features))
    if scores == "by class":
        masks = [(there.label == truth, here.label == truth) for truth in (0.0, 1.0)]
        large = [pair for pair in masks if min(mask.sum() for mask in pair) >= LEAST_CLASS]
        tables += [(logits[0][left], logits[1][right]) for left, right in large]
    if scores == "too" or not tables:
        tables.append((logits[0], logits[1]))
    facts = case_mix((there, here))
    if facts.both.shape[1]:
        tables.append((facts.global_values, facts.local_values))
    found = [mmd_test(*pair, permutations=plan.permutations, seed=plan.seed) for pair in tables]
    return replace(found[0], p=min(1.0, len(found) * min(one.p for one in found)))


def _majority(films: Films) -> Floats:
    """(n,) 1 or 0 as most readers say; NaN without votes or with a tie."""
    return np.full(len(films), NAN) if films.votes is None else policy_label(films.votes, MAJORITY)


def _by_majority(films: Films) -> Films:
    return replace(films, label=_majority(films)).known()


def _labelling(there: Films, here: Films, *, plan: ShiftPlan) -> TwoSample:
    """Share of labels against most readers, compared within the classes of the readers, so that prevalence does not enter."""
    found = []
    for truth in (0.0, 1.0):
        against = []
        for films in (there, here):
            label = films.label[(_majority(films) == truth) & ~np.isnan(films.label)]
            against.append((label != truth).astype(np.float64))
        if min(part.size for part in against) >= LEAST_CLASS:
            found.append(mean_difference(*against, permutations=plan.permutations, seed=plan.seed))
    if not found:
        return NOTHING
    least = min(found, key=lambda one: one.p)
    return _turned(replace(least, p=min(1.0, len(found) * least.p)))


def _turned(found: TwoSample) -> TwoSample:
    """Local minus global instead of global minus local."""
    return replace(found, value=-found.value)
