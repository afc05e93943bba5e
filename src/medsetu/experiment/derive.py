# SPDX-License-Identifier: Apache-2.0
"""From predictions to the tables of an outcome, and nothing else: no film, no network and no folder is needed. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from medsetu.core.table import RESULT_COLUMNS, conform
from medsetu.evaluation.evaluate import evaluate_predictions
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.published import Published, published_beside
from medsetu.shift.matrix import TransferMatrix, transfer_matrices
from medsetu.shift.shortcut import inflated_sides
from medsetu.shift.summary import summarise

LADDER, PUBLISHED = "ladder.csv", "published.csv"


@dataclass(frozen=True)
class Derived:
    """What follows from predictions.

    Attributes:
        results: Long table of metrics.
        matrices: Transfer matrix on all films and, where some may have been seen in pretraining, without those; empty for one arm.
        ladders: Shortcut ladder of every tested side, which is not derived from predictions alone and was given.
        sentences: Plain words.
        published: Published numbers beside ours; empty where the recipe names none.
    """

    results: pd.DataFrame
    matrices: Sequence[TransferMatrix]
    ladders: pd.DataFrame
    sentences: Sequence[str]
    published: pd.DataFrame

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their file."""
        found = {"results.parquet": self.results, "results.csv": self.results}
        found[LADDER] = self.ladders.reset_index(drop="rung" in self.ladders.columns)
        found |= {PUBLISHED: self.published} if len(self.published) else {}
        for number, matrix in enumerate(self.matrices):
            ending = "" if number == 0 else "_unseen"
            found |= {f"matrix{ending}.csv": matrix.cells, f"contrasts{ending}.csv": matrix.contrasts}
        return found


def derive(
    predictions: pd.DataFrame,
    *,
    plan: EvaluationPlan,
    labels_used: Mapping[str, int],
    ladders: pd.DataFrame,
    published: Sequence[Published] = (),
) -> Derived:
    """Derive the tables of an outcome.

    Args:
        predictions: Long, with ``PREDICTION_COLUMNS``: all runs of the outcome.
        plan: What was fixed before the test.
        labels_used: Arm -> local labels that one of its networks has spent.
        ladders: Table of ``shortcut_ladders``.
        published: Numbers of papers that answer the same question.

    Returns:
        Results, matrices and sentences.

    Raises:
        DataError: The predictions are no probabilities, or the arms cannot be paired.
    """
    results = conform(evaluate_predictions(predictions, plan), RESULT_COLUMNS, name="results")
    matrices: list[TransferMatrix] = []
    if predictions["arm"].nunique() > 1:
        inflated = inflated_sides(ladders)
        matrices = transfer_matrices(predictions, finding=plan.primary, plan=plan, labels_used=labels_used, inflated=inflated)
    sentences = summarise(matrices[0], ladders=ladders) if matrices else []
    beside = published_beside(published, results, matrices[0].cells if matrices else pd.DataFrame())
    return Derived(results, matrices, ladders, sentences, beside)
