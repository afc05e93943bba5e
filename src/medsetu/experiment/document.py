# SPDX-License-Identifier: Apache-2.0
"""Gather what a report tells from the folders of a study, and render it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from medsetu.backbone.header import read_header
from medsetu.catalog.card import Card
from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, TRANSFER, arm_order
from medsetu.core.run import RunFolder
from medsetu.core.table import write_table
from medsetu.experiment.seal import Standing
from medsetu.manifest.flow import participant_flow, split_table
from medsetu.manifest.prepared import Prepared
from medsetu.reader.sample import read_shown
from medsetu.recipe.recipe import Recipe
from medsetu.report.checklist import fill
from medsetu.report.content import Example, Report
from medsetu.report.film import choose_films
from medsetu.report.render import render
from medsetu.shift.matrix import TransferMatrix

PAGE, CHECKLISTS = "report.html", "checklists.csv"
SHOWN_SIDE = 256  # pixels of a film's long side in the report
_SHOWN_ARMS = (TRANSFER, LOCAL_ONLY, GLOBAL_ONLY)


@dataclass(frozen=True)
class Comparison:
    """What a study has shown.

    Attributes:
        folder: Where the tables and the report lie.
        results: Long table of metrics.
        matrices: Transfer matrix on all films and, where some may have been seen in pretraining, without those; empty for one arm.
        ladders: Shortcut ladder of every tested side.
        sentences: Plain words.
        standing: How often the test has been opened, and how this study stands to its sealed plan.
        labels_used: Arm -> local labels that one of its networks has spent.
        published: Numbers of papers beside ours (``PUBLISHED_COLUMNS``); empty when the recipe names none.
    """

    folder: Path
    results: pd.DataFrame
    matrices: Sequence[TransferMatrix]
    ladders: pd.DataFrame
    sentences: Sequence[str]
    standing: Standing
    labels_used: Mapping[str, int]
    published: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.folder / PAGE


def write_report(report: Report, folder: Path) -> Path:
    """Render ``report.html`` of a study or a single run, and write its reporting checklists, ``checklists.csv``.

    Args:
        report: What to tell.
        folder: Where it goes.

    Returns:
        Path of the report.
    """
    write_table(fill(report), folder / CHECKLISTS)
    return render(report, folder / PAGE)


def gather_report(
    found: Comparison,
    *,
    recipe: Recipe,
    prepared: Prepared,
    runs: Sequence[RunFolder],
    cards: Sequence[Card],
    predictions: pd.DataFrame,
    made_on: str,
    films: bool = True,
) -> Report:
    """Gather what the report of a study or a single run tells.

    Args:
        found: Results, matrices, ladders and sentences.
        recipe: The recipe.
        prepared: Manifest and splits.
        runs: Finished runs.
        cards: Cards of the releases.
        predictions: Predictions of all runs.
        made_on: Day, ISO 8601.
        films: Show example films; they must be where the manifest says.

    Returns:
        The report.

    Raises:
        DataError: A film cannot be read.
        WeightError: Weights are not the ones that were written.
    """
    facts = [json.loads(run.provenance.read_text()) for run in runs]
    plan = recipe.evaluation
    examples, protocol = _examples(predictions, prepared, finding=plan.primary, seed=plan.seed) if films else ([], "")
    return Report(
        title=recipe.name,
        question=recipe.question,
        recipe_yaml=yaml.safe_dump(dict(recipe.raw), sort_keys=False),
        made_on=made_on,
        cards=list(cards),
        weights=list(_weights(runs)),
        matrices=list(found.matrices),
        results=found.results,
        predictions=predictions,
        ladders=[found.ladders],
        sentences=list(found.sentences),
        histories=dict(_histories(recipe, runs, facts)),
        examples=examples,
        protocol=protocol,
        flow=participant_flow(prepared),
        split_table=split_table(prepared),
        quarantine=prepared.quarantine,
        duplicates=prepared.duplicates,
        notes=list(prepared.notes),
        openings=found.standing.openings,
        seal=list(found.standing.sentences),
        deviations=list(found.standing.deviations),
        labels_used=dict(found.labels_used),
        published=found.published,
        compute=_compute(facts),
        finding=recipe.evaluation.primary,
        level=recipe.evaluation.level,
        margin=recipe.evaluation.margin,
    )


def _weights(runs: Sequence[RunFolder]) -> Iterator[Mapping[str, Any]]:
    """One line per stage and hash, in the order of the runs."""
    seen: set[str] = set()
    for run in runs:
        for path in sorted(run.checkpoints.glob("*.safetensors")):
            sha256, note, _ = read_header(path)
            if sha256 in seen:
                continue
            seen.add(sha256)
            origin = note["weights"]
            yield {
                "stage": f"{path.stem} ({run.path.name.rpartition('-')[0]})",
                "origin": origin["origin"],
                "licence": origin["licence"],
                "sha256": sha256,
                "trained_on": ", ".join(origin["trained_on"]),
                "permits": origin.get("permits") or {},
                "clauses": origin.get("clauses") or (),
            }


def _histories(recipe: Recipe, runs: Sequence[RunFolder], facts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Metrics of each epoch, from the CSV logger; a stage shared by several runs is shown once."""
    seen: set[str] = set()
    for run, fact in zip(runs, facts, strict=True):
        for stage in fact["stages"]:
            path = recipe.paths["runs"] / "stages" / f"{stage['name']}-{stage['key']}" / "metrics.csv"
            if stage["key"] in seen or not path.is_file():
                continue
            seen.add(stage["key"])
            log = pd.read_csv(path)
            columns = [name for name in log.columns if name.startswith(("train/", "val/"))]
            if "epoch" not in log.columns:  # solved in one step: there is no history
                continue
            yield f"{run.path.name.rpartition('-')[0]}/{stage['name']}", log.groupby("epoch", as_index=False)[columns].mean()


def _examples(predictions: pd.DataFrame, prepared: Prepared, *, finding: str, seed: int) -> tuple[list[Example], str]:
    """Show films of the arm that learned most, errors first, and say how they were chosen."""
    arm = next(name for name in (*_SHOWN_ARMS, *sorted(set(predictions["arm"]), key=arm_order)) if name in set(predictions["arm"]))
    choices, protocol = choose_films(predictions, finding=finding, arm=arm, seed=seed)
    films = prepared.manifest.set_index("sample_id")
    shown = []
    for choice in choices:
        path = Path(str(films.at[choice.sample_id, "root"])) / str(films.at[choice.sample_id, "path"])
        shown.append(choice.example(_small(read_shown(path, sample_id=choice.sample_id).pixels)))
    return shown, protocol


def _small(pixels: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Shrink a film by averaging whole blocks until its long side fits the page."""
    step = max(1, -(-max(pixels.shape) // SHOWN_SIDE))
    height, width = (length // step * step for length in pixels.shape)
    blocks = pixels[:height, :width].reshape(height // step, step, width // step, step)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _compute(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    stages = {stage["key"]: stage for fact in facts for stage in fact["stages"]}
    hardware = facts[0]["hardware"]
    return {
        "runs": len(facts),
        "stages trained": len(stages),
        "training time, minutes": round(sum(float(stage["seconds"]) for stage in stages.values()) / 60, 1),
        "hardware": f"{hardware['accelerator']}, {hardware['cores']} cores, {hardware['precision']}",
        "manifest": facts[0]["manifest"],
        "medsetu": facts[0]["medsetu"],
        "code": facts[0]["git"] or "installed wheel",
    }
