# SPDX-License-Identifier: Apache-2.0
"""How far readers agree, and what the AUROC becomes when their votes are read as a label in another way."""

from collections.abc import Mapping

import numpy as np

from medsetu.evaluation.agreement import Agreement, krippendorff_alpha
from medsetu.evaluation.delong import difference_from, estimate_from
from medsetu.evaluation.interval import Estimate
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.manifest.consensus import ANY, MAJORITY, POLICIES, UNANIMOUS, policy_label
from medsetu.shift.cohort import Films
from medsetu.shift.plan import ShiftPlan

AGREEMENT = 0.95  # share of labels a policy must reproduce before it is called the policy of a side


def policy_of(films: Films) -> tuple[str, float]:
    """Policy that reproduces the labels of a side best, and the share of labels it reproduces.

    Args:
        films: Films of a side.

    Returns:
        Policy and share; ("", NaN) without votes of two readers, or where no policy reproduces 95 % of the labels; a tie goes to the
        majority.
    """
    if films.votes is None or films.votes.shape[1] < 2:
        return "", float("nan")
    found = {}
    for name in (MAJORITY, ANY, UNANIMOUS):
        label = policy_label(films.votes, name)
        known = ~np.isnan(label) & ~np.isnan(films.label)
        found[name] = float((label[known] == films.label[known]).mean()) if known.any() else 0.0
    best = max(found, key=lambda name: found[name])
    return (best, found[best]) if found[best] >= AGREEMENT else ("", found[best])


def reader_agreement(films: Films, *, plan: ShiftPlan) -> Agreement | None:
    """How far the readers of a side agree beyond chance: Krippendorff's alpha, which needs no complete readings.

    Args:
        films: Films of a side.
        plan: Level, resamples and seed.

    Returns:
        Alpha by patient; None without votes of two readers.
    """
    if films.votes is None or films.votes.shape[1] < 2:
        return None
    return krippendorff_alpha(films.votes, cluster=films.cluster, replicates=plan.bootstrap, seed=plan.seed, level=plan.level)


def policy_aurocs(films: Films, *, level: float) -> dict[str, Estimate]:
    """AUROC of a side under each label policy.

    Args:
        films: Films of a side with votes.
        level: Confidence level.

    Returns:
        Policy to AUROC; empty without votes of two readers.
    """
    return {name: estimate_from(parts, seed=films.seed, level=level) for name, parts in _parts(films).items()}


def policy_gaps(sides: tuple[Films, Films], *, level: float) -> dict[str, Estimate]:
    """Gap with both sides labelled by the same policy.

    Args:
        sides: Films of the global and the local side.
        level: Confidence level.

    Returns:
        Policy to G - L; empty where a side lacks votes.
    """
    first, second = (_parts(films) for films in sides)
    seeds = (sides[0].seed, sides[1].seed)
    return {name: difference_from(first[name], second[name], paired=False, seeds=seeds, level=level) for name in first if name in second}


def _parts(films: Films) -> Mapping[str, KernelParts]:
    if films.votes is None or films.votes.shape[1] < 2:
        return {}
    labels = {name: policy_label(films.votes, name) for name in POLICIES}
    return {name: kernel_parts(label, films.scores, cluster=films.cluster) for name, label in labels.items()}
