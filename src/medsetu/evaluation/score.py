# SPDX-License-Identifier: Apache-2.0
"""From the long table of predictions to the matrix of scores that every metric reads, checked once."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import Floats

BY_IMAGE = "grouped by image: no patient ids"
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ScoreMatrix:
    """Labels of samples and the scores several models gave them.

    Attributes:
        label: (n,) 1.0 or 0.0.
        scores: (M, n) finite scores, one row per model.
        seed: (M,) training seed of each model; folds of one seed share it.
        patient: (n,) name of each sample's patient, or of the image itself where there is none.
        sample_id: (n,) names of the samples.
        model: (M,) name of each row, "<seed>" or "<seed>/<fold>".
        fold: (M, n) fold of the model that scored each sample; -1 when there are none.
        note: Grouping and what was left out; "" when there is nothing to say.
    """

    label: Floats
    scores: Floats
    seed: Ints
    patient: NDArray[np.str_]
    sample_id: NDArray[np.str_]
    model: tuple[str, ...]
    fold: Ints
    note: str = ""

    @cached_property
    def cluster(self) -> Ints:
        """(n,) patient of each sample as codes 0 to P - 1, in the order of the sorted names."""
        return np.unique(self.patient, return_inverse=True)[1].astype(np.int64)

    @property
    def n_patients(self) -> int:
        """Number of patients, or of images where no patient ids exist."""
        return int(self.cluster.max(initial=-1)) + 1

    @property
    def counts(self) -> tuple[int, int, int]:
        """Patients, samples and positive samples."""
        return self.n_patients, self.label.size, int(self.label.sum())

    @property
    def n_seeds(self) -> int:
        """Number of training seeds K."""
        return int(np.unique(self.seed).size)

    def take(self, rows: ArrayLike) -> "ScoreMatrix":
        """Keep some samples.

        Args:
            rows: (n,) boolean mask, or positions.

        Returns:
            The smaller matrix.
        """
        kept = np.arange(self.label.size)[np.asarray(rows)]
        return replace(
            self,
            label=self.label[kept],
            scores=self.scores[:, kept],
            patient=self.patient[kept],
            sample_id=self.sample_id[kept],
            fold=self.fold[:, kept],
        )


def check_scores(label: ArrayLike, scores: ArrayLike, *, cluster: ArrayLike | None = None) -> tuple[Floats, Floats, Ints | None]:
    """Check labels and scores, and leave out samples whose label is unknown.

    Args:
        label: (n,) 1, 0, or NaN for unknown.
        scores: (n,) or (M, n), finite.
        cluster: (n,) patient of each sample, numbers or text; None when each sample stands alone.

    Returns:
        Known labels (n',), scores (M, n'), and cluster codes 0 to P - 1 or None.

    Raises:
        DataError: A score is NaN or infinite, a label is not 0, 1 or NaN, or lengths differ.

    Example:
        >>> check_scores([1, 0, float("nan")], [0.9, 0.2, 0.5])[1]
        array([[0.9, 0.2]])
    """
    truth = np.asarray(label, dtype=np.float64)
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if truth.ndim != 1 or table.ndim != 2 or table.shape[1] != truth.size:
        _refuse(
            "Labels and scores differ in length",
            f"Labels {truth.shape}, scores {table.shape}",
            "Give (n,) labels and (n,) or (M, n) scores",
        )
    known = ~np.isnan(truth)
    if not np.isin(truth[known], (0.0, 1.0)).all():
        _refuse("A label is neither 0, 1 nor unknown", "Labels of the evaluation", "Write 1 present, 0 absent, NaN unknown")
    if not np.isfinite(table).all():
        _refuse(
            f"{int((~np.isfinite(table)).sum())} scores are NaN or infinite",
            "Scores of the evaluation",
            "Find the model or image that produced them",
        )
    if cluster is None:
        return truth[known], table[:, known], None
    names = pd.Series(np.asarray(cluster)).reset_index(drop=True)
    if names.size != truth.size or bool(names.isna().any()):
        _refuse("Clusters are missing or differ in length", f"{names.size} clusters, {truth.size} labels", "Give one patient per sample")
    codes = np.unique(names[known].to_numpy(), return_inverse=True)[1]
    return truth[known], table[:, known], codes.astype(np.int64)


def check_probability(scores: ArrayLike) -> Floats:
    """Refuse scores outside [0, 1]; the integers 0 and 1 are probabilities too.

    Raises:
        DataError: A score lies outside [0, 1] or is NaN.

    Example:
        >>> check_probability([0, 1])
        array([0., 1.])
    """
    table = np.asarray(scores, dtype=np.float64)
    if not ((table >= 0.0) & (table <= 1.0)).all():
        _refuse("A score lies outside [0, 1]", "Scores of the evaluation", "Apply the sigmoid before the scores are written")
    return table


def score_matrix(predictions: pd.DataFrame, *, finding: str | None = None) -> ScoreMatrix:
    """Pivot the predictions of one arm, domain, split and finding into models by samples.

    Where each sample was scored once per seed (a cross-fitted side: every fold tests its own films) a row is a seed. Where every
    fold's model scored every sample (a fixed side) a row is a (seed, fold) model; folds of one seed share ``seed``. Samples that some
    model did not score leave all models and are counted in the note, as are unknown labels.

    Args:
        predictions: Rows of the predictions table: seed, fold, sample_id, patient_id, finding, label, score.
        finding: Keep the rows of this finding; None when the table holds one finding.

    Returns:
        The matrix; zero samples are allowed.

    Raises:
        DataError: A (model, sample) pair is repeated, labels of a sample differ, findings are mixed, or scores are no probabilities.
    """
    rows = predictions if finding is None else predictions[predictions["finding"] == finding]
    if rows["finding"].nunique() > 1:
        _refuse("Several findings are mixed in one matrix", "Predictions table", "Choose one finding")
    known = rows[rows["label"].notna()]
    unknown = rows["sample_id"].nunique() - known["sample_id"].nunique()
    if known.empty:
        return _empty(_left_out(unknown, "unknown label"))
    check_probability(known["score"].to_numpy())
    crossfit = not bool(known.duplicated(["seed", "sample_id"]).any())
    keys = ["seed"] if crossfit else ["seed", "fold"]
    if bool(known.duplicated([*keys, "sample_id"]).any()):
        _refuse(
            "A model scored one sample twice",
            f"Predictions of finding '{rows['finding'].iloc[0]}'",
            "Evaluate one arm, domain and split at a time",
        )
    wide = known.pivot(index="sample_id", columns=keys, values="score")
    folds = known.pivot(index="sample_id", columns=keys, values="fold")
    complete = wide.notna().all(axis=1)
    wide, folds = wide[complete], folds[complete]
    facts = _facts(known).loc[wide.index]
    models = [tuple(np.atleast_1d(key)) for key in wide.columns]
    patient = facts["patient_id"].where(facts["patient_id"].notna(), "image:" + facts.index.to_series())
    note = "; ".join(
        part
        for part in (
            BY_IMAGE if bool(facts["patient_id"].isna().any()) else "",
            _left_out(unknown, "unknown label"),
            _left_out(int((~complete).sum()), "not scored by every model"),
        )
        if part
    )
    return ScoreMatrix(
        label=facts["label"].to_numpy(dtype=np.float64),
        scores=np.ascontiguousarray(wide.to_numpy(dtype=np.float64).T),
        seed=np.array([int(key[0]) for key in models], dtype=np.int64),
        patient=patient.to_numpy(dtype=str),
        sample_id=wide.index.to_numpy(dtype=str),
        model=tuple("/".join(str(int(part)) for part in key) for key in models),
        fold=folds.to_numpy(dtype=np.int64).T,
        note=note,
    )


def pair(a: ScoreMatrix, b: ScoreMatrix) -> tuple[ScoreMatrix, ScoreMatrix, int]:
    """Restrict two matrices to the samples both hold, in one order.

    Returns:
        Both matrices on the shared samples, and how many samples left.
    """
    shared, at_a, at_b = np.intersect1d(a.sample_id, b.sample_id, return_indices=True)
    left = np.union1d(a.sample_id, b.sample_id).size - shared.size
    return a.take(at_a), b.take(at_b), int(left)


def _facts(known: pd.DataFrame) -> pd.DataFrame:
    facts = known[["sample_id", "label", "patient_id"]].drop_duplicates()
    if bool(facts["sample_id"].duplicated().any()):
        _refuse("One sample has two labels or two patients", "Predictions table", "Rebuild the predictions from one manifest")
    return facts.set_index("sample_id")


def _left_out(count: int, why: str) -> str:
    return f"{count} samples left out: {why}" if count else ""


def _empty(note: str) -> ScoreMatrix:
    names = np.array([], dtype=str)
    return ScoreMatrix(
        np.zeros(0), np.zeros((1, 0)), np.zeros(1, dtype=np.int64), names, names, ("0",), np.zeros((1, 0), dtype=np.int64), note
    )


def _refuse(what: str, where: str, remedy: str) -> None:
    raise DataError(what=what, where=where, remedy=remedy)
