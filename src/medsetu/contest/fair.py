# SPDX-License-Identifier: Apache-2.0
"""What makes a comparison unfair: other films, other labels, other patients, other folds. Refused, not averaged."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.evaluation.score import ScoreMatrix


def refuse_labels(tested: Mapping[str, pd.DataFrame], *, where: str) -> None:
    """Refuse contestants that were tested against other labels of the same films.

    Args:
        tested: Test rows of each contestant, one finding and side.
        where: Which films, for the message.

    Raises:
        DataError: A film has another label, or one where the other has none; the two contestants are named.
    """
    _refuse_facts(
        tested,
        column="label",
        where=where,
        what="label policies differ",
        remedy="Evaluate all of them with one prepared manifest: the same release, label columns and consensus rule",
    )


def refuse_patients(tested: Mapping[str, pd.DataFrame], *, where: str) -> None:
    """Refuse contestants whose films belong to other patients: their uncertainty could not be paired.

    Args:
        tested: Test rows of each contestant.
        where: Which films.

    Raises:
        DataError: A film belongs to another patient, or to one where the other names none.
    """
    _refuse_facts(
        tested,
        column="patient_id",
        where=where,
        what="patients differ",
        remedy="Give one table of patients, or leave patient_id out of all",
    )


def refuse_folds(tested: Mapping[str, pd.DataFrame], *, where: str) -> None:
    """Refuse cross-fitted contestants whose splits differ: for the same seed, a film must be tested in the same fold.

    Args:
        tested: Test rows of each contestant.
        where: Which films.

    Raises:
        DataError: The folds differ; contestants without folds, and seeds that only one has, are not compared.
    """
    known = {
        name: rows[rows["fold"] >= 0].drop_duplicates(["seed", "sample_id"]).set_index(["seed", "sample_id"])["fold"]
        for name, rows in tested.items()
        if not rows.duplicated(["seed", "sample_id"]).any()
    }
    known = {name: folds for name, folds in known.items() if len(folds)}
    for first, second in pairwise(known):
        one, other = known[first].align(known[second], join="inner")
        differ = int((one.to_numpy() != other.to_numpy()).sum())
        if differ:
            raise DataError(
                what=f"The splits differ between {first} and {second}: {differ} films were tested in another fold of the same seed",
                where=where,
                remedy="Train both on one frozen manifest, with the same split_seed",
            )


def refuse_films(tested: Mapping[str, pd.DataFrame], matrices: Mapping[str, ScoreMatrix], *, where: str) -> None:
    """Refuse contestants that were tested on different films.

    Args:
        tested: Test rows of each contestant.
        matrices: What all models of each contestant have scored.
        where: Which films.

    Raises:
        DataError: A contestant's own seeds were tested on different films, or two contestants were.
    """
    shared = set.intersection(*(set(matrix.sample_id) for matrix in matrices.values()))
    remedy = f"Run what is missing, or compare on the {len(shared)} films that all have: on=shared"
    for name, matrix in matrices.items():
        partly = set(tested[name].loc[tested[name]["label"].notna(), "sample_id"]) - set(matrix.sample_id)
        if partly:
            raise DataError(
                what=f"The seeds or folds of {name} were tested on different films: {len(partly)} films were not scored by all",
                where=where,
                remedy=remedy,
            )
    names = list(matrices)
    for first, second in pairwise(names):
        one, other = (set(matrices[name].sample_id) for name in (first, second))
        if one != other:
            raise DataError(
                what=f"{first} and {second} were tested on different films: {len(one - other)} only by {first}, "
                f"{len(other - one)} only by {second}",
                where=where,
                remedy=remedy,
            )


def _refuse_facts(tested: Mapping[str, pd.DataFrame], *, column: str, where: str, what: str, remedy: str) -> None:
    facts = {name: rows.drop_duplicates("sample_id").set_index("sample_id")[column] for name, rows in tested.items()}
    names = list(facts)
    for first, second in pairwise(names):
        one, other = facts[first].align(facts[second], join="inner")
        equal = (one == other).fillna(value=False).to_numpy(dtype=bool) | (one.isna() & other.isna()).to_numpy()
        differ = int(np.count_nonzero(~equal))
        if differ:
            raise DataError(what=f"The {what} between {first} and {second}, on {differ} films", where=where, remedy=remedy)
