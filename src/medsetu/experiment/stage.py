# SPDX-License-Identifier: Apache-2.0
"""The store of stages: each is trained once, under a key of everything that could change it, and reused by every arm that needs it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from medsetu import __version__
from medsetu.backbone.fingerprint import fingerprint, require_fingerprint
from medsetu.backbone.network import Network
from medsetu.backbone.weights import load_weights
from medsetu.core.errors import ConfigError
from medsetu.core.run import content_key, sha256_file, write_json
from medsetu.data.datamodule import StageDataModule
from medsetu.data.plan import DataPlan, TrainOn
from medsetu.experiment.team import Job, only_one, train_together
from medsetu.experiment.weight_card import with_terms, write_card
from medsetu.recipe.instantiate import build
from medsetu.recipe.plan import DATA_SPEED
from medsetu.recipe.recipe import Recipe
from medsetu.training.finish import complete_stage
from medsetu.training.fit import BEST, StageResult
from medsetu.training.hardware import Hardware, process_rank
from medsetu.training.plan import StagePlan
from medsetu.training.watch import Judge, Watch

log = logging.getLogger(__name__)
DONE = "stage.json"  # written last
_SCHEMA = 1  # raise when a change of code changes what a stage learns


@dataclass(frozen=True)
class StageRecord:
    """A finished stage.

    Attributes:
        name: Name in the recipe.
        key: Content key; equal keys mean equal weights on equal hardware.
        folder: Where its weights, metrics and logs lie.
        findings: Findings of its head, in order.
        facts: What ``stage.json`` records: epoch chosen, monitored value, seconds, labels spent by side.
        file: Name of the weights in the folder.
    """

    name: str
    key: str
    folder: Path
    findings: tuple[str, ...]
    facts: Mapping[str, Any]
    file: str = BEST

    @property
    def weights(self) -> Path:
        """File of the chosen weights."""
        return self.folder / self.file


def stage_parts(
    recipe: Recipe, name: str, *, rows: pd.DataFrame, seed: int, weights: str, previous: StageRecord | None, hardware: Hardware
) -> dict[str, Any]:
    """List everything that could change the weights of a stage.

    Args:
        recipe: The recipe.
        name: Name of the stage.
        rows: The rows that decide its weights: sample_id, sha256, split, findings.
        seed: Seed of the run.
        weights: SHA-256 of the backbone's own weights, for a file may change under its name; empty when they are random.
        previous: Stage whose weights it starts from.
        hardware: Accelerator and precision.

    Returns:
        Plain data by part. The stage is named by the hash of it all; a stage that comes out otherwise can say which part differed.
    """
    raw, trainer = recipe.raw, recipe.trainer
    options = [trainer.deterministic, trainer.limit_batches, trainer.compile, dict(trainer.extra)]
    return {
        "schema": _SCHEMA,
        "version": __version__,
        "stage": raw["stages"][name],
        "data": {name: value for name, value in raw["data"].items() if name not in DATA_SPEED},
        "backbone": raw["backbone"],
        "weights": weights,
        "rows": content_key(rows.sort_values("sample_id").astype(str).to_numpy().tolist(), length=64),
        "seed": seed,
        "previous": None if previous is None else previous.key,
        "hardware": asdict(hardware),
        "trainer": [*options, *["auto_batch"] * trainer.auto_batch],
    }


@dataclass(frozen=True)
class Stage:
    """A stage that is ready to be trained, put together alike in every process that trains it.

    Attributes:
        plan: What it does.
        network: The network it starts from.
        data: Its batches; in one of several processes, the part of this one.
        parts: Everything that could change its weights.
        name: Name in the recipe.
        folder: Where its weights go.
        seed: Seed of the run.
        hardware: Accelerator, precision and devices.
    """

    plan: StagePlan
    network: Network
    data: StageDataModule
    parts: Mapping[str, Any]
    name: str
    folder: Path
    seed: int
    hardware: Hardware

    @property
    def key(self) -> str:
        """16 hexadecimal digits; equal keys mean equal weights on equal hardware."""
        return content_key(self.parts)

    def fit(self, recipe: Recipe, *, watch: Judge | None = None) -> StageResult:
        """Train in this process, or go on where a killed one stopped; ``watch`` may give it up."""
        listeners: list[Logger | pl.Callback] = [*_loggers(recipe, self.folder, name=f"{self.name}-{self.key[:8]}")]
        listeners += [] if watch is None else [Watch(watch)]
        return complete_stage(
            self.network,
            self.data,
            plan=self.plan,
            folder=self.folder,
            seed=self.seed,
            hardware=self.hardware,
            options=recipe.trainer,
            listeners=listeners,
        )


def put_together(
    recipe: Recipe,
    name: str,
    *,
    manifest: pd.DataFrame,
    assignment: "pd.Series[str]",
    seed: int,
    previous: StageRecord | None,
    hardware: Hardware,
) -> Stage:
    """Build network and data of a stage and find its key; arguments as in ``run_stage``."""
    plan: StagePlan = recipe.stages[name]
    network = starting_network(recipe, plan, seed=seed, previous=previous)
    data = StageDataModule(
        manifest,
        assignment,
        findings=plan.findings,
        train_on=TrainOn(
            plan.side,
            plan.releases,
            plan.batch_size,
            meet="" if plan.alignment is None else plan.alignment.side,
            part=process_rank() or 0,
            parts=hardware.devices,
            facts=tuple(plan.auxiliary),
        ),
        watch={side: TrainOn(side, plan.releases if side == plan.side else ()) for side in plan.sides_watched},
        spec=network.spec,
        plan=_data_plan(recipe, plan),
        seed=seed,
    )
    rows, weights = _rows(data, plan, assignment), network.weights.sha256
    parts = stage_parts(recipe, name, rows=rows, seed=seed, weights=weights, previous=previous, hardware=hardware)
    met = sorted({*map(str, data.train_rows["release"]), *map(str, data.met_rows["release"])})
    network.weights = with_terms(recipe, network.weights, met=met)
    folder = recipe.paths["runs"] / "stages" / f"{name}-{content_key(parts)}"
    return Stage(plan, network, data, parts, name, folder, seed, hardware)


def run_stage(  # one seam between recipe, data and training
    recipe: Recipe,
    name: str,
    *,
    manifest: pd.DataFrame,
    assignment: "pd.Series[str]",
    seed: int,
    previous: StageRecord | None,
    hardware: Hardware,
    watch: Judge | None = None,
) -> StageRecord:
    """Train a stage, or find it finished in the store.

    Args:
        recipe: The recipe.
        name: Name of the stage.
        manifest: All samples.
        assignment: sample_id -> split, for this cell.
        seed: Seed of the run.
        previous: Stage whose weights it starts from; the backbone's own weights when None.
        hardware: Accelerator and precision; with several devices one process is started for each.
        watch: May give the stage up after an epoch, with a GivenUpError; only where it trains in this process.

    Returns:
        The finished stage.
    """
    stage = put_together(recipe, name, manifest=manifest, assignment=assignment, seed=seed, previous=previous, hardware=hardware)
    with only_one(stage.folder / ".lock"):
        done = _finished(stage.folder)
        if done is None:
            log.info("Training stage %s (%d training images, seed %d)", name, len(stage.data.train_labels), seed)
            if hardware.devices == 1:
                result = stage.fit(recipe, watch=watch)
            else:
                before = None if previous is None else {**asdict(previous), "folder": str(previous.folder)}
                job = Job(recipe.raw, name, key=stage.key, seed=seed, previous=before, hardware=asdict(hardware))
                result = train_together(job, stage.folder, manifest=manifest, assignment=assignment)
            done = _record(stage.folder, stage.plan, result, data=stage.data, hardware=hardware, previous=previous)
            done = _described(recipe, StageRecord(name, stage.key, stage.folder, tuple(stage.plan.findings), done), seed=seed)
        else:
            log.info("Stage %s is finished already and is reused", name)
    facts = {**done, "parts": {part: content_key(value) for part, value in stage.parts.items()}}
    return StageRecord(name, stage.key, stage.folder, tuple(stage.plan.findings), facts)


def _described(recipe: Recipe, record: StageRecord, *, seed: int) -> dict[str, Any]:
    """Load the weights once from their file, write their card with what they answer to the probe batch, and finish the stage."""
    network = trained_network(recipe, record, seed=seed)
    facts = {**record.facts, "fingerprint": fingerprint(network), "terms": network.weights.terms()}
    write_card(recipe, network, name=f"{record.name}-{record.key}", facts=facts, weights=record.weights)
    write_json(record.folder / DONE, facts)
    return facts


def _data_plan(recipe: Recipe, plan: StagePlan) -> DataPlan:
    """The data section, with the views of a stage without labels where that stage names its own.

    Raises:
        ConfigError: Views would be compared that nothing tells apart.
    """
    data: DataPlan = recipe.data
    if plan.pretext is None:
        return data
    if plan.pretext.augment is not None:
        data = replace(data, augment=plan.pretext.augment)
    if data.augment is None and plan.pretext.views > 1:
        raise ConfigError(
            what=f"The views of {plan.pretext.name} are all alike, because no random change is configured",
            where="stages.*.pretext.augment",
            remedy="Set it as configs/training/simclr.yaml does, or set data.augment",
        )
    return data


def _deciding(data: StageDataModule, plan: StagePlan) -> pd.DataFrame:
    """Rows that a stage learns from or chooses its weights on; a side that is only watched decides nothing."""
    return pd.concat([data.train_rows, data.val_rows[plan.selecting_side]])


def _rows(data: StageDataModule, plan: StagePlan, assignment: "pd.Series[str]") -> pd.DataFrame:
    """What decides the weights of a stage: identity of each image, its split and its labels."""
    rows = _deciding(data, plan)
    decided = rows[["sample_id", "sha256", *data.findings]].assign(split=rows["sample_id"].map(assignment))
    for fact in plan.auxiliary:  # learned from the training films alone
        decided[fact] = decided["sample_id"].map(data.train_rows.set_index("sample_id")[fact])
    if data.met_rows.empty:
        return decided
    return pd.concat([decided, data.met_rows[["sample_id", "sha256"]].assign(split="met without labels")], ignore_index=True)


def _labels_spent(data: StageDataModule, plan: StagePlan) -> dict[str, int]:
    """Labelled images used per domain, for training and for choosing weights; a stage without findings reads no label."""
    if not plan.findings:
        return {}
    rows = _deciding(data, plan)
    return {str(domain): int(count) for domain, count in rows["domain"].value_counts().items()}


def starting_network(recipe: Recipe, plan: StagePlan, *, seed: int, previous: StageRecord | None) -> Network:
    """Build the network a stage starts from: the backbone, or the previous stage with a head for the new findings."""
    if previous is None:
        fresh: Network = recipe.backbone.build(plan.findings, seed=seed)
        return fresh
    network = trained_network(recipe, previous, seed=seed)
    network.set_findings(plan.findings, seed=seed)
    return network


def trained_network(recipe: Recipe, record: StageRecord, *, seed: int) -> Network:
    """Load the network of a finished stage, its hash verified."""
    network: Network = recipe.backbone.build(record.findings, seed=seed)
    load_weights(network, record.weights, sha256=str(record.facts["sha256"]))
    require_fingerprint(network, record.facts.get("fingerprint"), where=f"Stage {record.name}-{record.key}")
    return network


def _loggers(recipe: Recipe, folder: Path, *, name: str) -> list[Logger]:
    """Build the loggers of a stage; each gets the stage's folder, and where it knows one a name, under which a resumed run goes on."""
    built = []
    for kind, node in recipe.logger.items():
        extra = {"save_dir": str(folder)} | ({"name": name, "id": name} if "wandb" in kind else {})
        built.append(build({**node, **extra}, where=f"logger.{kind}"))
    return built


def _finished(folder: Path) -> dict[str, Any] | None:
    marker = folder / DONE
    if not marker.is_file():
        return None
    facts: dict[str, Any] = json.loads(marker.read_text())
    weights = folder / BEST
    if weights.is_file() and sha256_file(weights) == facts["sha256"]:
        return facts
    log.warning("The weights of stage %s are missing or damaged; it is trained again", folder.name)
    return None


def _kind(plan: StagePlan) -> str:
    if plan.pretext is not None:
        return f"Self-supervised ({plan.pretext.name})"
    return f"Supervised, with auxiliary heads ({', '.join(plan.auxiliary)})" if plan.auxiliary else "Supervised"


def _record(
    folder: Path, plan: StagePlan, result: StageResult, *, data: StageDataModule, hardware: Hardware, previous: StageRecord | None
) -> dict[str, Any]:
    return {
        "kind": _kind(plan),
        "findings": list(plan.findings),
        "side": plan.side,
        "sha256": result.sha256,
        "monitor": plan.monitor_key,
        "best_epoch": result.best_epoch,
        "best_value": result.best_value,
        "epochs_run": result.epochs_run,
        "seconds": round(result.seconds, 3),
        "images_per_s": result.images_per_s,
        "parameters_trained": result.parameters_trained,
        "parameters_total": result.parameters_total,
        "peak_memory_bytes": result.peak_memory_bytes,
        "details": dict(result.details),
        "labels_spent": _labels_spent(data, plan),
        "n_train": len(data.train_labels),
        "hardware": asdict(hardware),
        "previous": None if previous is None else previous.key,
    }
