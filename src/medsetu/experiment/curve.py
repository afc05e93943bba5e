# SPDX-License-Identifier: Apache-2.0
"""Learning curves of a study: its arms trained again with fewer local patients, all tested on the same local films."""

import json
import logging
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, TRANSFER
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder
from medsetu.core.sample import LOCAL
from medsetu.core.table import conform, read_table, write_table
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.score import score_matrix
from medsetu.experiment.design import Cell, cells_of, thinned_arm, thinned_assignment
from medsetu.manifest.ledger import ledger_path, record_opening
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.thin import count_learned
from medsetu.recipe.recipe import Recipe
from medsetu.recipe.sealed import read_seal, seal_path
from medsetu.shift.learning_curve import LearningCurve, measure_curve

log = logging.getLogger(__name__)
POINTS, PREDICTIONS = "curve.csv", "curve.parquet"
CURVE_COLUMNS: dict[str, str] = {
    "arm": "str",  # local-only or transfer
    "label": "str",  # arm of the predictions behind the point
    "share": "float64",  # of the local training and validation patients; 0 for the arm as it comes, 1 for all
    "patients": "float64",  # local patients learned from or selected on, mean over seeds and folds
    "films": "float64",
    "value": "float64",  # AUROC on the local test
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",  # of the local test
    "n_samples": "int64",
    "n_positive": "int64",
    "method": "str",
    "note": "str",
}


def curve_cells(recipe: Recipe, prepared: Prepared, *, seeds: Sequence[int], shares: Sequence[float]) -> list[Cell]:
    """List the cells with fewer local patients, for every arm that learns from local labels.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        seeds: Seeds to run.
        shares: Shares of the local training and validation patients, in (0, 1).

    Returns:
        The cells, those with the most patients first.

    Raises:
        ConfigError: A share is outside (0, 1), or two of them keep equally many patients.
    """
    if any(not 0 < share < 1 for share in shares):
        raise ConfigError(what="A share of a learning curve is outside (0, 1)", where="Key curve", remedy="For example curve=[0.25,0.5]")
    arms = [arm for arm in recipe.arms if recipe.uses_local(arm)]
    whole = cells_of(recipe, prepared, arms=arms, seeds=seeds) if shares else []
    cells = [Cell(cell.arm, cell.seed, cell.fold, share) for share in sorted(shares, reverse=True) for cell in whole]
    first = [next(cell for cell in [*whole, *cells] if cell.local_share == share) for share in ([None, *shares] if whole else [])]
    counts = [_learned(recipe, prepared, cell)[0] for cell in first]
    if len(set(counts)) < len(counts):
        raise ConfigError(
            what="Two shares of a learning curve keep equally many local patients",
            where="Key curve",
            remedy=f"Give shares that differ by at least one patient per class of {counts[0]}",
        )
    return cells


def _learned(recipe: Recipe, prepared: Prepared, cell: Cell) -> tuple[int, int]:
    return count_learned(prepared.manifest, thinned_assignment(recipe, prepared, cell), domain=LOCAL)


def write_curve(recipe: Recipe, prepared: Prepared, runs: Sequence[RunFolder], *, folder: Path) -> pd.DataFrame:
    """Write the points of the learning curves and the predictions behind them.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        runs: Finished runs: those of the study and those with fewer local patients.
        folder: Where ``curve.csv`` and ``curve.parquet`` go.

    Returns:
        One row per point (``CURVE_COLUMNS``).
    """
    tables: list[pd.DataFrame] = []
    counts: dict[tuple[str, float | None], list[tuple[int, int]]] = {}
    for run in runs:
        rows = read_table(run.predictions)
        tables.append(rows[(rows["domain"] == LOCAL) & (rows["split"] == "test") & (rows["finding"] == recipe.evaluation.primary)])
        facts = json.loads(run.provenance.read_text())
        cell = Cell(str(facts["arm"]), int(facts["seed"]), int(facts["fold"]), facts.get("local_share"))
        used = _learned(recipe, prepared, cell) if recipe.uses_local(cell.arm) else (0, 0)
        counts.setdefault((cell.arm, cell.local_share), []).append(used)
    predictions = pd.concat(tables, ignore_index=True)
    seal = read_seal(seal_path(recipe.paths["runs"], recipe.name))
    ledger = ledger_path(recipe.paths["work"], prepared.fingerprint)
    record_opening(ledger, predictions, verb="study", recipe=recipe.name, seal="" if seal is None else seal.sha256)
    spent = {key: np.mean(found, axis=0) for key, found in counts.items()}
    points = []
    for (arm, share), (patients, films) in sorted(spent.items(), key=lambda item: (item[0][0], item[1][0])):
        label = thinned_arm(arm, share)
        matrix = score_matrix(predictions[predictions["arm"] == label])
        found = auroc_estimate(matrix.label, matrix.scores, cluster=matrix.cluster, seed=matrix.seed, level=recipe.evaluation.level)
        one = {"arm": TRANSFER if arm == GLOBAL_ONLY else arm, "label": label, "patients": patients, "films": films}
        points.append(one | {"share": 0.0 if arm == GLOBAL_ONLY else share or 1.0} | vars(found))
    table = conform(pd.DataFrame(points)[list(CURVE_COLUMNS)], CURVE_COLUMNS, name="learning curve")
    table = table.sort_values(["arm", "patients"], ignore_index=True)
    write_table(predictions, folder / PREDICTIONS)
    write_table(table, folder / POINTS)
    log.info("Learning curve: %d points of %d arms", len(table), table["arm"].nunique())
    return table


def read_curves(folder: Path, *, specificity: float | None = None, replicates: int = 1000, seed: int = 0) -> dict[str, LearningCurve]:
    """Measure the learning curves that a study has left, all arms and points on the same films and the same resamples.

    Args:
        folder: Folder of the study.
        specificity: None: AUROC. Else sensitivity at this specificity.
        replicates: Resamples of patients.
        seed: Seed of the resamples.

    Returns:
        Arm -> curve; empty when the study has trained none.

    Raises:
        DataError: The points share no film.
    """
    if not (folder / POINTS).is_file():
        return {}
    points, predictions = read_table(folder / POINTS), read_table(folder / PREDICTIONS)
    matrices = {label: score_matrix(rows) for label, rows in predictions.groupby("arm")}
    films = reduce(np.intersect1d, [matrices[label].sample_id for label in points["label"]])
    if films.size == 0:
        raise DataError(what="The points of a learning curve share no film", where=str(folder), remedy="Run the study again")
    paired = {label: matrix.take(np.searchsorted(matrix.sample_id, films)) for label, matrix in matrices.items()}
    return {
        str(arm): measure_curve(
            str(arm),
            rows["patients"].to_numpy(np.float64),
            matrices=[paired[label] for label in rows["label"]],
            specificity=specificity,
            replicates=replicates,
            seed=seed,
        )
        for arm, rows in points[points["arm"].isin([LOCAL_ONLY, TRANSFER])].groupby("arm")
    }
