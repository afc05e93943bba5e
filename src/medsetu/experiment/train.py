# SPDX-License-Identifier: Apache-2.0
"""``medsetu train``: one arm of a recipe with one seed, evaluated on every side that is tested."""

from collections.abc import Mapping
from typing import Any

from medsetu.core.arm import VARIANT
from medsetu.core.number import whole
from medsetu.experiment.design import cells_of
from medsetu.experiment.journal import journal
from medsetu.experiment.outcome import show, write_outcome
from medsetu.experiment.prepare import prepare_recipe
from medsetu.experiment.rate import find_rate
from medsetu.experiment.rate import show as show_rate
from medsetu.experiment.seal import require_sound
from medsetu.experiment.study import run_cells
from medsetu.recipe.check import check_recipe
from medsetu.recipe.recipe import build_recipe


def main(config: Mapping[str, Any]) -> None:
    """Train one arm with one seed; on a cross-fitted side every fold, unless one is named. Or look for a learning rate of a stage.

    Args:
        config: Resolved configuration of ``configs/train.yaml``.

    Raises:
        MedsetuError: Whatever the recipe, a release or a stage refuses.
    """
    recipe = build_recipe(config)
    arm, seed = str(config["arm"]), whole(config, "seed")
    fold = None if config["fold"] is None else whole(config, "fold")
    recipe.stages_of(arm)
    folder = recipe.paths["runs"] / recipe.name / f"{arm.replace(VARIANT, '.')}-s{seed}"
    with journal(folder):
        cards = check_recipe(recipe)
        prepared = prepare_recipe(recipe)
        require_sound(recipe, prepared)
        cells = cells_of(recipe, prepared, arms=[arm], seeds=[seed], fold=fold)
        if config["find_rate"] is not None:
            show_rate(find_rate(recipe, prepared, cells[0], str(config["find_rate"]), folder=folder))
            return
        show(write_outcome(recipe, prepared, run_cells(recipe, prepared, cells), cards=cards, folder=folder, verb="train"))
