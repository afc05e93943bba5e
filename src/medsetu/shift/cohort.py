# SPDX-License-Identifier: Apache-2.0
"""What every measure of shift reads: the films of both sides with scores of one arm, facts, features and votes. Labels may be unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.table import PREDICTION_COLUMNS, conform
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.score import Ints, ScoreMatrix
from medsetu.shift.pairing import BY_PATIENT, side_names

FACTS = ("site", "sex", "age_years", "view", "device", "release", "spacing_mm", "bits", "height", "width", "file_bytes", "color_mode")


@dataclass(frozen=True)
class Films:
    """Films of one side and split.

    Attributes:
        side: ``global``, ``local`` or ``external: <site>``.
        title: The sites as a reader knows them.
        unit: ``by patient``, or ``by image`` with the reason.
        sample_id: (n,) films, sorted.
        patient: (n,) name of each film's patient, or of the film itself where there is none.
        label: (n,) 1.0, 0.0, NaN unknown.
        scores: (M, n) probabilities in [0, 1], one row per seed of the arm (folds of a cross-fitted arm already joined).
        seed: (M,) training seed of each row.
        facts: (n) rows with those of ``FACTS`` that are known; missing text is "", missing numbers are NaN.
        features: (n, D) penultimate features of the first seed, or None.
        votes: (n, R) 1 / 0 / NaN of R readers, or None.
        note: What was left out, and why; empty when nothing was.
    """

    side: str
    title: str
    unit: str
    sample_id: NDArray[np.str_]
    patient: NDArray[np.str_]
    label: Floats
    scores: Floats
    seed: Ints
    facts: pd.DataFrame
    features: NDArray[np.float32] | None = None
    votes: Floats | None = None
    note: str = ""

    def __len__(self) -> int:
        return int(self.sample_id.size)

    @cached_property
    def cluster(self) -> Ints:
        """(n,) patient of each film as codes 0 to P - 1."""
        return np.unique(self.patient, return_inverse=True)[1].astype(np.int64)

    @property
    def n_patients(self) -> int:
        """Number of patients, or of films where no patient ids exist."""
        return int(self.cluster.max(initial=-1)) + 1

    @property
    def score(self) -> Floats:
        """(n,) mean probability over seeds: the score of the seed ensemble, for measures of one score distribution only."""
        return np.asarray(self.scores.mean(axis=0))

    def take(self, rows: ArrayLike) -> "Films":
        """Keep some films.

        Args:
            rows: (n,) boolean mask, or positions (repeats allowed).

        Returns:
            The films asked for.
        """
        kept = np.arange(len(self))[np.asarray(rows)]
        return replace(
            self,
            sample_id=self.sample_id[kept],
            patient=self.patient[kept],
            label=self.label[kept],
            scores=self.scores[:, kept],
            facts=self.facts.iloc[kept].reset_index(drop=True),
            features=None if self.features is None else self.features[kept],
            votes=None if self.votes is None else self.votes[kept],
        )

    def known(self) -> "Films":
        """Keep the films whose label is known."""
        return self.take(~np.isnan(self.label))

    @property
    def matrix(self) -> ScoreMatrix:
        """Labelled films as the evaluation reads them."""
        films = self.known()
        fold = np.full(films.scores.shape, -1, dtype=np.int64)
        names = tuple(str(seed) for seed in films.seed)
        return ScoreMatrix(films.label, films.scores, films.seed, films.patient, films.sample_id, names, fold)


@dataclass(frozen=True)
class Cohort:
    """One arm's view of both sides, for one finding.

    Attributes:
        finding: The finding, by name.
        arm: The arm whose scores these are.
        global_films: Test films of the global side.
        local_films: Test films of the local side; labels may be unknown.
        global_val: Validation films of the global side (thresholds, calibration, confusion matrices come from here), or None.
        local_val: Validation films of the local side, or None.
    """

    finding: str
    arm: str
    global_films: Films
    local_films: Films
    global_val: Films | None = None
    local_val: Films | None = None


@dataclass(frozen=True)
class Extras:
    """What predictions do not carry, by sample_id.

    Attributes:
        facts: Manifest rows (``sample_id`` and any of ``FACTS``), or None.
        features: sample_id -> row of ``values``.
        values: (n, D) features.
        votes: sample_id-indexed table, one column per reader, 1 / 0 / NaN, or None.
    """

    facts: pd.DataFrame | None = None
    features: Mapping[str, int] = field(default_factory=dict)
    values: NDArray[np.float32] | None = None
    votes: pd.DataFrame | None = None


def cohort_of(predictions: pd.DataFrame, *, finding: str, arm: str, local: str = LOCAL, extras: Extras | None = None) -> Cohort:
    """Gather the films of both sides from a predictions table.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``.
        finding: The finding, by name.
        arm: The arm whose scores are studied.
        local: Side that stands for local: ``local`` or ``external: <site>``.
        extras: Facts, features and votes by sample_id; None for none.

    Returns:
        The cohort.

    Raises:
        ConfigError: The finding or the arm is not in the table.
        DataError: A side has no test film, a film was scored twice by one model, or scores are no probabilities.
    """
    rows = conform(predictions, PREDICTION_COLUMNS, name="predictions")
    for column, wanted in (("finding", finding), ("arm", arm)):
        if wanted not in set(rows[column]):
            raise ConfigError(
                what=f"No prediction carries the {column} '{wanted}'",
                where=f"Key {column}",
                value=wanted,
                allowed=sorted(rows[column].dropna().unique()),
            )
    rows = rows[(rows["finding"] == finding) & (rows["arm"] == arm)]
    score = rows["score"].to_numpy(np.float64)
    wrong = int((~((score >= 0) & (score <= 1))).sum())  # NaN is wrong too
    if wrong:
        raise DataError(
            what=f"{wrong} scores are NaN or outside [0, 1]",
            where=f"Predictions of '{finding}' by {arm}",
            remedy="Give probabilities, one for every film and model",
        )
    rows = rows.assign(side=side_names(rows))
    more = extras or Extras()
    found = {
        (side, split): _films(rows[(rows["side"] == side) & (rows["split"] == split)], side=side, extras=more)
        for side in (GLOBAL, local)
        for split in ("test", "val")
    }
    for side in (GLOBAL, local):
        if found[side, "test"] is None:
            raise DataError(
                what=f"The {side} side has no test film",
                where=f"Predictions of '{finding}' by {arm}",
                remedy="Give films of both sides: column domain with global and local, column split with test",
            )
    tested, here = found[GLOBAL, "test"], found[local, "test"]
    return Cohort(finding, arm, _given(tested), _given(here), global_val=found[GLOBAL, "val"], local_val=found[local, "val"])


def _given(films: Films | None) -> Films:
    if films is None:  # refused above
        raise DataError(what="A side has no test film", where="Predictions", remedy="Give films of both sides")
    return films


def _films(rows: pd.DataFrame, *, side: str, extras: Extras) -> Films | None:
    """Join folds of a seed: a film scored by several folds of one seed (validation films are) gets their mean."""
    if rows.empty:
        return None
    if rows.duplicated(["sample_id", "seed", "fold"]).any():
        raise DataError(
            what=f"{int(rows.duplicated(['sample_id', 'seed', 'fold']).sum())} films were scored twice by one model",
            where=f"Predictions on the {side} side",
            remedy="Remove the duplicate rows",
        )
    table = rows.pivot_table(index="seed", columns="sample_id", values="score", aggfunc="mean")
    complete = table.columns[table.notna().all(axis=0)]
    facts = rows.drop_duplicates("sample_id").set_index("sample_id").sort_index().loc[complete]
    patient = facts["patient_id"].where(facts["patient_id"] != "")
    place = np.array([extras.features.get(name, -1) for name in complete], dtype=np.int64)
    without = int((place < 0).sum())
    lost = len(table.columns) - len(complete)
    notes = (
        f"{lost} {side} films left out: not every seed has scored them" if lost else "",
        f"{without} {side} films have no features: no measure reads features there" if extras.features and without else "",
    )
    return Films(
        side=side,
        title=", ".join(sorted(set(facts["site"].fillna("")) - {""})) or ", ".join(sorted(set(facts["release"].fillna("")))) or side,
        unit=_unit(patient),
        sample_id=complete.to_numpy(dtype=str),
        patient=np.where(patient.isna(), "film " + facts.index.astype(str), patient.fillna("")).astype(str),
        label=facts["label"].to_numpy(np.float64),
        scores=table[complete].to_numpy(np.float64),
        seed=table.index.to_numpy(np.int64),
        facts=_facts(facts, extras),
        features=None if without or extras.values is None else extras.values[place],
        votes=_votes(extras.votes, complete),
        note="; ".join(filter(None, notes)),
    )


def _votes(votes: pd.DataFrame | None, films: pd.Index) -> Floats | None:
    """Votes of the readers who read any of these films; None where nobody did."""
    read = None if votes is None else votes.reindex(films).dropna(axis=1, how="all")
    return None if read is None or read.empty else read.to_numpy(np.float64)


def _unit(patient: "pd.Series[str]") -> str:
    unknown = int(patient.isna().sum())
    if unknown == 0:
        return BY_PATIENT
    return "by image (no patient ids)" if unknown == len(patient) else f"{BY_PATIENT} (by image for {unknown} of {len(patient)})"


def _facts(rows: pd.DataFrame, extras: Extras) -> pd.DataFrame:
    own = rows[[name for name in FACTS if name in rows.columns]]
    if extras.facts is not None:
        manifest = extras.facts.set_index("sample_id").reindex(rows.index)
        own = own.assign(**{name: manifest[name] for name in FACTS if name in manifest.columns})
    text = [name for name in own.columns if not pd.api.types.is_numeric_dtype(own[name])]
    return own.assign(**{name: own[name].fillna("").astype(str) for name in text}).reset_index(drop=True)
