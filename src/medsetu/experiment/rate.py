# SPDX-License-Identifier: Apache-2.0
"""``medsetu train find_rate=STAGE``: the range test of its learning rate, after the stages before it; no test is opened."""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from medsetu.core.errors import ConfigError
from medsetu.core.run import atomic_write, write_json
from medsetu.core.sample import LOCAL
from medsetu.experiment.cell import run_stages
from medsetu.experiment.design import Cell, assignment_of
from medsetu.experiment.stage import put_together
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe
from medsetu.report.rate_figure import rate_panel
from medsetu.training.hardware import detect
from medsetu.training.rate_range import RateRange, find_learning_rate


@dataclass(frozen=True)
class FoundRate:
    """A range test and where it stands.

    Attributes:
        stage: Name of the stage.
        found: The curve.
        now: Rate of the recipe.
        folder: Where table, figure and record stand.
    """

    stage: str
    found: RateRange
    now: float
    folder: Path


def find_rate(recipe: Recipe, prepared: Prepared, cell: Cell, name: str, *, folder: Path) -> FoundRate:
    """Test a stage of an arm; the stages before it are trained, or found finished.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        cell: Arm, seed and fold.
        name: Name of the stage.
        folder: Where ``rate-NAME.csv``, ``.svg`` and ``.json`` go.

    Returns:
        What was found.

    Raises:
        ConfigError: The arm has no such stage, or nothing is trained there.
    """
    names = recipe.stages_of(cell.arm)
    if name not in names:
        raise ConfigError(what=f"Arm '{cell.arm}' has no stage '{name}'", where="Key find_rate", value=name, allowed=names)
    hardware = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision, devices=recipe.trainer.devices)
    assignment = assignment_of(prepared, cell)
    before = names[: names.index(name)]
    manifest = prepared.learned(assignment)
    records = run_stages(recipe, cell, manifest=manifest, assignment=assignment, hardware=hardware, names=before) if before else []
    seed = cell.training_seed if recipe.stages[name].side == LOCAL else cell.seed
    stage = put_together(
        recipe,
        name,
        manifest=manifest,
        assignment=assignment,
        seed=seed,
        previous=records[-1] if records else None,
        hardware=hardware,
    )
    found = find_learning_rate(stage.network, stage.data, plan=stage.plan, seed=seed, hardware=hardware, options=recipe.trainer)
    table = pd.DataFrame({"rate": found.rate, "loss": found.loss, "smoothed": found.smoothed})
    atomic_write(folder / f"rate-{name}.csv", table.to_csv(index=False).encode())
    picture = rate_panel(table, suggested=found.suggested, now=stage.plan.lr, name=f"rate-{name}")
    atomic_write(folder / f"rate-{name}.svg", str(picture).encode())
    told = {"stage": name, **cell.identity, "suggested": found.suggested, "recipe": stage.plan.lr, "note": found.note, "key": stage.key}
    write_json(folder / f"rate-{name}.json", told)
    return FoundRate(name, found, stage.plan.lr, folder)


def show(one: FoundRate) -> None:
    """Write a range test to the terminal."""
    console = Console()
    known = not math.isnan(one.found.suggested)
    said = f"{one.found.suggested:.2g} (the recipe has {one.now:g})" if known else f"none: {one.found.note}"
    lines = [
        f"Suggested learning rate of stage {one.stage}: {said}",
        "Read off training images of one seed; a search says what validation prefers.",
        f"Curve: {one.folder / f'rate-{one.stage}.svg'}",
    ]
    if known:
        lines.insert(1, f"To use it: stages.{one.stage}.lr={one.found.suggested:.2g}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
