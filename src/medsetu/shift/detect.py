# SPDX-License-Identifier: Apache-2.0
"""Has anything shifted? Scores, acquisition facts, image statistics and features of both sides, tested as one family.

Rabanser et al., NeurIPS 2019, with patients as the unit: permutations move patients, and where the sides differ in films per patient each
patient gives one film. Patients are not exchangeable then: with 150 patients of four films against 30 of one, a Kolmogorov-Smirnov
permutation test at 5 % raises false alarms in 24 % of cohorts.
"""

import math
from dataclasses import replace

import pandas as pd
from scipy.stats import wasserstein_distance

from medsetu.evaluation.interval import join_notes
from medsetu.manifest.progress import progress
from medsetu.shift.c2st import proxy_a_distance
from medsetu.shift.cohort import Cohort
from medsetu.shift.frechet import frechet_with_floor
from medsetu.shift.multiplicity import holm
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.question import C2ST, CATEGORY, FEATURES, SECTION, Question, Sides, fact_questions, feature_questions, score_question
from medsetu.shift.relabel import TwoSample, one_per_patient, pool
from medsetu.shift.row import REFUSED, ShiftRow
from medsetu.shift.sensitivity import MOST_PATIENTS, category_power, enough_permutations, planted_power

FOUND = "shift found"
NOT_FOUND = "no shift found"
DESCRIPTIVE = "descriptive"
UNEVEN = 1.1  # ratio of films per patient above which every patient gives one film


def rows(cohort: Cohort, plan: ShiftPlan, *, image_facts: pd.DataFrame | None = None) -> list[ShiftRow]:
    """Test scores, facts, image statistics and features for shift.

    Args:
        cohort: Test films of both sides; labels are not read. No patient is on both sides.
        plan: Size of the family, permutations, smallest side, seed.
        image_facts: ``sample_id`` and any of ``acquisition.STATISTICS``, from ``film_statistics``; None where films are not at hand.

    Returns:
        One row per test, Holm-adjusted together, then distances without a test, then what cannot be told. A side with fewer patients
        than ``plan.smallest_side`` gives one refused row.

    Raises:
        DataError: Scores or features are not finite, or features of the sides have different dimensions.
    """
    for films in (cohort.global_films, cohort.local_films):
        if films.n_patients < plan.smallest_side:
            verdict = f"{REFUSED}: {films.n_patients} patients on the {films.side} side, {plan.smallest_side} are needed"
            counts = cohort.global_films.n_patients, cohort.local_films.n_patients
            return [ShiftRow(SECTION, "all tests", cohort.finding, n_global=counts[0], n_local=counts[1], verdict=verdict)]
    sides, note = comparable(cohort, seed=plan.seed)
    items = [
        score_question(sides),
        *fact_questions(sides, image_facts, least=plan.smallest_side),
        *feature_questions(sides),
    ]
    asked = [item for item in items if isinstance(item, Question)]
    untold = [item for item in items if isinstance(item, ShiftRow)]
    told = _answer(asked, plan)
    return [replace(row, note=join_notes(row.note, note)) for row in (*told, *_frechet(sides, seed=plan.seed), *untold)]


def comparable(cohort: Cohort, *, seed: int) -> tuple[Sides, str]:
    """Make patients of both sides exchangeable: one film of each where the sides differ in films per patient.

    Args:
        cohort: Films of both sides.
        seed: Seed that draws the film.

    Returns:
        The films of both sides, and a note that is empty where nothing was left out.
    """
    first, second = cohort.global_films, cohort.local_films
    shares = len(first) / first.n_patients, len(second) / second.n_patients
    if max(shares) <= UNEVEN * min(shares):
        return (first, second), ""
    thinned = first.take(one_per_patient(first.cluster, seed=seed)), second.take(one_per_patient(second.cluster, seed=seed))
    return thinned, f"one film per patient, since the sides have {shares[0]:.1f} and {shares[1]:.1f}"


def _answer(asked: list[Question], plan: ShiftPlan) -> list[ShiftRow]:
    """Make the tests, adjust them together, and say of each null result what it could have seen."""
    permutations = enough_permutations(len(asked), alpha=plan.alpha, least=plan.permutations)
    told, described = [], []
    with progress(2 * len(asked), label="Shift: testing scores, facts and features") as advance:
        answers = []
        for question in asked:
            answers.append(question.test(question.x, question.y, cluster=question.cluster, permutations=permutations, seed=plan.seed))
            advance(1)
        for question, answer, adjusted in zip(asked, answers, holm([answer.p for answer in answers]), strict=True):
            power = "" if adjusted <= plan.alpha else _power(question, alpha=plan.alpha / len(asked), plan=plan, permutations=permutations)
            told.append(replace(_row(question, answer), p_adjusted=float(adjusted), verdict=f"{NOT_FOUND} ({power})" if power else FOUND))
            described += _descriptions(question, told[-1])
            advance(1)
    return told + described


def _row(question: Question, answer: TwoSample) -> ShiftRow:
    return ShiftRow(
        SECTION,
        question.measure,
        question.subject,
        value=answer.value,
        low=answer.low,
        high=answer.high,
        p=answer.p,
        n_global=answer.n_global,
        n_local=answer.n_local,
        unit=question.unit,
        method=answer.method,
        note="patients held out for the test" if question.measure == C2ST else "",
    )


def _power(question: Question, *, alpha: float, plan: ShiftPlan, permutations: int) -> str:
    """Power against the declared shift at the first step of Holm's procedure, in words."""
    both_sizes = [len(set(codes.tolist())) for codes in question.cluster]
    if question.measure == CATEGORY:
        kinds = len({*question.x.tolist(), *question.y.tolist()})
        power = category_power(question.declared, n_patients=sum(both_sizes), categories=kinds, alpha=alpha)
        against = f"Cramér's V {question.declared:g}"
    else:
        both = pool(question.x, question.y, cluster=question.cluster)
        power = planted_power(question.test, both, shift=question.declared, alpha=alpha, permutations=permutations, seed=plan.seed)
        against = f"a shift of {question.declared:g} sd" + (" in every feature" if question.subject == FEATURES else "")
    if math.isnan(power):
        return "the same value everywhere"
    return f"power {'at least ' if max(both_sizes) > MOST_PATIENTS else ''}{power:.2f} for {against}"


def _descriptions(question: Question, row: ShiftRow) -> list[ShiftRow]:
    """Sizes that belong to a test and are not tested again."""
    bare = replace(row, p=math.nan, p_adjusted=math.nan, verdict=DESCRIPTIVE)
    if question.scale:
        value = float(wasserstein_distance(question.x.astype(float), question.y.astype(float)))
        return [replace(bare, measure="wasserstein", value=value, unit=question.scale, method="1-D Wasserstein distance, film by film")]
    if question.measure == C2ST:
        value, low, high = (proxy_a_distance(1 - share) for share in (row.value, row.low, row.high))
        method = "proxy A-distance 2 (1 - 2 error) of the C2ST (Ben-David 2010)"
        return [replace(bare, measure="proxy A-distance", value=value, low=low, high=high, unit="0 none, 2 full", method=method)]
    return []


def _frechet(sides: Sides, *, seed: int) -> list[ShiftRow]:
    """Fréchet distance beside its floor; NaN with the reason where there are too few patients."""
    first, second = sides
    if first.features is None or second.features is None:
        return []
    found = frechet_with_floor(first.features, second.features, cluster=(first.cluster, second.cluster), seed=seed)
    floor = f"same-side floor {found.floor:.3g}, 95th percentile {found.floor_high:.3g}, {found.patients} patients per side"
    return [
        ShiftRow(
            SECTION,
            "Fréchet distance",
            FEATURES,
            value=found.value,
            n_global=first.n_patients,
            n_local=second.n_patients,
            unit="features squared",
            method=f"Fréchet distance on {found.dimensions} principal components, equal numbers of patients",
            verdict=f"{REFUSED}: {found.note}" if found.note else DESCRIPTIVE,
            note="" if found.note else floor,
        )
    ]
