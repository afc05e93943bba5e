# SPDX-License-Identifier: Apache-2.0
"""From finished runs to results: metrics of every arm, transfer matrix, shortcut ladder, report."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console

from medsetu.catalog.card import Card
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder, atomic_write
from medsetu.core.sample import LOCAL
from medsetu.core.table import read_table, write_table
from medsetu.experiment.derive import derive
from medsetu.experiment.design import THINNED
from medsetu.experiment.document import CHECKLISTS, PAGE, Comparison, gather_report, write_report
from medsetu.experiment.record import PREDICTIONS, RECIPE, write_record
from medsetu.experiment.seal import open_test
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe
from medsetu.report.table import contrast_table, ladder_table, matrix_table, published_table, results_table
from medsetu.shift.shortcut import shortcut_ladders

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
    ladders = shortcut_ladders(
        predictions,
        manifest=prepared.manifest,
        splits=prepared.splits,
        finding=recipe.evaluation.primary,
        plan=recipe.evaluation,
        cache=recipe.paths["work"] / "ladder",
    )
    spent = labels_used(runs)
    derived = derive(predictions, plan=recipe.evaluation, labels_used=spent, ladders=ladders, published=recipe.published)
    comparison = Comparison(folder, derived.results, derived.matrices, ladders, derived.sentences, standing, spent, derived.published)
    atomic_write(folder / RECIPE, yaml.safe_dump(dict(recipe.raw), sort_keys=False).encode())
    tables = {PREDICTIONS: predictions, **derived.tables}
    for name, table in tables.items():
        write_table(table, folder / name)
    today = datetime.now(tz=UTC).date().isoformat()
    told = gather_report(comparison, recipe=recipe, prepared=prepared, runs=runs, cards=cards, predictions=predictions, made_on=today)
    write_report(told, folder)
    facts = {"verb": verb, "made_on": today, "recipe": recipe.name, "manifest": prepared.fingerprint, "labels_used": spent}
    write_record(folder, [RECIPE, *tables, CHECKLISTS, PAGE], runs=runs, facts={**facts, "standing": asdict(standing)})
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
