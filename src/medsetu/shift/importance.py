# SPDX-License-Identifier: Apache-2.0
"""Importance weights: how much each global validation film counts when it stands for local patients; refused without overlap."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from medsetu.evaluation.delong import auroc_estimate
from medsetu.shift.cohort import Cohort
from medsetu.shift.measured import COMPONENTS_LOOKED_AT, appearance, case_mix, join
from medsetu.shift.overlap import NO_OVERLAP, domain_probability
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import REFUSED
from medsetu.shift.weigh import effective_patients


@dataclass(frozen=True)
class Importance:
    """Weights, or why there are none.

    Attributes:
        weight: sample_id -> weight of each global validation film, mean 1; None where it is refused.
        images: Local films whose facts and features were read.
        labels: Local labels spent: none.
        verdict: ``refused: ...``; empty where there are weights.
        note: Domain AUROC and effective patients, with their limits.
    """

    weight: "pd.Series[float] | None"
    images: float = nan
    labels: float = 0.0
    verdict: str = ""
    note: str = ""


def importance(cohort: Cohort, plan: ShiftPlan) -> Importance:
    """Weigh global validation films by the density ratio local / global of their facts and features (Shimodaira 2000).

    The ratio is the odds of a classifier of the side, cross-fitted by patient; no label is read. Local validation films stand for the
    local side where there are any, else the test films without their labels.

    Args:
        cohort: Films of both sides.
        plan: Limits and seed.

    Returns:
        The weights; refused without validation films, without a measured column, and without overlap.
    """
    here, there = cohort.global_val, cohort.local_films if cohort.local_val is None else cohort.local_val
    if here is None or not len(here):
        return Importance(None, verdict=f"{REFUSED}: no global validation films")
    sides = here, there
    if min(films.n_patients for films in sides) < plan.smallest_side:
        return Importance(None, verdict=f"{REFUSED}: fewer than {plan.smallest_side} patients on a side")
    values = join(case_mix(sides), appearance(sides, components=COMPONENTS_LOOKED_AT))
    if not values:
        return Importance(None, verdict=f"{REFUSED}: neither facts nor features are known on both sides")
    local = np.repeat([0.0, 1.0], [len(here), len(there)])
    cluster = np.concatenate([here.cluster, there.cluster + here.n_patients])
    chance = domain_probability(values.both, local, cluster=cluster, within=np.zeros(local.size), seed=plan.seed)
    domain = auroc_estimate(local, chance, cluster=cluster, level=plan.level).value
    odds = (chance / (1 - chance))[: len(here)]
    left = effective_patients(odds, cluster=here.cluster)
    note = (
        f"domain AUROC {domain:.3f} (limit {plan.domain_limit:g}); "
        f"{left:.0f} effective global validation patients ({plan.minimum_effective:g} needed)"
    )
    if domain > plan.domain_limit or left < plan.minimum_effective:
        return Importance(None, verdict=NO_OVERLAP, note=note)
    return Importance(pd.Series(odds / odds.mean(), index=here.sample_id, name="weight"), images=float(len(there)), note=note)
