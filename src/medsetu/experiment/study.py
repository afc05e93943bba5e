# SPDX-License-Identifier: Apache-2.0
"""``medsetu study``: every arm and seed of a recipe, the transfer matrix, a tournament of variants. Finished runs are skipped."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu.contest.plan import contest_plan
from medsetu.core.arm import GLOBAL_ONLY, TRANSFER, VARIANT, base_arm
from medsetu.core.errors import ConfigError
from medsetu.core.number import as_whole, whole
from medsetu.core.run import RunFolder
from medsetu.core.table import read_table
from medsetu.experiment.cell import run_cell
from medsetu.experiment.compare import remember, tournament
from medsetu.experiment.compare import show as show_tournament
from medsetu.experiment.curve import curve_cells, write_curve
from medsetu.experiment.design import Cell, cell_of, cells_of
from medsetu.experiment.entrant import costs_of
from medsetu.experiment.journal import journal
from medsetu.experiment.outcome import show, write_outcome
from medsetu.experiment.prepare import prepare_recipe
from medsetu.experiment.seal import require_sound
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import check_recipe
from medsetu.recipe.launch import launch, launches_elsewhere
from medsetu.recipe.recipe import Recipe, build_recipe

log = logging.getLogger(__name__)
_NO_JOB = {"local_share": None, "local_patients": None, "draw": 0}  # keys of configs/study.yaml that not every cell sets


def main(config: Mapping[str, Any]) -> None:
    """Run a study.

    Args:
        config: Resolved configuration of ``configs/study.yaml``.

    Raises:
        MedsetuError: Whatever a recipe, a release or a stage refuses; finished runs are kept.
    """
    recipe = build_recipe(config)
    seeds = _seeds(config["seeds"])
    folder = recipe.paths["runs"] / recipe.name / "study"
    with journal(folder):
        cards = check_recipe(recipe)
        prepared = prepare_recipe(recipe)
        require_sound(recipe, prepared)
        cells = cells_of(recipe, prepared, arms=list(recipe.arms), seeds=seeds)
        shares, shots = [float(share) for share in config["curve"]], [as_whole(count, "shots", least=1) for count in config["shots"]]
        thinned = curve_cells(recipe, prepared, seeds=seeds, shares=shares, shots=shots, draws=whole(config, "draws", least=1))
        every = [*cells, *thinned]
        found = _everywhere(every) if launches_elsewhere() else run_cells(recipe, prepared, every)
        runs, fewer = found[: len(cells)], found[len(cells) :]
        show(write_outcome(recipe, prepared, runs, cards=cards, folder=folder, verb="study"))
        if fewer:
            write_curve(recipe, prepared, found, folder=folder)
        if any(VARIANT in arm for arm in recipe.arms):
            _hold_tournament(recipe, runs, folder=recipe.paths["runs"] / recipe.name / "compare")


def _hold_tournament(recipe: Recipe, runs: Sequence[RunFolder], *, folder: Path) -> None:
    """Compare the ways of training that learn from local labels, on the local test; the plain arm, where there is one, is the reference."""
    arms = [str(json.loads(run.provenance.read_text())["arm"]) for run in runs]
    behind = [(arm, run) for arm, run in zip(arms, runs, strict=True) if recipe.uses_local(arm)]
    own = [run for _, run in behind]
    predictions = pd.concat([read_table(run.predictions) for run in own], ignore_index=True)
    plan = contest_plan(recipe.evaluation, reference=TRANSFER if TRANSFER in recipe.arms else None)
    held = tournament(predictions, costs_of(own), plan, folder, title=recipe.name)
    remember(folder, plan, behind=behind, title=recipe.name)
    show_tournament(held, folder)


def run_one(config: Mapping[str, Any]) -> str:
    """Run one cell of a study, in whatever process a launcher chose.

    Args:
        config: Resolved configuration with arm, seed and fold.

    Returns:
        Path of the run folder.
    """
    recipe = build_recipe(config)
    with journal():
        return str(run_cell(recipe, prepare_recipe(recipe), cell_of(config)).path)


def run_cells(recipe: Recipe, prepared: Prepared, cells: Sequence[Cell]) -> list[RunFolder]:
    """Run cells one after the other in this process; finished ones are skipped.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        cells: Arms, seeds and folds.

    Returns:
        Their run folders, in order.
    """
    runs = []
    for number, cell in enumerate(cells, start=1):
        log.info("[%d/%d] %s", number, len(cells), cell.name)
        runs.append(run_cell(recipe, prepared, cell))
    return runs


def _everywhere(cells: Sequence[Cell]) -> list[RunFolder]:
    """Launch first what others start from, so that no two jobs wait for the same stage."""
    paths: list[str] = []
    for waiting in (False, True):
        wave = [cell for cell in cells if (base_arm(cell.arm) != GLOBAL_ONLY) is waiting]
        jobs = [{**_NO_JOB, **cell.identity, "fold": None if cell.fold < 0 else cell.fold} for cell in wave]
        paths += launch(jobs, run_one) if jobs else []
    return [RunFolder(Path(path)) for path in paths]


def _seeds(value: Any) -> list[int]:  # noqa: ANN401 - a YAML value
    seeds = [as_whole(seed, "seeds") for seed in value]
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(what="Seeds must be a list of different numbers", where="Key seeds", remedy="For example seeds=[0,1,2]")
    return seeds
