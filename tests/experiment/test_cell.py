# SPDX-License-Identifier: Apache-2.0
"""Cells: which there are, in what order, and that finished ones are trusted only when their bytes are right."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from medsetu.core.errors import LeakageError, WeightError
from medsetu.core.run import RunFolder
from medsetu.core.table import PREDICTION_COLUMNS, read_table
from medsetu.experiment import cell as cells
from medsetu.experiment import stage
from medsetu.experiment.cell import run_cell, score_rows
from medsetu.experiment.design import Cell
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import build_recipe

ARMS = ("transfer", "local-only", "global-only")


@pytest.fixture(scope="module")
def recipe(finished):
    return build_recipe(finished.config)


@pytest.fixture(scope="module")
def prepared(recipe):
    return load(manifest_folder(recipe))


def test_damaged_predictions_are_made_again_without_training(copied, monkeypatch):
    recipe = build_recipe(copied.config)
    run = RunFolder(copied.run("transfer"))
    good = run.predictions.read_bytes()
    run.predictions.write_bytes(good[:-1])
    monkeypatch.setattr(stage, "complete_stage", None)
    assert run_cell(recipe, load(manifest_folder(recipe)), Cell("transfer", 0)) == run
    assert run.predictions.read_bytes() == good


def test_finished_predictions_are_not_made_again(copied, monkeypatch):
    recipe = build_recipe(copied.config)
    monkeypatch.setattr(cells, "score_rows", None)
    assert run_cell(recipe, load(manifest_folder(recipe)), Cell("transfer", 0)).path == copied.run("transfer")


def test_views_make_another_run_of_the_same_weights(copied, monkeypatch):
    """Test-time augmentation trains nothing again, and is told by the key of the run and by its provenance."""
    recipe = build_recipe({**copied.config, "evaluation": {**copied.config["evaluation"], "views": ["flip"]}})
    monkeypatch.setattr(stage, "complete_stage", None)
    plain = RunFolder(copied.run("local-only"))
    run = run_cell(recipe, load(manifest_folder(recipe)), Cell("local-only", 0))
    assert run != plain
    assert [json.loads(one.provenance.read_text())["views"] for one in (run, plain)] == [["flip"], []]
    assert not np.allclose(read_table(run.predictions)["score"], read_table(plain.predictions)["score"])


def test_a_patient_on_two_sides_is_refused_before_training(recipe, prepared, monkeypatch):
    monkeypatch.setattr(cells, "run_stage", None)
    manifest = prepared.manifest.copy()
    manifest["group_id"] = "one"
    broken = Prepared(**{**vars(prepared), "manifest": manifest})
    with pytest.raises(LeakageError):
        run_cell(recipe, broken, Cell("transfer", 0))


def test_a_head_that_was_never_trained_is_not_scored(recipe, prepared):
    network = recipe.backbone.build(["tuberculosis"], seed=0)
    rows = prepared.manifest[prepared.manifest["split"] == "test"]
    with pytest.raises(WeightError, match="tuberculosis"):
        score_rows(network, rows, recipe=recipe, cell=Cell("transfer", 0), run="r", device=torch.device("cpu"))


def test_predictions_and_features_belong_to_the_validation_and_test_films(finished, prepared):
    run = RunFolder(finished.run("global-only"))
    table = pd.read_parquet(run.predictions)
    assert list(table.columns) == list(PREDICTION_COLUMNS)
    wanted = prepared.manifest[prepared.manifest["split"].isin(["val", "test"])].set_index("sample_id")
    assert set(table["sample_id"]) == set(wanted.index)
    assert table["score"].between(0, 1).all()
    for finding, rows in table.groupby("finding"):
        np.testing.assert_array_equal(rows["label"], wanted.loc[rows["sample_id"], finding])
    features = np.load(run.features)
    assert set(features["sample_id"]) == set(wanted.index)
    assert len(features["feature"]) == len(wanted)


def test_provenance_counts_the_labels_that_were_spent(finished, prepared):
    sizes = prepared.manifest[prepared.manifest["split"].isin(["train", "val"])].groupby("domain").size()
    wanted = {"global-only": {"global": sizes["global"]}, "local-only": {"local": sizes["local"]}, "transfer": dict(sizes)}
    for arm, spent in wanted.items():
        facts = json.loads(RunFolder(finished.run(arm)).provenance.read_text())
        assert facts["labels_spent"] == spent
        assert facts["manifest"] == prepared.fingerprint
        assert facts["packages"]["torch"]


@pytest.mark.parametrize(
    "words",
    [
        ["tuning@stages.finetune.tuning=frozen_logistic"],
        ["tuning@stages.finetune.tuning=frozen_neighbours"],
        ["tuning@stages.finetune.tuning=lora", "+tuning/finish@stages.finetune.finish=wise_ft"],
        ["+tuning/finish@stages.finetune.finish=greedy_soup", "+tuning/distil@stages.finetune.distil=start"],
    ],
    ids=["logistic", "neighbours", "lora-wise-ft", "distilled-soup"],
)
def test_what_is_solved_or_merged_is_an_arm_like_any_other(copied, compose, words):
    """Same films, same labels spent, same tables; the finished pretraining is reused."""
    recipe = build_recipe(compose("study", copied.runs, *words))
    ordinary = RunFolder(copied.run("transfer"))
    run = run_cell(recipe, load(manifest_folder(recipe)), Cell("transfer", 0))
    assert run != ordinary
    facts, plain = (json.loads(folder.provenance.read_text()) for folder in (run, ordinary))
    assert facts["labels_spent"] == plain["labels_spent"]
    assert facts["stages"][0]["key"] == plain["stages"][0]["key"]
    assert facts["stages"][1]["details"]
    mine, theirs = (pd.read_parquet(folder.predictions) for folder in (run, ordinary))
    assert list(mine["sample_id"]) == list(theirs["sample_id"])
    assert not np.allclose(mine["score"], theirs["score"])
    again = [
        cells.trained_network(
            recipe,
            stage.StageRecord(
                "finetune", "", run.checkpoints, tuple(facts["stages"][1]["findings"]), facts["stages"][1], file="finetune.safetensors"
            ),
            seed=0,
        )
    ]
    rows = load(manifest_folder(recipe)).manifest
    rows = rows[rows["sample_id"].isin(mine["sample_id"])].assign(split="test")
    scored, _ = score_rows(again[0], rows, recipe=recipe, cell=Cell("transfer", 0), run="r", device=torch.device("cpu"))
    both = mine.merge(scored, on=["sample_id", "finding"], suffixes=("", "_again"))
    assert len(both) == len(mine)
    assert np.allclose(both["score"], both["score_again"], atol=1e-5)
