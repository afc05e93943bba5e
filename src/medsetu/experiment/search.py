# SPDX-License-Identifier: Apache-2.0
"""``medsetu search``: values of a recipe's keys that validation prefers. Killed at any moment, it goes on; no test is ever opened."""

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medsetu import __version__
from medsetu.core.arm import VARIANT
from medsetu.core.errors import ConfigError, DivergedError
from medsetu.core.number import whole
from medsetu.core.run import content_key
from medsetu.experiment.cell import run_stages
from medsetu.experiment.design import Cell, assignment_of, cells_of
from medsetu.experiment.journal import journal
from medsetu.experiment.prepare import prepare_recipe
from medsetu.experiment.searched import Ground, keep_validation, show, validation_path, write_search
from medsetu.experiment.team import only_one
from medsetu.manifest.leakage import check_overlap
from medsetu.manifest.progress import progress
from medsetu.recipe.check import check_recipe
from medsetu.recipe.instantiate import build
from medsetu.recipe.plan import DATA_SPEED
from medsetu.recipe.recipe import Recipe, build_recipe
from medsetu.search.plan import SearchPlan
from medsetu.search.space import Knob, apply, read_space
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Proposal, Trials
from medsetu.training.hardware import Hardware, detect
from medsetu.training.plan import MONITORS
from medsetu.training.watch import GivenUpError

log = logging.getLogger(__name__)
LEARNED = ("train", "val")


def main(config: Mapping[str, Any]) -> None:
    """Search, or go on with a search that was stopped or is to have more trials.

    Args:
        config: Resolved configuration of ``configs/search.yaml``.

    Raises:
        ConfigError: The space is empty or touches what no search may touch; see ``read_space``.
        DivergedError: No trial came to an end.
        MedsetuError: Whatever the recipe, a release or a stage refuses.
    """
    recipe, plan = build_recipe(config), build(config["search"], where="search")
    arm = str(config["arm"])
    knobs = read_space(plan.space, recipe.raw, stages=recipe.stages_of(arm), idle=DATA_SPEED)
    hardware = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision, devices=recipe.trainer.devices)
    _require_one_process(plan, hardware)
    with journal(recipe.paths["runs"] / recipe.name / "search"):
        check_recipe(recipe)
        prepared = prepare_recipe(recipe)
        fold = None if config["fold"] is None else whole(config, "fold")
        cell = cells_of(recipe, prepared, arms=[arm], seeds=[whole(config, "seed")], fold=fold)[0]
        assignment = assignment_of(prepared, cell)
        check_overlap(prepared.manifest, assignment)
        seen = assignment[assignment.isin(LEARNED)]  # what is tested is not even in the tables that trials are given
        manifest = prepared.learned(seen)
        manifest = manifest[manifest["sample_id"].isin(seen.index)]
        folder = _folder(recipe, cell, plan, knobs, manifest=prepared.fingerprint, hardware=hardware)
        with only_one(folder / ".lock"):
            trials = Trials(folder, knobs, plan, mode=MONITORS[recipe.stages[recipe.stages_of(arm)[-1]].monitor])
            _run(recipe, cell, trials, ground=Ground(manifest, seen, hardware))
            found = write_search(recipe, cell, trials, prepared=prepared)
    show(found)


def _run(recipe: Recipe, cell: Cell, trials: Trials, *, ground: Ground) -> None:
    """Run the trials that are missing."""
    total = trials.plan.trials
    with progress(total, label="trials") as advance:
        done = len(trials.ended())
        advance(min(done, total))
        for number in range(done, total):
            proposal = trials.propose()
            told = ", ".join(f"{key}={value}" for key, value in proposal.values.items())
            log.info("[%d/%d] %s", number + 1, total, told)
            _try(recipe, cell, trials, proposal, ground=ground)
            last = trials.ended()[-1]
            log.info("[%d/%d] %s%s", number + 1, total, last.state, "" if math.isnan(last.value) else f": {last.value:.4g}")
            advance(1)


def _try(
    recipe: Recipe,
    cell: Cell,
    trials: Trials,
    proposal: Proposal,
    *,
    ground: Ground,
) -> None:
    """Train the stages of one trial and write down how it ended."""
    raw = apply(recipe.raw, proposal.values)
    own = build_recipe({**raw, "trainer": {**raw["trainer"], "progress": False}})  # one bar is enough
    check_recipe(own)
    last = own.stages[own.stages_of(cell.arm)[-1]]
    watched = trials.plan.pruner != "none" and last.finish is None  # members of a merged stage are no epochs of one
    try:
        if proposal.hopeless:  # a killed process had heard so, and could not write it down
            raise GivenUpError(max(proposal.curve))
        records = run_stages(
            own,
            cell,
            manifest=ground.manifest,
            assignment=ground.assignment,
            hardware=ground.hardware,
            watch=proposal.judge if watched else None,
        )
    except GivenUpError as given:
        trials.add(proposal, GIVEN_UP, math.nan, epochs=given.epoch + 1)
        return
    except DivergedError as error:
        trials.add(proposal, FAILED, math.nan, reason=error.what)
        return
    keep_validation(own, cell, records, ground=ground, path=validation_path(trials.folder, proposal.number))
    facts = records[-1].facts
    told = {name: facts[name] for name in ("best_epoch", "seconds", "parameters_trained")}
    stages = [record.key for record in records]
    trials.add(proposal, FINISHED, float(facts["best_value"]), epochs=facts["epochs_run"], stages=stages, **told)


def _require_one_process(plan: SearchPlan, hardware: Hardware) -> None:
    if hardware.devices > 1 and plan.pruner != "none":
        raise ConfigError(
            what="A trial that trains on several devices cannot be given up",
            where="trainer.devices and search.pruner",
            remedy="Set search.pruner=none or trainer.devices=1",
        )


def _folder(recipe: Recipe, cell: Cell, plan: SearchPlan, knobs: tuple[Knob, ...], *, manifest: str, hardware: Hardware) -> Path:
    """Name a search by everything that could change its trials; more trials are the same search."""
    raw = apply(recipe.raw, {knob.key: None for knob in knobs})
    identity = {
        "version": __version__,
        "cell": cell.identity,
        "manifest": manifest,
        "stages": {name: raw["stages"][name] for name in recipe.stages_of(cell.arm)},
        "data": {name: value for name, value in raw["data"].items() if name not in DATA_SPEED},
        "backbone": raw["backbone"],
        "trainer": [raw["trainer"][name] for name in ("deterministic", "limit_batches", "compile", "auto_batch", "extra")],
        "hardware": asdict(hardware),
        "knobs": [asdict(knob) for knob in knobs],
        "search": {name: value for name, value in asdict(plan).items() if name not in ("space", "trials", "resamples")},
    }
    return recipe.paths["runs"] / recipe.name / "search" / f"{cell.name.replace(VARIANT, '.')}-{content_key(identity, length=8)}"
