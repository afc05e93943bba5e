# SPDX-License-Identifier: Apache-2.0
"""Learning curves of a study: its arms trained again with fewer local patients, all tested on the same local films."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, TRANSFER
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder
from medsetu.core.sample import LOCAL
from medsetu.core.table import conform, read_table, write_table
from medsetu.evaluation.delong import CLAIM_SEEDS, auroc_estimate
from medsetu.evaluation.interval import join_notes
from medsetu.evaluation.score import score_matrix
from medsetu.experiment.design import Cell, cell_of, cells_of, thinned_assignment
from medsetu.experiment.record import write_record
from medsetu.manifest.ledger import ledger_path, record_opening
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.thin import count_learned
from medsetu.recipe.recipe import Recipe
from medsetu.recipe.sealed import read_seal, seal_path
from medsetu.shift.learning_curve import LearningCurve, measure_curve

log = logging.getLogger(__name__)
POINTS, PREDICTIONS, RECORD = "curve.csv", "curve.parquet", "curve.json"
Learned = list[tuple[Cell, tuple[int, int]]]  # cells of one point with the patients and films that each has learned from
CURVE_COLUMNS: dict[str, str] = {
    "arm": "str",  # local-only or transfer
    "label": "str",  # arm of the predictions behind the point
    "share": "float64",  # of the local training and validation patients; 0 for the arm as it comes, 1 for all, NaN for few-shot
    "shots": "float64",  # local patients per class, training and validation together; NaN where a share was drawn
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


def curve_cells(
    recipe: Recipe, prepared: Prepared, *, seeds: Sequence[int], shares: Sequence[float], shots: Sequence[int] = (), draws: int = 1
) -> list[Cell]:
    """List the cells with fewer local patients, for every arm that learns from local labels.

    Draw d of a few-shot point goes on from what seed ``d`` modulo the number of seeds has learned elsewhere.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        seeds: Seeds to run.
        shares: Shares of the local training and validation patients, in (0, 1).
        shots: Numbers of local patients per class, training and validation together, at least 2.
        draws: Draws of patients for each of these numbers, at least 1.

    Returns:
        The cells, those with the most patients first, shares before numbers.

    Raises:
        ConfigError: A share is outside (0, 1), a number is more than a class of some fold holds, there is no draw, or two points keep
            equally many patients.
    """
    if any(not 0 < share < 1 for share in shares):
        raise ConfigError(what="A share of a learning curve is outside (0, 1)", where="Key curve", remedy="For example curve=[0.25,0.5]")
    if draws < 1:
        raise ConfigError(what=f"{draws} draws train nothing", where="Key draws", remedy="Give 1 or more; 10 for a claim")
    arms = [arm for arm in recipe.arms if recipe.uses_local(arm)]
    whole = cells_of(recipe, prepared, arms=arms, seeds=seeds) if shares or shots else []
    cells = [Cell(cell.arm, cell.seed, cell.fold, share) for share in sorted(shares, reverse=True) for cell in whole]
    drawn = [(draw, seeds[draw % len(seeds)]) for draw in range(draws)]
    cells += [
        Cell(cell.arm, cell.seed, cell.fold, None, count, draw)
        for count in sorted(shots, reverse=True)
        for draw, seed in drawn
        for cell in whole
        if cell.seed == seed
    ]
    _refuse_equal(recipe, prepared, [*whole[:1], *cells], points=len(shares) + len(shots) + 1)
    return cells


def _refuse_equal(recipe: Recipe, prepared: Prepared, cells: Sequence[Cell], *, points: int) -> None:
    """Refuse points that are no points of a curve; every fold of the first draw is looked at, as a fold may lack patients."""
    counts: dict[str, int] = {}
    for cell in cells:
        if cells and cell.arm == cells[0].arm and cell.draw == 0:
            counts.setdefault(cell.label, _learned(recipe, prepared, cell)[0])
            thinned_assignment(recipe, prepared, cell)
    if cells and (len(counts) < points or len(set(counts.values())) < points):
        raise ConfigError(
            what="Two points of a learning curve keep equally many local patients",
            where="Key curve and key shots",
            remedy=f"Give points that differ by at least one patient per class of {max(counts.values())}",
        )


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
    predictions, points = curve_inputs(recipe, prepared, runs)
    seal = read_seal(seal_path(recipe.paths["runs"], recipe.name))
    ledger = ledger_path(recipe.paths["work"], prepared.fingerprint)
    record_opening(ledger, predictions, verb="study", recipe=recipe.name, seal="" if seal is None else seal.sha256)
    table = curve_points(predictions, points, recipe=recipe)
    write_table(predictions, folder / PREDICTIONS)
    write_table(table, folder / POINTS)
    facts = {"verb": "study", "recipe": recipe.name, "manifest": prepared.fingerprint, "split_seed": recipe.split_seed}
    write_record(folder, [POINTS, PREDICTIONS], runs=runs, facts=facts, name=RECORD)
    log.info("Learning curve: %d points of %d arms", len(table), table["arm"].nunique())
    return table


def curve_inputs(recipe: Recipe, prepared: Prepared, runs: Sequence[RunFolder]) -> tuple[pd.DataFrame, dict[str, Learned]]:
    """Read the local test predictions of runs, and count the patients and films that each has learned from.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        runs: Finished runs.

    Returns:
        What ``curve_points`` takes.
    """
    tables: list[pd.DataFrame] = []
    points: dict[str, Learned] = {}
    for run in runs:
        rows = read_table(run.predictions)
        tables.append(rows[(rows["domain"] == LOCAL) & (rows["split"] == "test") & (rows["finding"] == recipe.evaluation.primary)])
        cell = cell_of(json.loads(run.provenance.read_text()))
        used = _learned(recipe, prepared, cell) if recipe.uses_local(cell.arm) else (0, 0)
        points.setdefault(cell.label, []).append((cell, used))
    return pd.concat(tables, ignore_index=True), points


def curve_points(predictions: pd.DataFrame, points: Mapping[str, Learned], *, recipe: Recipe) -> pd.DataFrame:
    """Measure the points of the learning curves.

    Args:
        predictions: Local test predictions of the primary finding, all arms and shares.
        points: Label of the arm -> its cells, each with the patients and films that it has learned from.
        recipe: The recipe.

    Returns:
        One row per point (``CURVE_COLUMNS``).
    """
    lines = [_point(predictions[predictions["arm"] == label], found, recipe=recipe) for label, found in points.items()]
    table = conform(pd.DataFrame(lines)[list(CURVE_COLUMNS)], CURVE_COLUMNS, name="learning curve")
    return table.sort_values(["arm", "patients"], ignore_index=True)


def _point(rows: pd.DataFrame, found: Learned, *, recipe: Recipe) -> dict[str, Any]:
    """Measure one point; between draws of patients the spread holds their training too, so that they are counted as seeds are."""
    cell, matrix = found[0][0], score_matrix(rows)
    begun_elsewhere = any(recipe.raw["stages"][name]["side"] != LOCAL for name in recipe.stages_of(cell.arm))
    patients, films = np.mean([used for _, used in found], axis=0)
    estimate = auroc_estimate(matrix.label, matrix.scores, cluster=matrix.cluster, seed=matrix.seed, level=recipe.evaluation.level)
    whole = 0.0 if cell.arm == GLOBAL_ONLY else 1.0
    share = cell.local_share if cell.is_thinned else whole
    line = {"arm": TRANSFER if cell.arm == GLOBAL_ONLY else cell.arm, "label": cell.label, "patients": patients, "films": films}
    line |= {"share": math.nan if share is None else share, "shots": math.nan if cell.local_patients is None else cell.local_patients}
    if cell.local_patients is not None and estimate.note:
        draws = {one.training_seed for one, _ in found}
        claim = claim_of_draws(len(draws), seeds=len({one.seed for one, _ in found} if begun_elsewhere else draws))
        estimate = replace(estimate, note=join_notes(*(claim if part.startswith("claim") else part for part in estimate.note.split("; "))))
    return line | vars(estimate)


def claim_of_draws(draws: int, *, seeds: int) -> str:
    """Say what a number over K draws of patients may claim (the third level of the estimands).

    Args:
        draws: Draws, each trained with a seed of its own.
        seeds: Training seeds of what the draws went on from.

    Example:
        >>> claim_of_draws(10, seeds=10)
        'claim: this recipe with n local patients, 10 training redraws'
        >>> claim_of_draws(3, seeds=1)
        'claim: this recipe with n local patients, 3 training redraws from 1 seed of the stages before: descriptive'
    """
    if draws <= 1:
        return "claim: this model"
    shared = "" if seeds == draws else f" from {seeds} seed{'s' if seeds > 1 else ''} of the stages before"
    return f"claim: this recipe with n local patients, {draws} training redraws{shared}" + ("" if draws >= CLAIM_SEEDS else ": descriptive")


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
