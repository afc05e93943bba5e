# SPDX-License-Identifier: Apache-2.0
"""One cell of a study: one arm, one seed, one fold; its stages, its predictions, its folder."""

import io
import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from medsetu.backbone.network import Network
from medsetu.catalog.weights import sidecar_of
from medsetu.core.run import RunFolder, atomic_write, content_key, sha256_file, write_json
from medsetu.core.sample import LOCAL
from medsetu.core.table import PREDICTION_COLUMNS, conform, write_table
from medsetu.data.datamodule import prediction_loader
from medsetu.experiment.design import CURVE, Cell, split_hash, thinned_assignment
from medsetu.experiment.record import environment, machine, part_hashes
from medsetu.experiment.stage import StageRecord, run_stage, trained_network
from medsetu.experiment.weight_card import mark_seen
from medsetu.manifest.leakage import check_overlap
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe
from medsetu.training.hardware import Hardware, detect
from medsetu.training.prediction import Scores, predict
from medsetu.training.watch import Judge

log = logging.getLogger(__name__)
GROUP_COLUMNS = ("site", "sex", "age_years", "view", "device", "release", "seen")


def run_cell(recipe: Recipe, prepared: Prepared, cell: Cell) -> RunFolder:
    """Run one cell, or find it finished.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits, frozen.
        cell: Arm, seed and fold.

    Returns:
        The folder of the run.

    Raises:
        LeakageError: A patient stands on two sides.
        MedsetuError: Whatever a stage refuses.
    """
    hardware = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision, devices=recipe.trainer.devices)
    assignment = thinned_assignment(recipe, prepared, cell)
    check_overlap(prepared.manifest, assignment)
    records = run_stages(recipe, cell, manifest=prepared.learned(assignment), assignment=assignment, hardware=hardware)
    key = content_key([record.key for record in records] + [prepared.fingerprint, *recipe.evaluation.views], length=8)
    place = recipe.paths["runs"] / recipe.name
    run = RunFolder((place / CURVE if cell.is_thinned else place) / f"{cell.name}-{key}")
    if _is_done(run):
        log.info("Run %s is finished already", cell.name)
        return run
    _write_run(run, recipe, prepared, cell, records=records, assignment=assignment, hardware=hardware)
    return run


def run_stages(
    recipe: Recipe,
    cell: Cell,
    *,
    manifest: pd.DataFrame,
    assignment: "pd.Series[str]",
    hardware: Hardware,
    watch: Judge | None = None,
    names: Sequence[str] | None = None,
) -> list[StageRecord]:
    """Train the stages of a cell one after the other, or find them finished.

    Args:
        recipe: The recipe.
        cell: Arm, seed and fold.
        manifest: Samples.
        assignment: sample_id -> split, for this cell.
        hardware: Accelerator and precision.
        watch: May give the last stage up.
        names: The first stages of the arm; all when None.

    Returns:
        The finished stages, in order.

    Raises:
        GivenUpError: ``watch`` has seen enough.
        MedsetuError: Whatever a stage refuses.
    """
    records: list[StageRecord] = []
    wanted = recipe.stages_of(cell.arm) if names is None else names
    for name in wanted:
        records.append(
            run_stage(
                recipe,
                name,
                manifest=manifest,
                assignment=assignment,
                seed=cell.training_seed if recipe.stages[name].side == LOCAL else cell.seed,
                previous=records[-1] if records else None,
                hardware=hardware,
                watch=watch if name == wanted[-1] else None,
            )
        )
    return records


def _is_done(run: RunFolder) -> bool:
    if not run.done.is_file():
        return False
    promised = json.loads(run.done.read_text())["predictions"]
    return run.predictions.is_file() and sha256_file(run.predictions) == promised


def _write_run(
    run: RunFolder,
    recipe: Recipe,
    prepared: Prepared,
    cell: Cell,
    *,
    records: Sequence[StageRecord],
    assignment: "pd.Series[str]",
    hardware: Hardware,
) -> None:
    atomic_write(run.recipe, yaml.safe_dump({**recipe.raw, **cell.identity}, sort_keys=False).encode())
    for record in records:
        copy = atomic_write(run.checkpoints / f"{record.name}.safetensors", record.weights.read_bytes(), sidecar=True)
        if (card := sidecar_of(record.weights)).is_file():  # stages of an older version have none
            atomic_write(sidecar_of(copy), card.read_bytes())
    last = records[-1]
    network = trained_network(recipe, last, seed=cell.seed)
    rows = prepared.manifest.assign(split=prepared.manifest["sample_id"].map(assignment))
    rows = rows[rows["split"].isin(["val", "test"]) & rows[list(last.findings)].notna().any(axis=1)]
    predictions, scores = score_rows(network, rows, recipe=recipe, cell=cell, run=run.path.name, device=hardware.device)
    write_table(predictions, run.predictions)
    _write_features(run, scores)
    facts = provenance(recipe, prepared, cell, records=records, hardware=hardware)
    write_json(run.provenance, {**facts, "splits": split_hash(assignment)})
    parts = [
        run.recipe,
        run.provenance,
        *sorted(run.checkpoints.glob("*.safetensors")),
        *sorted(run.checkpoints.glob("*.yaml")),
        run.predictions,
        run.features,
    ]
    write_json(run.done, {"predictions": sha256_file(run.predictions), "files": part_hashes(run.path, parts)})


def score_rows(
    network: Network, rows: pd.DataFrame, *, recipe: Recipe, cell: Cell, run: str, device: torch.device
) -> tuple[pd.DataFrame, Scores]:
    """Score manifest rows with a trained network.

    Args:
        network: Trained network.
        rows: Manifest rows with the split of this cell.
        recipe: The recipe, for preparation and loading.
        cell: Arm, seed, fold.
        run: Name of the run folder.
        device: Where to run.

    Returns:
        The Predictions table, and the scores with features.

    Raises:
        WeightError: A row of the head was never trained.
    """
    network.require_trained(network.findings)
    loader = prediction_loader(rows, findings=network.findings, spec=network.spec, plan=recipe.data)
    scores = predict(network, loader, device=device, views=recipe.evaluation.views)
    rows = mark_seen(rows, recipe)
    return to_predictions(scores, rows, findings=network.findings, cell=cell, run=run), scores


def to_predictions(scores: Scores, rows: pd.DataFrame, *, findings: Sequence[str], cell: Cell, run: str) -> pd.DataFrame:
    """Turn scores into the long Predictions table, joined to the facts by sample_id.

    Args:
        scores: What the network said.
        rows: Manifest rows with the split of this cell.
        findings: Findings of the head, in order.
        cell: Arm, seed, fold.
        run: Name of the run folder.

    Returns:
        One row per sample and finding whose label is known or was asked for.
    """
    facts = rows.set_index("sample_id").loc[scores.sample_id]
    parts = []
    for column, finding in enumerate(findings):
        part = facts[["patient_id", "domain", "split", *GROUP_COLUMNS]].reset_index()
        part = part.assign(run=run, arm=cell.label, seed=cell.training_seed, fold=cell.fold, finding=finding)
        part["label"] = facts[finding].to_numpy(dtype=np.float64)
        part["score"] = scores.score[:, column].astype(np.float64)
        parts.append(part)
    return conform(pd.concat(parts, ignore_index=True), PREDICTION_COLUMNS, name="predictions")


def _write_features(run: RunFolder, scores: Scores) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, sample_id=np.asarray(scores.sample_id, dtype=np.str_), feature=scores.feature.astype(np.float16))
    atomic_write(run.features, buffer.getvalue(), sidecar=True)


def provenance(recipe: Recipe, prepared: Prepared, cell: Cell, *, records: Sequence[StageRecord], hardware: Hardware) -> dict[str, Any]:
    """Collect what a reader needs to believe, or to repeat, a run: versions, hashes, seeds, labels spent."""
    spent: dict[str, int] = {}
    for record in records:
        for side, count in record.facts["labels_spent"].items():
            spent[side] = spent.get(side, 0) + int(count)
    return {
        "recipe": recipe.name,
        "use": recipe.use,
        **cell.identity,
        "manifest": prepared.fingerprint,
        "consensus": prepared.facts.get("consensus", {}),
        "views": list(recipe.evaluation.views),
        "labels_spent": spent,
        "stages": [{"name": record.name, "key": record.key, **record.facts} for record in records],
        "hardware": vars(hardware) | {"threads": torch.get_num_threads()} | machine(),
        **environment(),
    }
