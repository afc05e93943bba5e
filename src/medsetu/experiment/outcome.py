# SPDX-License-Identifier: Apache-2.0
"""From finished runs to results: metrics of every arm, transfer matrix, shortcut ladder, report."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from medsetu.catalog.card import Card
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.sample import LOCAL
from medsetu.core.table import RESULT_COLUMNS, conform, read_table, write_table
from medsetu.evaluation.evaluate import evaluate_predictions
from medsetu.evaluation.published import published_beside
from medsetu.experiment.design import THINNED
from medsetu.experiment.document import Comparison, write_report
from medsetu.experiment.seal import open_test
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe
from medsetu.report.table import contrast_table, ladder_table, matrix_table, published_table, results_table
from medsetu.shift.matrix import TransferMatrix, transfer_matrices
from medsetu.shift.shortcut import inflated_sides, shortcut_ladders
from medsetu.shift.summary import summarise

log = logging.getLogger(__name__)


def write_outcome(
    recipe: Recipe, prepared: Prepared, runs: Sequence[RunFolder], *, cards: Sequence[Card], folder: Path, verb: str = "evaluate"
) -> Comparison:
    """Evaluate runs together and write ``predictions``, ``results``, the matrix, the ladder and ``report.html``.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        runs: Finished runs.
        cards: Cards of the releases.
        folder: Where the tables go.
        verb: The verb that looks at the test, for its ledger.

    Returns:
        The comparison.
    """
    predictions = pd.concat([read_table(run.predictions) for run in runs], ignore_index=True)
    refuse_thinned(predictions)
    standing = open_test(recipe, prepared, runs, predictions=predictions, verb=verb)
    log.info("Evaluating %d runs, %d predictions", len(runs), len(predictions))
    results = conform(evaluate_predictions(predictions, recipe.evaluation), RESULT_COLUMNS, name="results")
    primary = recipe.evaluation.primary
    ladders = shortcut_ladders(
        predictions,
        manifest=prepared.manifest,
        splits=prepared.splits,
        finding=primary,
        plan=recipe.evaluation,
        cache=recipe.paths["work"] / "ladder",
    )
    matrices: list[TransferMatrix] = []
    spent = labels_used(runs)
    if predictions["arm"].nunique() > 1:
        matrices = transfer_matrices(
            predictions, finding=primary, plan=recipe.evaluation, labels_used=spent, inflated=inflated_sides(ladders)
        )
    sentences = summarise(matrices[0], ladders=ladders) if matrices else []
    beside = published_beside(recipe.published, results, matrices[0].cells if matrices else pd.DataFrame())
    comparison = Comparison(folder, results, matrices, ladders, sentences, standing, spent, beside)
    _write(comparison, predictions)
    write_report(comparison, recipe=recipe, prepared=prepared, runs=runs, cards=cards, predictions=predictions)
    return comparison


def refuse_thinned(predictions: pd.DataFrame) -> None:
    """Refuse runs with fewer local patients: they are points of a learning curve, not arms of a comparison.

    Raises:
        ConfigError: There is one.
    """
    thinned = sorted({str(arm) for arm in predictions["arm"] if THINNED in str(arm)})
    if thinned:
        raise ConfigError(
            what=f"{len(thinned)} arms were trained with a share of the local patients ({thinned[0]})",
            where="Comparison of runs",
            remedy="Leave out the runs in the folder curve: the study writes their learning curve",
        )


def labels_used(runs: Sequence[RunFolder]) -> dict[str, int]:
    """Count the local labels that one network of each arm has spent on training and on choosing weights.

    Args:
        runs: Finished runs.

    Returns:
        Arm -> labels; the largest number where folds differ by one film.
    """
    used: dict[str, int] = {}
    for run in runs:
        facts = json.loads(run.provenance.read_text())
        used[facts["arm"]] = max(used.get(facts["arm"], 0), int(facts["labels_spent"].get(LOCAL, 0)))
    return used


def show(comparison: Comparison) -> None:
    """Print what a study has shown, and where its report lies."""
    console = Console()
    if comparison.matrices:
        for matrix in comparison.matrices:
            console.print(matrix_table(matrix))
        console.print(contrast_table(comparison.matrices[0]))
    else:
        console.print(results_table(comparison.results))
    console.print(ladder_table(comparison.ladders))
    if len(comparison.published):
        console.print(published_table(comparison.published))
    for sentence in comparison.sentences:
        console.print(f"- {sentence}", markup=False, highlight=False)
    console.print(f"\n{comparison.standing.sentences[-1]}", markup=False, highlight=False)
    console.print(f"\nReport: {comparison.report}", markup=False, highlight=False, soft_wrap=True)


def _write(comparison: Comparison, predictions: pd.DataFrame) -> None:
    folder = comparison.folder
    write_table(predictions, folder / "predictions.parquet")
    write_table(comparison.results, folder / "results.parquet")
    write_table(comparison.results, folder / "results.csv")
    write_table(comparison.ladders.reset_index(drop="rung" in comparison.ladders.columns), folder / "ladder.csv")
    if len(comparison.published):
        write_table(comparison.published, folder / "published.csv")
    for number, matrix in enumerate(comparison.matrices):
        ending = "" if number == 0 else "_unseen"
        write_table(matrix.cells, folder / f"matrix{ending}.csv")
        write_table(matrix.contrasts, folder / f"contrasts{ending}.csv")
