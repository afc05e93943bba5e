# SPDX-License-Identifier: Apache-2.0
"""Derive every table of an outcome, and its report, again from predictions alone, and compare number by number. No torch here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medsetu.core.errors import DataError, MedsetuError
from medsetu.core.run import RunFolder, read_yaml, sha256_file
from medsetu.core.signed import read_signed
from medsetu.core.table import read_table
from medsetu.experiment import curve
from medsetu.experiment.derive import LADDER, Derived, derive
from medsetu.experiment.design import CURVE
from medsetu.experiment.document import CHECKLISTS, PAGE, Comparison, gather_report
from medsetu.experiment.number import page_check, table_check
from medsetu.experiment.record import OUTCOME, PREDICTIONS, RECIPE
from medsetu.experiment.seal import Standing
from medsetu.experiment.verdict import DIFFERS, NUMBERS, PARTS, UNCHECKED, Check
from medsetu.experiment.verify import check_files, manifest_place, read_anyway
from medsetu.manifest.frozen import load
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import cards_of
from medsetu.recipe.recipe import Recipe, read_recipe
from medsetu.report.checklist import fill
from medsetu.report.render import to_html
from medsetu.shift.shortcut import shortcut_ladders


@dataclass(frozen=True)
class Outcome:
    """A folder of tables with what it rests on.

    Attributes:
        folder: Where the tables lie.
        record: What was written down of it.
        recipe: Its recipe, as far as evaluation needs it.
        runs: The runs behind it that are here, in order.
        prepared: Manifest and splits; None where they are not here, or are not those of the outcome.
        place: Folder of the manifest.
        left_out: Files that a capsule leaves out, ``<folder>/<file>`` -> reason.
    """

    folder: Path
    record: Mapping[str, Any]
    recipe: Recipe
    runs: Sequence[RunFolder]
    prepared: Prepared | None
    place: Path | None
    left_out: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether every run behind it is here."""
        return len(self.runs) == len(self.record["runs"])


def check_outcome(folder: Path, *, left_out: Mapping[str, str] | None = None) -> list[Check]:
    """Check the parts of an outcome and derive its tables again.

    Args:
        folder: A folder with ``outcome.json``.
        left_out: Files that a capsule leaves out, ``<folder>/<file>`` -> reason.

    Returns:
        The checks; a damaged record ends them early.
    """
    try:
        record, _ = read_signed(folder / OUTCOME, name="record of the outcome", remedy="Run the verb that writes it again")
    except DataError as error:
        return [Check(PARTS, OUTCOME, DIFFERS, note=f"{error.what}: {folder.name}")]
    found = check_files(folder, record, left_out=left_out or {})
    try:
        outcome = _open(folder, record, left_out=left_out or {})
        return [*found, *_tables(outcome), *_curve(outcome)]
    except (MedsetuError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = error.what if isinstance(error, MedsetuError) else type(error).__name__
        return [*found, Check(NUMBERS, folder.name, DIFFERS, note=f"the tables cannot be derived: {reason}")]


def _open(folder: Path, record: Mapping[str, Any], *, left_out: Mapping[str, str]) -> Outcome:
    raw = read_yaml(folder / RECIPE)
    runs = [run for name in record["runs"] if (run := _run(folder, name)) is not None]
    foreign = any(run.path.parent == folder for run in runs)  # scored on a further release: its manifest is that of no folder
    place = None if foreign else manifest_place(folder, raw)
    prepared = None if place is None else load(place)
    if prepared is not None and prepared.fingerprint != record["manifest"]:
        prepared = None
    return Outcome(folder, record, read_recipe(raw), runs, prepared, place, left_out)


def _run(folder: Path, name: str) -> RunFolder | None:
    places = (folder.parent / name, folder.parent / CURVE / name, folder / name)
    return next((RunFolder(place) for place in places if (place / PREDICTIONS).is_file()), None)


def _tables(outcome: Outcome) -> Iterator[Check]:
    stored = read_anyway(outcome.folder / PREDICTIONS)
    predictions = stored
    if outcome.whole:
        tables = [read_anyway(run.predictions) for run in outcome.runs]
        if any(table is None for table in tables):
            yield Check(NUMBERS, PREDICTIONS, DIFFERS, note="predictions of a run cannot be read")
            return
        predictions = pd.concat([table for table in tables if table is not None], ignore_index=True)
        yield table_check(f"{outcome.folder.name}/{PREDICTIONS}", stored=stored, derived=predictions)
        for run in outcome.runs:
            if sha256_file(run.predictions) != outcome.record["runs"][run.path.name]:
                yield Check(NUMBERS, f"{run.path.name}/{PREDICTIONS}", DIFFERS, note="not the predictions that the outcome rests on")
    elif predictions is None:
        yield Check(NUMBERS, PREDICTIONS, DIFFERS, note="the predictions are missing or cannot be read")
        return
    else:
        yield Check(NUMBERS, "runs", UNCHECKED, note="not every run is here; tables are derived from the predictions of the outcome")
    ladders, climbed = _ladders(outcome, predictions)
    spent = outcome.record["labels_used"]
    derived = derive(predictions, plan=outcome.recipe.evaluation, labels_used=spent, ladders=ladders, published=outcome.recipe.published)
    for name, table in derived.tables.items():
        item = f"{outcome.folder.name}/{name}"
        if name == LADDER and climbed:
            yield Check(NUMBERS, item, UNCHECKED, note=climbed)
        else:
            yield table_check(item, stored=read_anyway(outcome.folder / name), derived=table)
    yield from _report(outcome, predictions, derived)


def _ladders(outcome: Outcome, predictions: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Climb the ladder again where its films, or what was kept of them, are here; else take the stored one and say why."""
    stored = read_table(outcome.folder / LADDER)
    if outcome.prepared is None or outcome.place is None:
        return stored, "the manifest of the outcome is not here: the stored ladder is used"
    plan = outcome.recipe.evaluation
    try:
        found = shortcut_ladders(
            predictions,
            manifest=outcome.prepared.manifest,
            splits=outcome.prepared.splits,
            finding=plan.primary,
            plan=plan,
            cache=outcome.place.parents[1] / "ladder",
        )
    except DataError as error:
        return stored, f"the ladder reads films, and they are not here ({error.what}): the stored ladder is used"
    return found, ""


def _report(outcome: Outcome, predictions: pd.DataFrame, derived: Derived) -> Iterator[Check]:
    item = f"{outcome.folder.name}/{PAGE}"
    page = outcome.folder / PAGE
    if f"{outcome.folder.name}/{PAGE}" in outcome.left_out or not page.is_file():
        return
    if outcome.prepared is None or not outcome.whole:
        yield Check(NUMBERS, item, UNCHECKED, note="the report also tells of manifest and runs, and not all of them are here")
        return
    recipe, record = outcome.recipe, outcome.record
    standing = dict(record["standing"])
    standing["deviations"] = [tuple(one) for one in standing["deviations"]]
    comparison = Comparison(
        outcome.folder,
        derived.results,
        derived.matrices,
        derived.ladders,
        derived.sentences,
        Standing(**standing),
        record["labels_used"],
        derived.published,
    )
    told: dict[str, Any] = {"prepared": outcome.prepared, "runs": outcome.runs, "cards": cards_of(recipe), "predictions": predictions}
    films = True
    try:
        report = gather_report(comparison, recipe=recipe, **told, made_on=record["made_on"])
    except DataError:
        films = False
        report = gather_report(comparison, recipe=recipe, **told, made_on=record["made_on"], films=False)
    listed = f"{outcome.folder.name}/{CHECKLISTS}"
    if films:
        yield table_check(listed, stored=read_anyway(outcome.folder / CHECKLISTS), derived=fill(report))
    else:
        yield Check(NUMBERS, listed, UNCHECKED, note="the checklists ask whether films are shown, and the films are not here")
    yield page_check(item, stored=page.read_text(encoding="utf-8"), derived=to_html(report), films=films)


def _curve(outcome: Outcome) -> Iterator[Check]:
    folder = outcome.folder
    if not (folder / curve.RECORD).is_file():
        return
    record, _ = read_signed(folder / curve.RECORD, name="record of the learning curve", remedy="Run the study again")
    yield from check_files(folder, record, left_out=outcome.left_out)
    runs = [run for name in record["runs"] if (run := _run(folder, name)) is not None]
    item = f"{folder.name}/{curve.POINTS}"
    if outcome.prepared is None or len(runs) < len(record["runs"]):
        yield Check(NUMBERS, item, UNCHECKED, note="not every run of the learning curve, or not their manifest, is here")
        return
    predictions, learned = curve.curve_inputs(outcome.recipe, outcome.prepared, runs)
    points = curve.curve_points(predictions, learned, recipe=outcome.recipe)
    yield table_check(f"{folder.name}/{curve.PREDICTIONS}", stored=read_anyway(folder / curve.PREDICTIONS), derived=predictions)
    yield table_check(item, stored=read_anyway(folder / curve.POINTS), derived=points)


def outcomes_of(place: Path, *, run: str = "", record: str = OUTCOME) -> list[Path]:
    """Find the outcomes, or the tournaments, below the folder of a recipe.

    Args:
        place: Folder of the runs of one recipe.
        run: Only those that rest on this run; all when empty.
        record: Name of the record.

    Returns:
        Their folders.
    """
    found = []
    for marker in sorted(place.glob(f"*/{record}")):
        text = marker.read_text(encoding="utf-8", errors="replace")
        if not run or f'"{run}"' in text:
            found.append(marker.parent)
    return found
