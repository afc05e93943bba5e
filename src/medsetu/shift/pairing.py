# SPDX-License-Identifier: Apache-2.0
"""The same films for every arm: predictions of all arms and seeds become the sides of the transfer matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.sample import EXTERNAL, GLOBAL, LOCAL
from medsetu.core.table import PREDICTION_COLUMNS, conform
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.score import Ints, ScoreMatrix, score_matrix

BY_PATIENT = "by patient"
_NAMED_SITES = 3  # above it a side is titled by its releases


@dataclass(frozen=True)
class ArmScores:
    """Scores of one arm on the films of one side.

    Attributes:
        matrix: Labels, scores and seeds; one row per seed, or per seed and fold where every fold's network scored every film.
        parts: Kernel of the AUROC by patient.
    """

    matrix: ScoreMatrix
    parts: KernelParts

    @property
    def seed(self) -> Ints:
        """(M,) training seed of each row of scores."""
        return self.matrix.seed

    @property
    def seeds(self) -> int:
        """Number of different training seeds."""
        return int(np.unique(self.matrix.seed).size)

    @property
    def within_fold(self) -> float:
        """AUROC from pairs of films of one fold only, mean over seeds; NaN where the arm was not cross-fitted on this side."""
        folds = np.broadcast_to(self.matrix.fold, self.matrix.scores.shape)
        crossfitted = [(score, fold) for score, fold in zip(self.matrix.scores, folds, strict=True) if np.unique(fold).size > 1]
        found = [within_fold_auroc(self.matrix.label, score, fold=fold) for score, fold in crossfitted]
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True)
class Side:
    """One column of the transfer matrix: the films that every arm scored.

    Attributes:
        name: ``global``, ``local`` or ``external: <site>``.
        title: The sites as a reader knows them.
        sample_id: (n,) films, sorted.
        seen: (n,) "", or why a film may have been seen in pretraining.
        arms: Scores of each arm, on these films in this order.
        unit: ``by patient``, or ``by image`` with the reason.
        notes: What a reader of this side must know.
    """

    name: str
    title: str
    sample_id: NDArray[np.str_]
    seen: NDArray[np.str_]
    arms: Mapping[str, ArmScores]
    unit: str
    notes: tuple[str, ...]

    def take(self, kept: NDArray[np.bool_]) -> "Side":
        """Keep some films, in every arm.

        Args:
            kept: (n,) mask; no film may be left.

        Returns:
            The smaller side.
        """
        arms = {arm: _arm_scores(scores.matrix.take(kept)) for arm, scores in self.arms.items()}
        return replace(self, sample_id=self.sample_id[kept], seen=self.seen[kept], arms=arms)

    def unseen(self) -> "Side":
        """Leave out the films that may have been seen in pretraining."""
        return self.take(self.seen == "")


def side_names(rows: pd.DataFrame) -> "pd.Series[str]":
    """Name the side of each row of a manifest or a table of predictions.

    Args:
        rows: Rows with ``domain``, ``site`` and ``release``.

    Returns:
        ``global``, ``local`` or ``external: <site>``; the release stands for a site that is not known.

    Example:
        >>> side_names(pd.DataFrame({"domain": ["external"], "site": [""], "release": ["nlm"]})).tolist()
        ['external: nlm']
    """
    site = rows["site"].fillna("")
    return rows["domain"].where(rows["domain"] != EXTERNAL, "external: " + site.where(site != "", rows["release"]))


def paired_sides(predictions: pd.DataFrame, *, finding: str) -> dict[str, Side]:
    """Pair the test predictions of one finding across arms and seeds.

    A film that one arm or seed has not scored leaves all arms of its side and is counted; seeds that one arm lacks are left out, because
    transfer run k starts from global run k.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``: all arms, seeds and folds. Only rows of split ``test`` are read.
        finding: The head that is compared, by name.

    Returns:
        Sides by name: global, local, then external sites in alphabetical order.

    Raises:
        ConfigError: No arm has a head for the finding.
        DataError: A film has two labels or patients, or two scores from one run; a score is no probability; the arms share no seed.
    """
    rows, notes = _shared_seeds(_test_rows(predictions, finding=finding))
    order = sorted(rows["side"].unique(), key=lambda name: ([GLOBAL, LOCAL, name].index(name), name))
    return {name: _side(name, rows[rows["side"] == name], notes=notes) for name in order}


def within_fold_auroc(label: Floats, score: Floats, *, fold: Ints) -> float:
    """AUROC from pairs of films that one network scored: pooling folds hides skill where their networks differ in level.

    Args:
        label: (n,) 1 or 0.
        score: (n,) scores.
        fold: (n,) fold whose network scored the film.

    Returns:
        Mean of the folds' AUROC, weighted by their pairs; NaN where no fold has both classes.

    Example:
        >>> within_fold_auroc(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.2, 0.8, 0.9]), fold=np.array([0, 0, 1, 1]))
        1.0
    """
    weighted, pairs = 0.0, 0.0
    for part in np.unique(fold):
        rows = fold == part
        weight = float(label[rows].sum() * (1 - label[rows]).sum())
        if weight:
            weighted += weight * float(kernel_parts(label[rows], score[rows]).auroc[0])
            pairs += weight
    return weighted / pairs if pairs else float("nan")


def _test_rows(predictions: pd.DataFrame, *, finding: str) -> pd.DataFrame:
    rows = conform(predictions, PREDICTION_COLUMNS, name="predictions")
    rows = rows[rows["split"] == "test"]
    available = sorted(rows["finding"].dropna().unique())
    if finding not in available:
        raise ConfigError(
            what=f"No test prediction carries the finding '{finding}'", where="evaluation.primary", value=finding, allowed=available
        )
    rows = rows[rows["finding"] == finding].copy()
    for column in ("site", "release", "device", "seen"):
        rows[column] = rows[column].fillna("")
    rows["side"] = side_names(rows)
    rows["patient_id"] = rows["patient_id"].where(rows["patient_id"] != "")
    return rows


def _shared_seeds(rows: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    shared = set.intersection(*(set(seeds) for _, seeds in rows.groupby("arm")["seed"]))
    if not shared:
        raise DataError(
            what="The arms share no training seed, and so cannot be paired",
            where=f"Predictions of '{rows['finding'].iloc[0]}'",
            remedy="Train all arms with the same seeds: transfer run k starts from global run k",
        )
    left_out = sorted(set(rows["seed"]) - shared)
    notes = (f"seeds {', '.join(map(str, left_out))} left out: not every arm has them",) if left_out else ()
    return rows[rows["seed"].isin(shared)], notes


def _side(name: str, rows: pd.DataFrame, *, notes: tuple[str, ...]) -> Side:
    matrices = {str(arm): score_matrix(part) for arm, part in rows.groupby("arm")}
    films = reduce(np.intersect1d, (matrix.sample_id for matrix in matrices.values()))
    labelled = rows.loc[rows["label"].notna(), "sample_id"].nunique()
    lost, unlabelled = labelled - films.size, rows["sample_id"].nunique() - labelled
    paired = {arm: matrix.take(np.searchsorted(matrix.sample_id, films)) for arm, matrix in matrices.items()}
    first = next(iter(paired.values()))
    if not all(np.array_equal(first.label, matrix.label) for matrix in paired.values()):
        raise DataError(
            what="A film carries another label in another arm",
            where=f"Predictions on the {name} side",
            remedy="Evaluate all arms with the same prepared manifest",
        )
    counted = (
        f"{lost} films left all arms of the {name} side: not every arm and seed scored them" if lost else "",
        f"{unlabelled} films of the {name} side have no label for this finding" if unlabelled else "",
    )
    seen = rows.drop_duplicates("sample_id").set_index("sample_id")["seen"].reindex(films)
    return Side(
        name=name,
        title=_title(rows, fallback=name),
        sample_id=films,
        seen=seen.to_numpy(dtype=str),
        arms={arm: _arm_scores(matrix) for arm, matrix in paired.items()},
        unit=_unit(rows[rows["sample_id"].isin(films)]),
        notes=(*notes, *filter(None, counted)),
    )


def _arm_scores(matrix: ScoreMatrix) -> ArmScores:
    return ArmScores(matrix, kernel_parts(matrix.label, matrix.scores, cluster=matrix.cluster))


def _unit(rows: pd.DataFrame) -> str:
    patient = rows.groupby("sample_id")["patient_id"].first()
    unknown = int(patient.isna().sum())
    if unknown == 0:
        return BY_PATIENT
    if unknown == len(patient):
        return "by image (no patient ids)"
    return f"{BY_PATIENT} (by image for {unknown} of {len(patient)} without patient id)"


def _title(rows: pd.DataFrame, *, fallback: str) -> str:
    sites, devices, releases = (sorted(set(rows[name]) - {""}) for name in ("site", "device", "release"))
    if len(sites) == len(devices) == 1:
        return f"{sites[0]} ({devices[0]})"
    if 0 < len(sites) <= _NAMED_SITES:
        return ", ".join(sites)
    return ", ".join(releases) or fallback
