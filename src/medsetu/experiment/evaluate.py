# SPDX-License-Identifier: Apache-2.0
"""``medsetu evaluate``: finished runs again, or finished runs on a new release or folder."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from medsetu.core.arm import GLOBAL_ONLY, TRANSFER, base_arm
from medsetu.core.errors import ConfigError, DataError, LeakageError
from medsetu.core.number import whole
from medsetu.core.run import RunFolder, content_key, read_yaml, write_json
from medsetu.core.sample import EXTERNAL
from medsetu.core.table import read_table, write_table
from medsetu.experiment.attention import attend, attention_view
from medsetu.experiment.cell import score_rows
from medsetu.experiment.design import Cell, cell_of
from medsetu.experiment.drawing import read_regions
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.journal import journal
from medsetu.experiment.outcome import show, write_outcome
from medsetu.experiment.prepare import manifest_folder, prepare_recipe
from medsetu.experiment.stage import StageRecord, trained_network
from medsetu.manifest.frozen import load
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import check_recipe
from medsetu.recipe.recipe import Recipe, build_recipe
from medsetu.training.hardware import detect

log = logging.getLogger(__name__)


def main(config: Mapping[str, Any]) -> None:
    """Evaluate finished runs; with ``attention`` also whether they look where readers drew.

    Without ``sides.external`` the frozen predictions are evaluated again (another plan, more replicates). With it, the networks of the runs
    score the new release, whose samples are all test.

    Args:
        config: Resolved configuration of ``configs/evaluate.yaml``.

    Raises:
        ConfigError: No finished run is found, or runs of different recipes or settings are mixed.
        MedsetuError: Whatever the new release refuses.
    """
    films = whole(config, "attention")
    runs = finished_runs([Path(str(config["run"])).expanduser()])
    known = read_yaml(runs[0].recipe)
    recipe = _recipe_of(runs, config)
    external = (config.get("sides") or {}).get(EXTERNAL) or {}
    base = Path(str(config["run"])).expanduser()
    output = Path(str(config["output"])).expanduser() if config.get("output") else base / "evaluation"
    with journal(output):
        cards = check_recipe(recipe)
        if external:
            prepared = _with_external(
                recipe, load(manifest_folder(build_recipe({**recipe.raw, "name": str(known["name"]), "sides": known["sides"]})))
            )
            scored = [_score_external(recipe, prepared, run, output=output) for run in runs]
        else:
            prepared, scored = load(manifest_folder(recipe)), runs
        show(write_outcome(recipe, prepared, scored, cards=cards, folder=output))
        if films:
            regions = read_regions(manifest_folder(recipe))
            pairs = list(zip(runs, scored, strict=True))
            table = attend(recipe, prepared, pairs, regions=regions, films=films, folder=output)
            Console().print(attention_view(table))


def _recipe_of(runs: Sequence[RunFolder], config: Mapping[str, Any]) -> Recipe:
    """The recipe that the runs were trained with, plus what this command changes."""
    raws = [read_yaml(run.recipe) for run in runs]
    names = {str(raw["name"]) for raw in raws}
    if len(names) > 1:
        raise ConfigError(what=f"Runs of {len(names)} recipes are mixed", where="Key run", remedy="Give the folder of one recipe")
    _refuse_rivals(runs, raws)
    _refuse_strangers(runs)
    raw = dict(raws[0])
    external = (config.get("sides") or {}).get(EXTERNAL) or {}
    raw["sides"] = {**raw["sides"], **({EXTERNAL: external} if external else {})}
    if external:
        raw["name"] = f"{raw['name']}-{content_key(external, length=6)}"
    raw["evaluation"] = {**raw["evaluation"], **(config.get("evaluation") or {})}
    return build_recipe(raw)


def _with_external(recipe: Recipe, trained: Prepared) -> Prepared:
    """Add the new release to the manifest that the networks were trained on, whose samples and splits stay as they were.

    Raises:
        LeakageError: The new release holds a film, or a patient, that the networks have met.
    """
    prepared = prepare_recipe(recipe)
    met = trained.manifest.loc[~trained.manifest["sample_id"].isin(prepared.manifest["sample_id"]), "sample_id"]
    if len(met):
        raise LeakageError(
            rule="The new release holds films or patients that the networks have met",
            splits=(EXTERNAL, "training"),
            count=len(met),
            sample_ids=list(met),
        )
    added = prepared.manifest[prepared.manifest["domain"] == EXTERNAL]
    new = prepared.splits[prepared.splits["domain"] == EXTERNAL]
    return replace(
        prepared,
        manifest=pd.concat([trained.manifest, added], ignore_index=True),
        splits=pd.concat([trained.splits, new], ignore_index=True),
    )


def _refuse_strangers(runs: Sequence[RunFolder]) -> None:
    """Refuse runs that were trained on different data, and a transfer run that did not start from the global-only run of its seed."""
    facts = [json.loads(run.provenance.read_text()) for run in runs]
    if len({fact["manifest"] for fact in facts}) > 1:
        raise ConfigError(what="The runs were trained on different manifests", where="Key run", remedy="Give runs of one frozen manifest")
    begun = {fact["seed"]: [stage["key"] for stage in fact["stages"]] for fact in facts if fact["arm"] == GLOBAL_ONLY}
    for run, fact in zip(runs, facts, strict=True):
        keys = [stage["key"] for stage in fact["stages"]]
        first = begun.get(fact["seed"], [])
        if base_arm(fact["arm"]) == TRANSFER and keys[: len(first)] != first:
            raise ConfigError(
                what="A transfer run did not start from the global-only run of its seed",
                where=run.path.name,
                remedy="Train both with the same settings",
            )


def _refuse_rivals(runs: Sequence[RunFolder], raws: Sequence[Mapping[str, Any]]) -> None:
    """Refuse two runs of one arm, seed and fold: they were trained with different settings and answer different questions."""
    known: dict[Cell, Path] = {}
    for run, raw in zip(runs, raws, strict=True):
        rival = known.setdefault(cell_of(raw), run.path)
        if rival != run.path:
            raise ConfigError(
                what="Two runs of one arm, seed and fold were trained with different settings",
                where=f"{rival.name} and {run.path.name}",
                remedy="Give one run folder, or move the runs that you do not mean to another folder",
            )


def _score_external(recipe: Recipe, prepared: Prepared, run: RunFolder, *, output: Path) -> RunFolder:
    """Score the external samples with the last network of a run; its own predictions come along, for the comparison."""
    facts = json.loads(run.provenance.read_text())
    stage = facts["stages"][-1]
    findings = tuple(stage["findings"])
    rows = prepared.manifest[prepared.manifest["domain"] == EXTERNAL].assign(split="test")
    rows = rows.reindex(columns=[*rows.columns, *(name for name in findings if name not in rows.columns)])
    if rows.empty:
        raise DataError(
            what="The new release has no readable sample", where="sides.external", remedy="See the quarantine list of `medsetu prepare`"
        )
    record = StageRecord(stage["name"], stage["key"], run.checkpoints, findings, stage, file=f"{stage['name']}.safetensors")
    network = trained_network(recipe, record, seed=int(facts["seed"]))
    cell = Cell(facts["arm"], int(facts["seed"]), int(facts["fold"]))
    hardware = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision)
    scored, _ = score_rows(network, rows, recipe=recipe, cell=cell, run=run.path.name, device=hardware.device)
    target = RunFolder(output / run.path.name)
    write_table(pd.concat([read_table(run.predictions), scored], ignore_index=True), target.predictions)
    write_json(target.provenance, facts)
    return target
