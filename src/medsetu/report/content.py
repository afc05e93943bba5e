# SPDX-License-Identifier: Apache-2.0
"""What a report is made of: plain tables, numbers and words, so that it can be rendered without any model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.catalog.card import Card
from medsetu.core.errors import DataError
from medsetu.core.table import PREDICTION_COLUMNS, RESULT_COLUMNS
from medsetu.evaluation.published import PUBLISHED_COLUMNS
from medsetu.shift.matrix import TransferMatrix


@dataclass(frozen=True)
class Example:
    """A film with what the model said of it.

    Attributes:
        sample_id: Which film; used for ordering only, never printed, because a file name may hold a patient's number.
        pixels: (H, W) float32, intensities in [0, 1].
        finding: The finding, by name.
        label: 1 or 0.
        score: Probability in [0, 1].
        why: Why it is shown, such as ``false negative, transfer``.
    """

    sample_id: str
    pixels: NDArray[np.float32]
    finding: str
    label: float
    score: float
    why: str

    def __post_init__(self) -> None:
        """Refuse what is no picture."""
        if self.pixels.ndim != 2 or not self.pixels.size or not np.isfinite(self.pixels).all():
            raise DataError(
                what=f"An example of shape {self.pixels.shape} is not a finite picture of (H, W)",
                where="Examples of the report",
                remedy="Give pixels as the reader returns them: float32 in [0, 1]",
            )


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that one report tells.

    Attributes:
        title: Name of the study or run.
        question: What it asks, in one sentence.
        recipe_yaml: The resolved recipe.
        made_on: Day, as text; the only date in the file.
        cards: Cards of the releases used.
        weights: One mapping per stage: ``stage, origin, licence, sha256, trained_on``, and for those made here ``permits`` and ``clauses``.
        matrices: Transfer matrix on all films and, where needed, without those possibly seen in pretraining; empty for a single arm.
        results: Long table with ``RESULT_COLUMNS``.
        predictions: Long table with ``PREDICTION_COLUMNS``.
        ladders: Tables of ``shortcut_ladders``; empty when none was climbed.
        sentences: What was found, in plain words.
        histories: ``<run>/<stage>`` -> table of ``epoch`` and metrics such as ``val/local/loss``.
        examples: Films to show.
        protocol: How the films were chosen, in a sentence.
        flow: Table of ``participant_flow``.
        split_table: Table of ``split_table``.
        quarantine: ``sample_id, release, reason``; counted by reason, the names are not printed.
        duplicates: ``a, b, kind, distance`` (and ``action``); counted, the names are not printed.
        notes: Sentences that a reader must know.
        openings: How often the test was opened.
        seal: Sentences on the sealed plan; empty leaves the section out.
        deviations: Field, what was sealed, what was done.
        labels_used: Arm -> local labels spent on training, validation and calibration.
        published: Numbers of papers beside ours, ``PUBLISHED_COLUMNS``.
        compute: What it cost, name -> value.
        finding: The primary finding; that of the matrix, or the first one tested, when empty.
        level: Confidence level of all intervals and bands.
        margin: Equivalence margin of the recipe in AUROC; NaN draws none.
    """

    title: str
    question: str
    recipe_yaml: str
    made_on: str
    cards: Sequence[Card] = ()
    weights: Sequence[Mapping[str, Any]] = ()
    matrices: Sequence[TransferMatrix] = ()
    results: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RESULT_COLUMNS)))
    predictions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PREDICTION_COLUMNS)))
    ladders: Sequence[pd.DataFrame] = ()
    sentences: Sequence[str] = ()
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    examples: Sequence[Example | tuple[Any, ...]] = ()
    protocol: str = ""
    flow: pd.DataFrame = field(default_factory=pd.DataFrame)
    split_table: pd.DataFrame = field(default_factory=pd.DataFrame)
    quarantine: pd.DataFrame = field(default_factory=pd.DataFrame)
    duplicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: Sequence[str] = ()
    openings: int = 1
    seal: Sequence[str] = ()
    deviations: Sequence[tuple[str, str, str]] = ()
    labels_used: Mapping[str, int] = field(default_factory=dict)
    published: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PUBLISHED_COLUMNS)))
    compute: Mapping[str, Any] = field(default_factory=dict)
    finding: str = ""
    level: float = 0.95
    margin: float = math.nan

    @property
    def primary(self) -> str:
        """Finding of the curves and groups."""
        if self.finding:
            return self.finding
        if self.matrices:
            return self.matrices[0].finding
        tested = self.predictions.loc[self.predictions["split"] == "test", "finding"]
        return str(tested.iloc[0]) if len(tested) else ""

    @property
    def ladder(self) -> pd.DataFrame:
        """All rungs in one table; empty when none was climbed."""
        climbed = [table for table in self.ladders if len(table)]
        return pd.concat(climbed, ignore_index=True) if climbed else pd.DataFrame()

    @property
    def films(self) -> list[Example]:
        """The examples; plain tuples are accepted and checked."""
        return [one if isinstance(one, Example) else Example(*one) for one in self.examples]
