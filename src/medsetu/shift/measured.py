# SPDX-License-Identifier: Apache-2.0
"""What is measured of a film beside its score, as numbers: case mix (age, sex, view) and image appearance (features of the network)."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.interval import Floats
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.plan import ShiftPlan

CASE_MIX = ("age_years", "sex", "view")
KNOWN = 0.5  # share of films of each side for which a fact must be known
RARE = 5  # films below which a category counts as "other"
PER_COMPONENT = 10  # patients of the smallest class of a side per component of the appearance
MOST_COMPONENTS = 10
COMPONENTS_LOOKED_AT = 20  # of the classifier of the side, which refuses; weights use fewer

Sides = tuple[Films, Films]


@dataclass(frozen=True)
class Measured:
    """Standardised columns of both sides.

    Attributes:
        global_values: (n, p) columns of the global films.
        local_values: (n', p) the same columns of the local films.
        names: What was measured, such as ``age_years``; empty when nothing was.
    """

    global_values: Floats
    local_values: Floats
    names: tuple[str, ...]

    @property
    def both(self) -> Floats:
        """(n + n', p) global films, then local films."""
        return np.concatenate([self.global_values, self.local_values])

    def __bool__(self) -> bool:
        return bool(self.names)


def labelled(cohort: Cohort, plan: ShiftPlan) -> tuple[Sides, str]:
    """Labelled test films of both sides with the seeds they share, and why nothing can be explained ("" when it can).

    Args:
        cohort: Films of both sides.
        plan: Smallest side.

    Returns:
        Both sides, and a reason such as ``5 patients on the local side, 10 needed``.
    """
    known = [films.known() for films in (cohort.global_films, cohort.local_films)]
    shared = np.intersect1d(known[0].seed, known[1].seed)
    if not shared.size:
        return (known[0], known[1]), "the sides share no training seed"
    rows = [np.array([int(np.flatnonzero(films.seed == seed)[0]) for seed in shared]) for films in known]
    sides = [replace(films, scores=films.scores[row], seed=films.seed[row]) for films, row in zip(known, rows, strict=True)]
    for name, films in zip((GLOBAL, LOCAL), sides, strict=True):
        if films.n_patients < plan.smallest_side:
            return (sides[0], sides[1]), f"{films.n_patients} labelled patients on the {name} side, {plan.smallest_side} needed"
        if np.unique(films.label).size < 2:
            return (sides[0], sides[1]), f"the {name} side holds one class only"
    return (sides[0], sides[1]), ""


def case_mix(sides: Sides) -> Measured:
    """Age (with its square), sex and view, where they are known for half of the films of each side.

    Args:
        sides: Films of the global and the local side.

    Returns:
        Columns standardised over both sides; ages are cut at their 1st and 99th
        percentile, missing ones are the middle age with a mark of their own, missing text is a category.
    """
    facts = [films.facts for films in sides]
    columns: list[Floats] = []
    used = []
    for name in CASE_MIX:
        if any(name not in table.columns for table in facts):
            continue
        joined = pd.concat([table[name] for table in facts], ignore_index=True)
        known = _known(joined)
        if min(known[: len(sides[0])].mean(), known[len(sides[0]) :].mean()) < KNOWN:
            continue
        found = _number(joined) if name == "age_years" else _category(joined)
        used.append(name)
        columns += found
    return _split(np.array(columns).T.reshape(len(sides[0]) + len(sides[1]), -1), len(sides[0]), tuple(used))


def appearance(sides: Sides, *, components: int) -> Measured:
    """Leading principal components of the features of both sides together.

    Args:
        sides: Films of the global and the local side.
        components: Number of components wanted.

    Returns:
        Standardised components; none where a side has no features.
    """
    first, second = (films.features for films in sides)
    if first is None or second is None:
        return _split(np.zeros((len(sides[0]) + len(sides[1]), 0)), len(sides[0]), ())
    joined = np.concatenate([first, second]).astype(np.float64)
    spread = joined.std(axis=0)
    table = ((joined - joined.mean(axis=0)) / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    kept = min(components, *table.shape)
    if kept == 0:
        return _split(np.zeros((len(joined), 0)), len(first), ())
    reduced = PCA(kept, svd_solver="full" if min(table.shape) < 500 else "randomized", random_state=0).fit_transform(table)
    return _split(np.asarray(reduced, dtype=np.float64), len(first), ("features",))


def beyond(values: Measured, facts: Measured, *, sides: Sides) -> Measured:
    """What the columns hold beyond the facts: residuals of a regression pooled within side and class.

    Args:
        values: Columns to clean.
        facts: Columns whose share is taken out; without any, the columns stay.
        sides: Films of the global and the local side.

    Returns:
        Standardised residual columns.
    """
    if not facts or not values:
        return values
    group = np.concatenate([films.label + 2 * number for number, films in enumerate(sides)])
    slopes = np.linalg.lstsq(_centred(facts.both, group), _centred(values.both, group), rcond=None)[0]
    return _split(values.both - facts.both @ slopes, len(sides[0]), values.names)


def components_for(sides: Sides) -> int:
    """Components of the appearance that the smallest class of a side can carry: one per ten patients, two to ten."""
    smallest = min(np.unique(films.cluster[films.label == truth]).size for films in sides for truth in (0.0, 1.0))
    return int(np.clip(smallest // PER_COMPONENT, 2, MOST_COMPONENTS))


def join(first: Measured, second: Measured) -> Measured:
    """Put columns side by side."""
    return Measured(
        np.hstack([first.global_values, second.global_values]),
        np.hstack([first.local_values, second.local_values]),
        first.names + second.names,
    )


def _known(values: "pd.Series[str]") -> Floats:
    missing = values.isna() if pd.api.types.is_numeric_dtype(values) else values.fillna("").astype(str) == ""
    return np.asarray((~missing).to_numpy(np.float64))


def _number(values: "pd.Series[float]") -> list[Floats]:
    age = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    missing = np.isnan(age)
    edges = np.nanquantile(age, [0.01, 0.99])  # the square of a lone old patient would outweigh a whole side
    filled = np.clip(np.where(missing, np.nanmedian(age), age), *edges)
    middle = filled - filled.mean()
    return [middle, middle**2, missing.astype(np.float64)]


def _category(values: "pd.Series[str]") -> list[Floats]:
    text = values.fillna("").astype(str)
    common = text.where(text.map(text.value_counts()) >= RARE, "other")
    order = common.value_counts()
    return [(common == name).to_numpy(np.float64) for name in sorted(order.index[1:])]  # the most common is the reference


def _split(table: Floats, first: int, names: tuple[str, ...]) -> Measured:
    spread = table.std(axis=0)
    varying = spread > 0
    standard = (table[:, varying] - table[:, varying].mean(axis=0)) / spread[varying]
    return Measured(standard[:first], standard[first:], names)


def _centred(table: Floats, group: Floats) -> Floats:
    centred = table.copy()
    for name in np.unique(group):
        centred[group == name] -= table[group == name].mean(axis=0)
    return centred
