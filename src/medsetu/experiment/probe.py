# SPDX-License-Identifier: Apache-2.0
"""Score altered films with the network of a finished run: occlusion and test-retest, from the file to the score."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from monai.transforms.compose import Compose
from numpy.typing import NDArray

from medsetu.backbone.network import Network
from medsetu.core.errors import DataError
from medsetu.core.run import RunFolder
from medsetu.core.table import read_table
from medsetu.data.datamodule import sources
from medsetu.data.loader import normalise
from medsetu.data.pipeline import Pipeline
from medsetu.data.plan import DataPlan
from medsetu.data.transform import compose
from medsetu.experiment.stage import StageRecord, trained_network
from medsetu.manifest.progress import progress
from medsetu.reader.sample import read_shown
from medsetu.recipe.recipe import Recipe
from medsetu.shift.occlusion import ALTERATIONS, Alteration
from medsetu.shift.predictability import draw_patients
from medsetu.training.hardware import detect

MOST_FILMS = 200  # of each side, drawn by patient: minutes on two cores


def probe_runs(
    recipe: Recipe,
    manifest: pd.DataFrame,
    runs: Sequence[RunFolder],
    *,
    alterations: Mapping[str, Alteration] = ALTERATIONS,
    most: int = MOST_FILMS,
) -> pd.DataFrame:
    """Alter the test films of runs and score them again.

    Args:
        recipe: The recipe the runs were trained with.
        manifest: All samples.
        runs: Finished runs; all of one arm to be averaged over seeds.
        alterations: Name -> function of a film.
        most: Largest number of test films of each side, the same patients in every run.

    Returns:
        Long table: run, arm, seed, fold, sample_id, domain, finding, alteration, score.

    Raises:
        DataError: No test film of the runs is in the manifest, or a film cannot be read.
        WeightError: A row of the head was never trained.
    """
    tested = {run.path.name: _tested(run) for run in runs}
    rows = _drawn(manifest[manifest["sample_id"].isin(set().union(*tested.values()))], most=most, seed=recipe.evaluation.seed)
    if rows.empty:
        raise DataError(what="No test film of the runs is in the manifest", where="Probe", remedy="Give the manifest they were trained on")
    device = detect(accelerator=recipe.trainer.accelerator, precision=recipe.trainer.precision).device
    tables = []
    for run in runs:
        own = rows[rows["sample_id"].isin(tested[run.path.name])]
        if len(own):
            facts = json.loads(run.provenance.read_text())
            table = altered_scores(network_of(recipe, run), own, plan=recipe.data, alterations=alterations, device=device)
            tables.append(table.assign(run=run.path.name, arm=facts["arm"], seed=int(facts["seed"]), fold=int(facts["fold"])))
    return pd.concat(tables, ignore_index=True)


def network_of(recipe: Recipe, run: RunFolder) -> Network:
    """Load the last network of a finished run, its hash verified.

    Args:
        recipe: The recipe it was trained with.
        run: Finished run.

    Returns:
        The network.
    """
    facts = json.loads(run.provenance.read_text())
    stage = facts["stages"][-1]
    file = f"{stage['name']}.safetensors"
    record = StageRecord(stage["name"], stage["key"], run.checkpoints, tuple(stage["findings"]), stage, file=file)
    return trained_network(recipe, record, seed=int(facts["seed"]))


@torch.inference_mode()
def altered_scores(
    network: Network, rows: pd.DataFrame, *, plan: DataPlan, alterations: Mapping[str, Alteration] = ALTERATIONS, device: torch.device
) -> pd.DataFrame:
    """Score films under every alteration, made on the film as it was read, before resizing and intensity steps.

    Args:
        network: Trained network; left in eval mode on ``device``.
        rows: Manifest rows.
        plan: How rows become batches: the pipeline of the network.
        alterations: Name -> function of a film.
        device: Where to run.

    Returns:
        Long table: sample_id, domain, finding, alteration, score in [0, 1].

    Raises:
        DataError: A film cannot be read, or is too small to be altered.
        WeightError: A row of the head was never trained.
    """
    network.require_trained(network.findings)
    network.to(device).eval()
    pipeline = plan.pipeline(network.spec)
    steps = Compose(compose(pipeline).transforms[1:])  # the first one reads the file
    scores = np.empty((len(rows), len(alterations), len(network.findings)))
    with progress(len(rows), label="Scoring altered films") as advance:
        for number, source in enumerate(sources(rows)):
            pixels = read_shown(source.path, sample_id=source.sample_id).pixels
            prepared = np.stack([prepare(steps, pipeline, pixels=alter(pixels)) for alter in alterations.values()])
            batch = normalise(torch.from_numpy(prepared)[:, None], network.spec)
            scores[number] = torch.sigmoid(network(batch.to(device))).float().cpu().numpy()
            advance(1)
    names = pd.MultiIndex.from_product([rows["sample_id"], alterations, network.findings], names=["sample_id", "alteration", "finding"])
    table = pd.DataFrame({"score": scores.ravel()}, index=names).reset_index()
    return table.assign(domain=table["sample_id"].map(rows.set_index("sample_id")["domain"]))


def prepare(steps: Compose, pipeline: Pipeline, *, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a film in memory to what the network is given, rounded as the cache rounds.

    Args:
        steps: Steps of the pipeline after reading.
        pipeline: The pipeline.
        pixels: (H, W) float32 in [0, 1].

    Returns:
        (H', W') float32 in [0, 1] at the network's size.
    """
    image = steps({"image": torch.from_numpy(np.ascontiguousarray(pixels))[None]})["image"]
    stored = pipeline.encode(np.asarray(image[0], dtype=np.float32))
    return stored.astype(np.float32) * np.float32(pipeline.scale)


def _tested(run: RunFolder) -> set[str]:
    predictions = read_table(run.predictions, columns=["sample_id", "split"])
    return set(predictions.loc[predictions["split"] == "test", "sample_id"])


def _drawn(rows: pd.DataFrame, *, most: int, seed: int) -> pd.DataFrame:
    """The same films for every run: whole patients of each side."""
    parts = [part.iloc[draw_patients(part["group_id"], most=most, seed=seed)] for _, part in rows.groupby("domain", sort=True)]
    return pd.concat([rows.iloc[:0], *parts])
