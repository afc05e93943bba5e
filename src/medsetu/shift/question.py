# SPDX-License-Identifier: Apache-2.0
"""What is asked of two sides: each score, acquisition fact, image statistic and feature layer with its test."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medsetu.evaluation.score import Ints
from medsetu.shift.acquisition import STATISTICS
from medsetu.shift.c2st import LEAST_PATIENTS, c2st
from medsetu.shift.cohort import Films
from medsetu.shift.marginal import ENERGY, KS, category_test, ks_bonferroni, marginal_test
from medsetu.shift.relabel import TwoSample, one_per_patient
from medsetu.shift.row import CANNOT_TELL, ShiftRow
from medsetu.shift.sensitivity import Comparison
from medsetu.shift.two_sample import mmd_test

SECTION = "detect"
BBSD, FACT, IMAGE, MMD, C2ST = "BBSD (KS)", "energy", "image statistic (KS)", "MMD²", "C2ST"
CATEGORY = "Cramér's V"
KS_FEATURES = "largest KS"
FEATURES = "penultimate features"
NUMBERS = {"age_years": "years", "spacing_mm": "mm", "bits": "bits", "height": "pixels", "width": "pixels", "file_bytes": "bytes"}
CATEGORIES = ("sex", "view", "device", "color_mode")
SINGLE_SHIFT = 0.5  # sd of one number: the declared shift whose power is printed
FEATURE_SHIFT = 0.2  # sd of every feature
ASSOCIATION = 0.3  # Cramér's V

Sides = tuple[Films, Films]
Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True)
class Question:
    """One test to be made.

    Attributes:
        measure: Name of the statistic.
        subject: What is compared.
        unit: Unit of the statistic.
        x: (n,) or (n, d) values of the global side, all known.
        y: (m,) or (m, d) values of the local side.
        cluster: Patients of both.
        test: The test that answers it.
        declared: Shift whose power is printed: sd of each column, or Cramér's V of categories.
        scale: Unit of the values themselves, where their Wasserstein distance means something; "" elsewhere.
    """

    measure: str
    subject: str
    unit: str
    x: NDArray[np.generic]
    y: NDArray[np.generic]
    cluster: tuple[Ints, Ints]
    test: Comparison
    declared: float = SINGLE_SHIFT
    scale: str = ""


def score_question(sides: Sides) -> Question:
    """Ask whether the scores of the arm follow one law: black-box shift detection (Lipton et al., ICML 2018; Rabanser et al. 2019)."""
    first, second = sides
    test = partial(marginal_test, statistic=KS)
    return Question(BBSD, "score", "share", first.score, second.score, (first.cluster, second.cluster), test)


def fact_questions(sides: Sides, image_facts: pd.DataFrame | None, *, least: int) -> Iterator[Question | ShiftRow]:
    """Ask of every fact whether it is distributed alike, and whether it is recorded alike; or say that it cannot be told.

    Args:
        sides: Films of the global and the local side.
        image_facts: ``sample_id`` and any of ``STATISTICS``, or None.
        least: Patients per side of whom a fact must be known.

    Yields:
        Questions, and rows for facts that are not known of enough patients.
    """
    for name, unit in NUMBERS.items():
        yield from _fact(name, [_number(films.facts, name) for films in sides], sides=sides, least=least, unit=unit)
    for name in CATEGORIES:
        yield from _fact(name, [_text(films.facts, name) for films in sides], sides=sides, least=least)
    if image_facts is None:
        yield _untold("image statistics", "the films were not read", counts=(sides[0].n_patients, sides[1].n_patients))
        return
    table = image_facts.set_index("sample_id")
    for name, unit in STATISTICS.items():
        columns = [_number(table.reindex(films.sample_id), name) for films in sides]
        yield from _fact(name, columns, sides=sides, least=least, unit=unit)


def feature_questions(sides: Sides) -> Iterator[Question | ShiftRow]:
    """Ask whether the features follow one law, in three ways; or say that there are none.

    Args:
        sides: Films of the global and the local side.

    Yields:
        Questions for MMD, C2ST and Kolmogorov-Smirnov per dimension, or one row.
    """
    first, second = sides
    if first.features is None or second.features is None:
        yield _untold(FEATURES, "there are no features of both sides", counts=(first.n_patients, second.n_patients))
        return
    cluster = first.cluster, second.cluster
    ask = partial(Question, subject=FEATURES, x=first.features, y=second.features, cluster=cluster, declared=FEATURE_SHIFT)
    yield ask(MMD, unit="kernel", test=mmd_test)
    if min(first.n_patients, second.n_patients) >= LEAST_PATIENTS:
        yield ask(C2ST, unit="balanced accuracy of held-out patients", test=c2st)
    yield ask(KS_FEATURES, unit="share", test=_one_film_ks)


def _one_film_ks(x: ArrayLike, y: ArrayLike, *, cluster: tuple[ArrayLike, ArrayLike] | None, permutations: int, seed: int) -> TwoSample:
    """Kolmogorov-Smirnov per dimension on one film per patient; ``permutations`` is not needed."""
    first, second = np.asarray(x), np.asarray(y)
    if cluster is None:
        return ks_bonferroni(first, second)
    kept = [one_per_patient(codes, seed=seed) for codes in cluster]
    return ks_bonferroni(first[kept[0]], second[kept[1]])


def _fact(name: str, columns: list["pd.Series"], *, sides: Sides, least: int, unit: str | None = None) -> Iterator[Question | ShiftRow]:
    """Questions about one fact; ``unit`` is None for categories."""
    known = [column.notna().to_numpy() for column in columns]
    patients = [int(np.unique(films.cluster[mask]).size) for films, mask in zip(sides, known, strict=True)]
    if min(patients) < least:
        few = [f"{count} of {films.n_patients} patients on the {films.side} side" for films, count in zip(sides, patients, strict=True)]
        reason = (
            f"recorded for {' and '.join(text for text, count in zip(few, patients, strict=True) if count < least)}, {least} are needed"
        )
        yield _untold(name, reason, counts=(patients[0], patients[1]))
        return
    x, y = (column.to_numpy()[mask] for column, mask in zip(columns, known, strict=True))
    cluster = (sides[0].cluster[known[0]], sides[1].cluster[known[1]])
    if unit is None:
        yield Question(CATEGORY, name, "share", x, y, cluster, category_test, declared=ASSOCIATION)
    elif name in STATISTICS:
        yield Question(IMAGE, name, "share", x, y, cluster, partial(marginal_test, statistic=KS), scale=unit)
    else:
        yield Question(FACT, name, f"√{unit}", x, y, cluster, partial(marginal_test, statistic=ENERGY), scale=unit)
    if not all(mask.all() for mask in known):
        everyone = sides[0].cluster, sides[1].cluster
        yield Question(CATEGORY, f"{name} is recorded", "share", known[0], known[1], everyone, category_test, declared=ASSOCIATION)


def _number(facts: pd.DataFrame, name: str) -> "pd.Series":
    """A numeric fact, NaN for unknown and for infinite."""
    column = pd.to_numeric(facts[name], errors="coerce") if name in facts.columns else pd.Series(np.nan, index=facts.index)
    values = np.asarray(column.to_numpy(np.float64))
    return pd.Series(np.where(np.isfinite(values), values, np.nan))


def _text(facts: pd.DataFrame, name: str) -> "pd.Series":
    """A category, None for unknown."""
    column = facts[name].fillna("").astype(str) if name in facts.columns else pd.Series("", index=facts.index, dtype=str)
    return column.where(column != "", None).astype(object)


def _untold(subject: str, reason: str, *, counts: tuple[int, int]) -> ShiftRow:
    return ShiftRow(SECTION, "any test", subject, n_global=counts[0], n_local=counts[1], verdict=f"{CANNOT_TELL}: {reason}")
