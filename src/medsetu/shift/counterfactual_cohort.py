# SPDX-License-Identifier: Apache-2.0
"""Cohorts of the counterfactual benchmark, drawn from the pool and kept as plain CSV that any method can read.

Each film is drawn by itself, with replacement, by the weight it has in its world, and counts as a patient of its own: the weighted pool is
the population, and the true values of ``counterfactual.truths`` are exactly those of the population.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.table import read_table, write_table
from medsetu.evaluation.score_table import FINDING, MODEL, read_scores
from medsetu.shift.cohort import Cohort, Extras, Films, cohort_of
from medsetu.shift.counterfactual import APPEARANCE, LABELS, Knobs, Pool

SCORES, FEATURES, VOTES = "scores.csv", "features.csv", "votes.csv"
FACTS = ("sex", "age_years", "view")


def draw_world(pool: Pool, knobs: Knobs, active: frozenset[str], *, patients: int, seed: int) -> Cohort:
    """Draw one cohort of a world: test films of both sides, and validation films of the global one.

    Args:
        pool: The pool.
        knobs: Sizes.
        active: Causes that act on the local side.
        patients: Patients per side and split, one film each.
        seed: Seed of this cohort.

    Returns:
        The cohort, labelled on both sides, with features and the votes of three readers: two see the truth, one gave the label.
    """
    rng = np.random.default_rng(seed)
    none: frozenset[str] = frozenset()
    drawn = [
        _draw(pool, knobs, causes, patients=patients, rng=rng, where=where)
        for causes, where in ((none, (GLOBAL, "test")), (none, (GLOBAL, "val")), (active, (LOCAL, "test")))
    ]
    return Cohort(FINDING, MODEL, drawn[0], drawn[2], global_val=drawn[1])


def _draw(pool: Pool, knobs: Knobs, active: frozenset[str], *, patients: int, rng: np.random.Generator, where: tuple[str, str]) -> Films:
    chosen = rng.choice(pool.present.size, size=patients, p=pool.weights(knobs, active))
    marked = (rng.random(patients) < pool.marker_chance(knobs, active)[chosen]).astype(int)
    state = int(APPEARANCE in active)
    wrong = rng.random(patients) < knobs.flip[LABELS in active]
    label = (pool.present[chosen] ^ wrong).astype(np.float64)
    names = np.array([f"{where[0]}-{where[1]}-{number:05d}" for number in range(patients)])
    return Films(
        side=where[0],
        title=f"phantom {where[0]}",
        unit="by patient",
        sample_id=names,
        patient=names,
        label=label,
        scores=pool.score[state, marked, chosen][None],
        seed=np.array([0]),
        facts=pool.facts.iloc[chosen].reset_index(drop=True),
        features=pool.features[state, marked, chosen],
        votes=np.stack([pool.present[chosen].astype(np.float64)] * 2 + [label], axis=1),
    )


def write_cohort(cohort: Cohort, folder: Path) -> Path:
    """Write a cohort as three CSV files, of which ``medsetu shift scores.csv votes=votes.csv`` reads two.

    Args:
        cohort: A cohort of ``draw_world``.
        folder: Where ``scores.csv`` (``sample_id``, ``patient_id``, ``domain``, ``split``, ``score``, ``label``, ``sex``, ``age_years``,
            ``view``), ``features.csv`` (``sample_id``, ``f0``, ...) and ``votes.csv`` (``sample_id``, ``reader_1``, ...) go.

    Returns:
        The folder.
    """
    tables: dict[str, list[pd.DataFrame]] = {SCORES: [], FEATURES: [], VOTES: []}
    for films, split in ((cohort.global_films, "test"), (cohort.global_val, "val"), (cohort.local_films, "test")):
        if films is None:
            continue
        name = pd.DataFrame({"sample_id": films.sample_id})
        who = name.assign(patient_id=films.patient, domain=films.side, split=split, score=films.score.round(6), label=films.label)
        tables[SCORES].append(pd.concat([who, films.facts[list(FACTS)]], axis=1))
        for file, values, stem, first in ((FEATURES, films.features, "f", 0), (VOTES, films.votes, "reader_", 1)):
            if values is not None:
                columns = [f"{stem}{number + first}" for number in range(values.shape[1])]
                tables[file].append(pd.concat([name, pd.DataFrame(np.round(values, 4), columns=columns)], axis=1))
    for file, parts in tables.items():
        if parts:
            write_table(pd.concat(parts, ignore_index=True), folder / file)
    return folder


def read_cohort(folder: Path) -> Cohort:
    """Read a cohort as a peer would: from its CSV files.

    Args:
        folder: Folder of ``write_cohort``; features and votes may be absent.

    Returns:
        The cohort.

    Raises:
        DataError: The scores are missing or impossible.
    """
    scores = read_scores(folder / SCORES)
    features, votes = (
        read_table(folder / name).set_index("sample_id") if (folder / name).is_file() else None for name in (FEATURES, VOTES)
    )
    extras = Extras(
        features={} if features is None else {str(name): row for row, name in enumerate(features.index)},
        values=None if features is None else features.to_numpy(np.float32),
        votes=votes,
    )
    return cohort_of(scores, finding=FINDING, arm=MODEL, extras=extras)
