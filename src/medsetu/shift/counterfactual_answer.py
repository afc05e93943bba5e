# SPDX-License-Identifier: Apache-2.0
"""What the measures of this package answer to one cohort of the counterfactual benchmark."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from medsetu.evaluation.interval import NAN
from medsetu.shift import detect, identify
from medsetu.shift.auroc_waterfall import APPEARANCE as LOOKS
from medsetu.shift.auroc_waterfall import CASE_MIX as FACTS
from medsetu.shift.auroc_waterfall import LABEL_POLICY, auroc_waterfall
from medsetu.shift.cohort import Cohort
from medsetu.shift.counterfactual import APPEARANCE, BEYOND, CASE_MIX
from medsetu.shift.difference import auroc_gap
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.prevalence import EM
from medsetu.shift.waterfall import Waterfall
from medsetu.shift.weigh import simultaneous

Answer = tuple[str, float, float, float, str]
PART_OF = {FACTS: CASE_MIX, LOOKS: APPEARANCE, LABEL_POLICY: "label policy"}  # our part -> part of the benchmark

FINE = 999  # permutations behind a name, whose p is adjusted over three causes and two comparisons


def answers(cohort: Cohort, plan: ShiftPlan) -> list[Answer]:
    """Answer every question of the benchmark.

    Args:
        cohort: One cohort.
        plan: Permutations, resamples, limits and seed.

    Returns:
        Measure, value, low, high, name. ``shift`` is the smallest Holm-adjusted p of ``detect``, ``cause`` the name that ``identify``
        gives, then the local prevalence (EM), the gap in AUROC (MOVER) and its parts (waterfall). What is refused is NaN.
    """
    tested = [row.p_adjusted for row in detect.rows(cohort, plan) if np.isfinite(row.p_adjusted)]
    fine = replace(plan, permutations=max(plan.permutations, FINE))
    told = {row.measure: row for row in identify.rows(cohort, fine)}
    prevalence = told[f"prevalence ({EM})"]
    gap = auroc_gap(cohort.global_films.known(), cohort.local_films.known(), level=plan.level)
    return [
        ("shift", min(tested, default=NAN), NAN, NAN, ""),
        ("cause", NAN, NAN, NAN, told["shift named"].verdict),
        ("prevalence", prevalence.value, prevalence.low, prevalence.high, ""),
        ("gap", gap.value, gap.low, gap.high, ""),
        *_parts(auroc_waterfall(cohort, plan), level=plan.level),
    ]


def _parts(waterfall: Waterfall, *, level: float) -> Iterator[Answer]:
    for part in waterfall.parts:
        if part.name in PART_OF:
            yield PART_OF[part.name], part.value, part.low, part.high, ""
    known = [part for part in waterfall.parts if not part.verdict]
    place = next((number for number, part in enumerate(known) if part.name == FACTS), None)
    if place is None:
        yield BEYOND, NAN, NAN, NAN, ""
        return
    value = np.array([waterfall.start - waterfall.end - known[place].value])
    band = simultaneous(value, (waterfall.replicate_total - waterfall.replicate[place])[None], level=level)
    yield BEYOND, float(value[0]), float(band.low[0]), float(band.high[0]), ""
