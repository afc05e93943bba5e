# SPDX-License-Identifier: Apache-2.0
"""Repairs of networks and images, run on the local films of a finished global-only run; no local label is read."""

import json
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
import yaml

from medsetu.adaptation.image import ImageRepair
from medsetu.adaptation.network import Adapted, NetworkRepair
from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.data.datamodule import prediction_loader
from medsetu.data.intensity import Intensity
from medsetu.data.loader import Batch, normalise
from medsetu.experiment.cell import to_predictions
from medsetu.experiment.design import Cell, assignment_of
from medsetu.experiment.stage import StageRecord, trained_network
from medsetu.manifest.leakage import check_overlap
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.progress import progress
from medsetu.recipe.recipe import Recipe
from medsetu.training.hardware import detect
from medsetu.training.prediction import predict


def repaired_predictions(
    recipe: Recipe, prepared: Prepared, *, run: RunFolder, repairs: Mapping[str, NetworkRepair | ImageRepair]
) -> pd.DataFrame:
    """Repair the network of a run for local films, and score them again.

    A network repair sees the images of the local training part, an image repair those of val/global. On a cross-fitted side this is done
    for each fold of the run's repeat, so that no film that is tested or chosen on has been seen.

    Args:
        recipe: The recipe of the run.
        prepared: Manifest and splits.
        run: Finished run of an arm that never learned from local labels.
        repairs: Name -> repair, such as ``batchnorm``.

    Returns:
        The Predictions table of val/local and test/local, arm ``<arm> + <name>``, with columns ``local_images`` and ``local_labels`` (0).

    Raises:
        ConfigError: The arm learns from local labels, or the network has nothing that a repair could change.
        DataError: There are too few local films.
        LeakageError: A patient stands on two sides.
    """
    facts = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))
    arm, seed = str(facts["arm"]), int(facts["seed"])
    if recipe.uses_local(arm):
        raise ConfigError(
            what=f"Arm '{arm}' has learned from local labels, so it is no arm to repair",
            where=str(run.path.name),
            remedy="Name a global-only run",
        )
    network = _network(recipe, run, arm=arm, seed=seed)
    device = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision).device
    folds = sorted(set(prepared.splits.loc[prepared.splits["domain"] == LOCAL, "fold"]))
    parts = []
    with progress(len(folds) * len(repairs), label="Repairing") as advance:
        for fold in folds:
            cell = Cell(arm, seed, int(fold))
            assignment = assignment_of(prepared, cell)
            check_overlap(prepared.manifest, assignment)
            rows = prepared.manifest.assign(split=prepared.manifest["sample_id"].map(assignment))
            for name, repair in repairs.items():
                parts.append(_repaired(network, repair, rows, recipe=recipe, cell=Cell(f"{arm} + {name}", seed, int(fold)), device=device))
                advance(1)
    return pd.concat(parts, ignore_index=True).assign(run=run.path.name)


def _network(recipe: Recipe, run: RunFolder, *, arm: str, seed: int) -> Network:
    """Load the last stage of a run, its hash verified."""
    stage = json.loads(run.provenance.read_text(encoding="utf-8"))["stages"][-1]
    name = str(stage["name"])
    record = StageRecord(name, str(stage["key"]), run.checkpoints, tuple(stage["findings"]), stage, file=f"{name}.safetensors")
    network = trained_network(recipe, record, seed=seed)
    network.mark_trained(record.findings)
    return network


def _repaired(
    network: Network, repair: NetworkRepair | ImageRepair, rows: pd.DataFrame, *, recipe: Recipe, cell: Cell, device: torch.device
) -> pd.DataFrame:
    local, known = rows["domain"] == LOCAL, rows[[name for name in network.findings if name in rows]].notna().any(axis=1)
    tested = rows[local & rows["split"].isin(["val", "test"]) & known]
    adapted, step = Adapted(network, 0), None
    if isinstance(repair, NetworkRepair):
        seen = rows[local & (rows["split"] == "train")].sample(frac=1.0, random_state=cell.seed)
        adapted = repair.adapt(network, list(_batches(seen, recipe, network)), device=device)
    else:
        seen = rows[(rows["domain"] == GLOBAL) & (rows["split"] == "val")]
        step = repair.fit(_films(_batches(seen, recipe, network), network))
    batches = _batches(tested, recipe, network)
    changed = batches if step is None else _changed(batches, step, network)
    scores = predict(adapted.network, changed, device=device, views=recipe.evaluation.views)
    table = to_predictions(scores, tested, findings=network.findings, cell=cell, run="")
    return table.assign(local_images=adapted.images, local_labels=0)


def _batches(rows: pd.DataFrame, recipe: Recipe, network: Network) -> Iterator[Batch]:
    """Images and names; labels stay in the manifest."""
    yield from prediction_loader(rows, findings=(), spec=network.spec, plan=recipe.data)


def _films(batches: Iterator[Batch], network: Network) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Undo the normalisation: (H, W) intensities in [0, 1]."""
    for batch in batches:
        grey = batch["image"][:, 0] * network.spec.std[0] + network.spec.mean[0]
        yield from grey.clamp(0, 1).numpy()


def _changed(batches: Iterator[Batch], step: Intensity, network: Network) -> Iterator[Batch]:
    for batch in batches:
        films = [torch.from_numpy(step(film)) for film in _films(iter([batch]), network)]
        yield {**batch, "image": normalise(torch.stack(films)[:, None], network.spec)}
