# SPDX-License-Identifier: Apache-2.0
"""Who takes part: the scores of each contestant on the same test films, or the reason why they may not be compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import nan

import numpy as np
import pandas as pd

from medsetu.contest.fair import refuse_films, refuse_folds, refuse_labels, refuse_patients
from medsetu.contest.plan import ContestPlan
from medsetu.core.arm import base_arm
from medsetu.core.errors import ConfigError
from medsetu.core.table import PREDICTION_COLUMNS, conform
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.score import BY_IMAGE, ScoreMatrix, score_matrix
from medsetu.shift.pairing import side_names

OF_STUDY, SETTINGS = "/", "#"  # before the arm stands the study, after it a mark of its settings, where names would be equal


@dataclass(frozen=True)
class Cost:
    """What a contestant cost; NaN where nobody wrote it down.

    Attributes:
        hours: Wall time of all stages of one network, in hours, mean over its runs.
        last_hours: Wall time of the last stage alone: what it costs where the earlier stages are there already.
        device: ``CPU``, ``GPU`` or ``MPS``; "" unknown.
        parameters_trained: Numbers that moved in the last stage.
        parameters_total: Numbers of the network in the last stage.
        peak_memory_bytes: Largest use of memory of any of its stages.
        labels_used: Local labels that one network has spent on training and on choosing weights.
        runs: Runs behind it.
    """

    hours: float = nan
    last_hours: float = nan
    device: str = ""
    parameters_trained: float = nan
    parameters_total: float = nan
    peak_memory_bytes: float = nan
    labels_used: float = nan
    runs: int = 0


@dataclass(frozen=True)
class Contestant:
    """One way of training, on the test films that all contestants were tested on.

    Attributes:
        name: Its name.
        matrix: Labels, scores and seeds; one row per seed, or per seed and fold where every fold's network scored every film.
        parts: Kernel of the AUROC by patient.
        validation: Its validation predictions of the finding, every side.
        threshold: Operating point in use, where a table of scores names it; NaN otherwise.
    """

    name: str
    matrix: ScoreMatrix
    parts: KernelParts
    validation: pd.DataFrame = field(repr=False)
    threshold: float = nan

    @property
    def arm(self) -> str:
        """The arm it is a way of, such as ``transfer``."""
        return base_arm(self.name.rpartition(OF_STUDY)[2].partition(SETTINGS)[0])

    @property
    def seeds(self) -> int:
        """Number of training seeds."""
        return self.matrix.n_seeds

    def by_seed(self, values: Floats) -> Floats:
        """(K, n) mean over the folds of each seed, in ascending order of seed, of (M, n) values."""
        return np.stack([values[self.matrix.seed == seed].mean(axis=0) for seed in np.unique(self.matrix.seed)])


@dataclass(frozen=True)
class Field:
    """All contestants.

    Attributes:
        contestants: In the order in which their names appeared.
        title: Where the films come from.
        unit: ``by patient``, or ``by image`` with the reason.
        notes: What a reader must know.
    """

    contestants: Sequence[Contestant]
    title: str
    unit: str
    notes: tuple[str, ...]


def gather(predictions: pd.DataFrame, plan: ContestPlan) -> Field:
    """Put the contestants on the same films, and refuse what would have to be averaged over.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``; ``arm`` names the contestant.
        plan: Finding, side, and whether films that not all were tested on may be left out.

    Returns:
        The field.

    Raises:
        ConfigError: A contestant has no test film of the finding on the side, or there are fewer than two.
        DataError: Labels, patients, folds or test films differ between contestants (see ``medsetu.contest.fair``).
    """
    rows = conform(predictions, PREDICTION_COLUMNS, name="predictions")
    names = list(dict.fromkeys(rows["arm"].astype(str)))
    if len(names) < 2:
        raise ConfigError(
            what=f"There is {len(names)} contestant, and a comparison needs two",
            where="Command line",
            remedy="Name several runs or studies, or a study with several arms",
        )
    own = {str(name): part[part["finding"] == plan.finding] for name, part in rows.groupby("arm", sort=False)}
    tested = {name: part[(part["split"] == "test") & (side_names(part) == plan.side)] for name, part in own.items()}
    _refuse_missing(rows, tested, plan=plan)
    where = f"Test films of {plan.finding} on the {plan.side} side"
    refuse_labels(tested, where=where)
    refuse_patients(tested, where=where)
    refuse_folds(tested, where=where)
    matrices = {name: score_matrix(part) for name, part in tested.items()}
    left = 0
    if plan.films != "shared":
        refuse_films(tested, matrices, where=where)
    films = reduce(np.intersect1d, (matrix.sample_id for matrix in matrices.values()))
    if plan.films == "shared":
        left = reduce(np.union1d, (part.loc[part["label"].notna(), "sample_id"].unique() for part in tested.values())).size - films.size
    if not films.size:
        raise ConfigError(
            what="No film was tested by every contestant", where=where, remedy="Compare runs that were tested on the same films"
        )
    paired = {name: matrix.take(np.searchsorted(matrix.sample_id, films)) for name, matrix in matrices.items()}
    contestants = [
        Contestant(
            name,
            matrix,
            kernel_parts(matrix.label, matrix.scores, cluster=matrix.cluster),
            own[name][own[name]["split"] == "val"].copy(),
            _threshold(tested[name]),
        )
        for name, matrix in paired.items()
    ]
    return Field(contestants, _title(tested[names[0]], plan.side), _unit(paired[names[0]]), _notes(contestants, left=left))


def _refuse_missing(rows: pd.DataFrame, tested: dict[str, pd.DataFrame], *, plan: ContestPlan) -> None:
    for name, part in tested.items():
        if part["label"].notna().any():
            continue
        mine = rows[(rows["arm"] == name) & (rows["split"] == "test")]
        kinds = {"finding": sorted(mine["finding"].dropna().unique()), "side": sorted(side_names(mine).dropna().unique())}
        key = "side" if plan.finding in kinds["finding"] else "finding"
        raise ConfigError(
            what=f"Contestant '{name}' was not tested for '{plan.finding}' on the {plan.side} side",
            where=f"Key {key}",
            value=getattr(plan, key),
            allowed=list(map(str, kinds[key])),
        )


def _threshold(rows: pd.DataFrame) -> float:
    known = rows["threshold"].dropna() if "threshold" in rows.columns else rows["score"].head(0)
    return float(known.iloc[0]) if len(known) else nan


def _title(rows: pd.DataFrame, side: str) -> str:
    for column in ("site", "release"):
        found = sorted(set(rows[column].fillna("")) - {""})
        if found:
            return ", ".join(map(str, found[:3])) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return side


def _unit(matrix: ScoreMatrix) -> str:
    return "by image: no patient ids" if BY_IMAGE in matrix.note else "by patient"


def _notes(contestants: Sequence[Contestant], *, left: int) -> tuple[str, ...]:
    seeds = {one.name: tuple(np.unique(one.matrix.seed).tolist()) for one in contestants}
    several = len(set(seeds.values())) > 1
    notes = (
        f"{left} films left out: not every contestant was tested on them, and only shared films were asked for" if left else "",
        "the contestants were trained with different seeds: what seeds add to a difference is not paired" if several else "",
        *(part for one in contestants[:1] for part in one.matrix.note.split("; ") if part and part != BY_IMAGE),
    )
    return tuple(filter(None, notes))
