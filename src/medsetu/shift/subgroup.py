# SPDX-License-Identifier: Apache-2.0
"""Does the gap differ between subgroups: a gap per level, and one test of interaction per fact, Holm over the facts.

Levels are compared with the same level of the other side (women with women); facts that belong to one side (site, release, device) are
compared with the whole global side. Levels below the smallest group are suppressed: neither number nor size is told.
"""

from dataclasses import dataclass, replace
from math import isnan

import numpy as np
import pandas as pd
from scipy.stats import f as fisher

from medsetu.evaluation.decision import Fitted
from medsetu.evaluation.group import UNKNOWN, age_band
from medsetu.evaluation.interval import NAN, Floats, critical
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.contrast import GAP
from medsetu.shift.difference import Difference, auroc_gap, gap_row, parts_of, share_gap
from medsetu.shift.multiplicity import holm
from medsetu.shift.operating import MEASURES, draws
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, ShiftRow

OWN_FACTS = ("site", "release", "device")  # facts that name the side: a level is compared with the whole global side
NOT_ASSESSABLE = "not assessable"
SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class Level:
    """One level of a fact on both sides.

    Attributes:
        name: ``<column>=<value>``.
        number: Place among the levels of its fact.
        global_rows: (n,) mask of its films on the global side.
        local_rows: (n',) mask of its films on the local side.
    """

    name: str
    number: int
    global_rows: np.ndarray
    local_rows: np.ndarray

    def cut(self, cohort: Cohort) -> Cohort:
        """Keep the films of this level."""
        return replace(
            cohort, global_films=cohort.global_films.take(self.global_rows), local_films=cohort.local_films.take(self.local_rows)
        )


def levels(cohort: Cohort, column: str, *, evaluation: EvaluationPlan) -> list[Level]:
    """Levels of a fact that can be compared between the sides; one level for all films is none.

    Args:
        cohort: Both sides.
        column: A fact; ``age_years`` is cut into bands.
        evaluation: Cuts of the age bands.

    Returns:
        The levels; empty where the fact is not recorded on a side or never differs.
    """
    here = _values(cohort.local_films, column, evaluation=evaluation)
    there = _values(cohort.global_films, column, evaluation=evaluation)
    if column in OWN_FACTS:
        there = pd.Series("", index=there.index)
        named = [(value, np.ones(len(there), dtype=bool)) for value in sorted(set(here) - {UNKNOWN})]
    else:
        named = [(value, (there == value).to_numpy()) for value in sorted((set(here) | set(there)) - {UNKNOWN})]
    if len(named) < 2:
        return []
    return [Level(f"{column}={value}", number, rows, (here == value).to_numpy()) for number, (value, rows) in enumerate(named)]


def interaction(gaps: Floats, covariance: Floats, *, df: float) -> float:
    """p-value that all gaps are equal (Wald, with Fisher's F because the covariance is estimated).

    Args:
        gaps: (k,) gaps of the levels.
        covariance: (k, k) their covariance.
        df: Degrees of freedom of the covariance.

    Returns:
        p; NaN with fewer than two levels.

    Example:
        >>> round(interaction(np.array([0.0, 0.2]), np.diag([0.005, 0.005]), df=1e6), 4)
        0.0455
    """
    if gaps.size < 2:
        return NAN
    steps = np.hstack([-np.ones((gaps.size - 1, 1)), np.eye(gaps.size - 1)])
    difference = steps @ gaps
    spread = steps @ covariance @ steps.T
    if np.linalg.matrix_rank(spread, hermitian=True) != gaps.size - 1:
        return 1.0 if not difference.any() else NAN
    return float(fisher.sf(difference @ np.linalg.solve(spread, difference) / (gaps.size - 1), gaps.size - 1, df))


def subgroup_rows(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan, fitted: Fitted | None) -> list[ShiftRow]:
    """Gaps of every pre-declared subgroup, their tests of interaction, and the worst subgroup.

    Args:
        cohort: Both sides.
        plan: Level, smallest group, seed.
        evaluation: Facts and age bands.
        fitted: The transported threshold of the subgroup sensitivities; None for none.

    Returns:
        Lines of section ``gap``.
    """
    made: list[ShiftRow] = []
    tests: list[ShiftRow] = []
    for column in evaluation.groups:
        found = levels(cohort, column, evaluation=evaluation)
        if not found:
            recorded = column in cohort.local_films.facts and column in cohort.global_films.facts
            why = f"{column} has one value on the local side" if recorded and _known(cohort, column) else f"{column} is not recorded"
            made.append(_line(cohort, f"{GAP}: auroc", column, said=f"{NOT_ASSESSABLE}: {why}"))
            continue
        shown = [level for level in found if _large(level.cut(cohort), plan)]
        for level in found:
            made += _level_rows(cohort, level, plan, fitted=fitted) if level in shown else [_hidden(cohort, level, plan)]
        tests += _tests(cohort, column, shown, plan=plan, fitted=fitted)
    adjusted = holm([row.p for row in tests])
    made += [
        replace(row, p_adjusted=float(p), verdict=row.verdict or ("the gap differs" if p < plan.alpha else CANNOT_TELL))
        for row, p in zip(tests, adjusted, strict=True)
    ]
    return [*made, *_worst(cohort, made)]


def _values(films: Films, column: str, *, evaluation: EvaluationPlan) -> "pd.Series[str]":
    if column not in films.facts:
        return pd.Series(UNKNOWN, index=range(len(films)))
    facts = films.facts[column]
    if column == "age_years":
        return age_band(pd.to_numeric(facts, errors="coerce"), bands=evaluation.age_bands)
    return facts.fillna("").astype(str).replace("", UNKNOWN)


def _known(cohort: Cohort, column: str) -> bool:
    facts = [films.facts[column] for films in (cohort.global_films, cohort.local_films)]
    return all(bool((values.notna() & (values.astype(str) != "")).any()) for values in facts)


def _large(part: Cohort, plan: ShiftPlan) -> bool:
    sizes = [films.known().n_patients for films in (part.global_films, part.local_films)]
    return min(sizes) >= max(1, plan.minimum_group)


def _level_rows(cohort: Cohort, level: Level, plan: ShiftPlan, *, fitted: Fitted | None) -> list[ShiftRow]:
    part = level.cut(cohort)
    found = auroc_gap(part.global_films, part.local_films, level=plan.level)
    made = [gap_row(part, f"{GAP}: auroc", replace(found, p=NAN), subject=level.name)]
    if fitted is not None:
        for name, gap in _share_gaps(part, level, plan, fitted=fitted).items():
            made.append(gap_row(part, f"{GAP}: {name} at {fitted.kind} {fitted.rule.name}", replace(gap[0], p=NAN), subject=level.name))
    return made


def _share_gaps(part: Cohort, level: Level, plan: ShiftPlan, *, fitted: Fitted) -> dict[str, tuple[Difference, Floats]]:
    """Gap of each share and its draws; levels that share the global side share its draws."""
    shared = level.name.partition("=")[0] in OWN_FACTS
    left = draws(part.global_films, fitted, plan=plan, stream=2 if shared else 4 + 2 * level.number)[0]
    right = draws(part.local_films, fitted, plan=plan, stream=5 + 2 * level.number)[0]
    return {name: share_gap(left, right, name=name, plan=plan) for name in MEASURES}


def _hidden(cohort: Cohort, level: Level, plan: ShiftPlan) -> ShiftRow:
    rows = (level.global_rows.any(), level.local_rows.any())
    if not all(rows):
        absent = " and ".join(
            films.side for films, any_film in zip((cohort.global_films, cohort.local_films), rows, strict=True) if not any_film
        )
        return _line(cohort, f"{GAP}: auroc", level.name, said=f"{NOT_ASSESSABLE}: no film on the {absent} side")
    return _line(cohort, f"{GAP}: auroc", level.name, said=f"{SUPPRESSED}: fewer than {plan.minimum_group} patients on a side")


def _line(cohort: Cohort, measure: str, subject: str, *, said: str) -> ShiftRow:
    """A line without a number: not even the size of the group."""
    empty = gap_row(cohort, measure, Difference(NAN, NAN, NAN, NAN, "", ""), subject=subject, said=said)
    return replace(empty, n_global=0, n_local=0)


def _tests(cohort: Cohort, column: str, shown: list[Level], *, plan: ShiftPlan, fitted: Fitted | None) -> list[ShiftRow]:
    """Interaction of the gap with one fact: for AUROC, and for sensitivity and specificity at the transported threshold."""
    parts = [level.cut(cohort) for level in shown]
    made = [_test(cohort, column, "auroc", _auroc_covariance(cohort, shown, plan=plan))]
    if fitted is None:
        return made
    each = [_share_gaps(part, level, plan, fitted=fitted) for part, level in zip(parts, shown, strict=True)]
    for name in MEASURES:
        kept = [(index, gaps[name]) for index, gaps in enumerate(each) if not isnan(gaps[name][0].low)]
        values = np.array([gap.value for _, (gap, _) in kept])
        errors = np.array([(gap.high - gap.low) / (2 * float(critical(plan.level))) for _, (gap, _) in kept])
        spread = _related(np.stack([drawn - np.nanmean(drawn) for _, (_, drawn) in kept]), errors) if kept else np.zeros((0, 0))
        df = min((_class_size(parts[index], name) for index, _ in kept), default=1)
        made.append(_test(cohort, column, f"{name} at {fitted.kind} {fitted.rule.name}", (values, spread, float(df))))
    return made


def _test(cohort: Cohort, column: str, measure: str, ready: tuple[Floats, Floats, float]) -> ShiftRow:
    gaps, covariance, df = ready
    p = interaction(gaps, covariance, df=max(1.0, df))
    spread = float(np.ptp(gaps)) if gaps.size > 1 else NAN
    said = f"{NOT_ASSESSABLE}: fewer than two levels with an interval" if isnan(p) else ""
    found = Difference(
        spread, NAN, NAN, p, "Wald test of equal gaps, Fisher's F; Holm over facts and measures", "value: largest minus smallest gap"
    )
    row = gap_row(cohort, f"interaction: {measure}", found, subject=column, said="tested")
    return replace(row, verdict=said)


def _auroc_covariance(cohort: Cohort, shown: list[Level], *, plan: ShiftPlan) -> tuple[Floats, Floats, float]:
    """Gaps of the levels, their covariance over patients (a patient may have films in several levels), and its degrees of freedom.

    Correlations come from what each patient adds to each gap; variances from the intervals, which hold for small groups.
    """
    gaps, errors, influence, df = [], [], [], []
    for level in shown:
        part = level.cut(cohort)
        found = auroc_gap(part.global_films, part.local_films, level=plan.level)
        if isnan(found.low):
            continue
        gaps.append(found.value)
        errors.append((found.high - found.low) / (2 * float(critical(plan.level))))
        influence.append(
            np.concatenate([_influence(cohort.global_films, level.global_rows), -_influence(cohort.local_films, level.local_rows)])
        )
        df.append(min(_class_size(part, name) for name in MEASURES))
    if not gaps:
        return np.zeros(0), np.zeros((0, 0)), 1.0
    return np.array(gaps), _related(np.stack(influence), np.array(errors)), float(min(df))


def _related(table: Floats, errors: Floats) -> Floats:
    """Covariance with the correlations of the rows of a table and given standard errors."""
    norms = np.linalg.norm(np.nan_to_num(table), axis=1)
    scale = np.outer(norms, norms)
    related = np.nan_to_num(table) @ np.nan_to_num(table).T / np.where(scale > 0, scale, 1.0)
    return np.asarray(related * np.outer(errors, errors))


def _influence(films: Films, rows: np.ndarray) -> Floats:
    """(P,) what each patient of a side adds to the AUROC of some of its films."""
    part = films.take(rows).known()
    parts = parts_of(part).averaged(part.seed)
    added = np.zeros(films.n_patients)
    codes = np.unique(films.cluster[rows & ~np.isnan(films.label)])
    added[codes] = parts.positive[0] + parts.negative[0]
    return added


def _class_size(part: Cohort, name: str) -> int:
    """Fewest patients of the class behind a share on a side, minus one."""
    truth = 1.0 if name == "sensitivity" else 0.0
    return min(int(np.unique(films.cluster[films.label == truth]).size) for films in (part.global_films, part.local_films)) - 1


def _worst(cohort: Cohort, made: list[ShiftRow]) -> list[ShiftRow]:
    """The subgroup that loses most; levels without a number are skipped, and that is said."""
    every = [row for row in made if row.measure == f"{GAP}: auroc" and "=" in row.subject]
    known = [row for row in every if not isnan(row.low)]
    if len(known) < 2:
        return []
    worst = max(known, key=lambda row: row.value)
    skipped = len(every) - len(known)
    note = f"largest of {len(known)} subgroups: looks larger than it is; {skipped} without an interval were skipped"
    return [replace(worst, measure="largest subgroup gap: auroc", verdict=f"exploratory: {worst.verdict}", note=note)]
