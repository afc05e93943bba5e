# SPDX-License-Identifier: Apache-2.0
"""Repairs of a finished run: what they see, what they spend, and that the table can rank them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medsetu.adaptation.fold import with_folds
from medsetu.adaptation.image import Histogram
from medsetu.adaptation.network import BatchNorm
from medsetu.adaptation.repair import RepairPlan, ScoreRepair, rank_repairs
from medsetu.adaptation.score import PriorCorrection
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.table import PREDICTION_COLUMNS, read_table
from medsetu.experiment import repair as room
from medsetu.experiment.prepare import manifest_folder
from medsetu.experiment.repair import repaired_predictions
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe

REPAIRS = {"batchnorm": BatchNorm(), "histogram": Histogram()}


@pytest.fixture(scope="module")
def recipe(finished):
    return build_recipe(finished.config)


@pytest.fixture(scope="module")
def prepared(recipe):
    return load(manifest_folder(recipe))


@pytest.fixture(scope="module")
def run(finished):
    return RunFolder(finished.run("global-only"))


@pytest.fixture(scope="module")
def repaired(recipe, prepared, run):
    return repaired_predictions(recipe, prepared, run=run, repairs=REPAIRS)


def local(table):
    return table[table["domain"] == "local"]


def test_the_films_are_those_of_the_run_and_only_the_scores_differ(repaired, run):
    before = local(read_table(run.predictions)).set_index(["sample_id", "finding"]).sort_index()
    assert set(repaired["arm"]) == {"global-only + batchnorm", "global-only + histogram"}
    for _, part in repaired.groupby("arm"):
        after = part.set_index(["sample_id", "finding"]).sort_index()
        assert (after.index == before.index).all()
        assert after["label"].equals(before["label"])
        assert (after["split"] == before["split"]).all()
        assert not np.allclose(after["score"], before["score"])


def test_what_was_spent_is_said(repaired, prepared):
    train = (prepared.manifest["domain"] == "local") & (prepared.manifest["split"] == "train")
    images = repaired.groupby("arm")["local_images"].unique()
    assert images["global-only + batchnorm"].tolist() == [int(train.sum())]
    assert images["global-only + histogram"].tolist() == [0]
    assert set(repaired["local_labels"]) == {0}
    assert set(PREDICTION_COLUMNS) <= set(repaired.columns)


def test_a_repair_repeats_and_does_not_see_a_label(recipe, prepared, run, repaired, monkeypatch):
    seen = []
    plain = room.prediction_loader
    monkeypatch.setattr(room, "prediction_loader", lambda rows, **more: seen.append(more["findings"]) or plain(rows, **more))
    again = repaired_predictions(recipe, prepared, run=run, repairs=REPAIRS)
    pd.testing.assert_frame_equal(again, repaired)
    assert set(seen) == {()}


def test_a_mix_of_nothing_leaves_every_score(recipe, prepared, run):
    table = repaired_predictions(recipe, prepared, run=run, repairs={"nothing": BatchNorm(mix=0.0)})
    before = local(read_table(run.predictions))
    both = table.merge(before, on=["sample_id", "finding"])
    np.testing.assert_allclose(both["score_x"], both["score_y"], atol=1e-6)


def test_the_table_ranks_what_was_repaired(repaired, run):
    rows = pd.concat([read_table(run.predictions), repaired])
    table = rank_repairs(
        rows, finding="tuberculosis", repairs={"prior": ScoreRepair(PriorCorrection(0.3), "global")}, plan=RepairPlan(bootstrap=20)
    )
    assert set(table.loc[table["metric"] == "brier", "repair"]) == {"batchnorm", "histogram", "prior"}


def test_an_arm_that_learned_locally_is_refused(recipe, prepared, finished):
    with pytest.raises(ConfigError, match="transfer"):
        repaired_predictions(recipe, prepared, run=RunFolder(finished.run("transfer")), repairs=REPAIRS)


def test_folds_of_a_crossfitted_side_are_repaired_one_by_one(recipe, prepared, run):
    """Every film is tested once, by a network that saw the training part of its fold."""
    rows = prepared.manifest[prepared.manifest["domain"] == "local"]
    place = rows["group_id"].astype("category").cat.codes % 2
    crossed = [
        pd.DataFrame({"sample_id": rows["sample_id"], "domain": "local", "repeat": 0, "fold": fold, "split": split})
        for fold, split in ((0, place.map({0: "test", 1: "train"})), (1, place.map({1: "test", 0: "train"})))
    ]
    splits = pd.concat([prepared.splits[prepared.splits["domain"] != "local"], *crossed], ignore_index=True)
    manifest = prepared.manifest.assign(split=prepared.manifest["split"].where(prepared.manifest["domain"] != "local", "crossfit"))
    folded = replace(prepared, splits=splits, manifest=manifest)
    table = repaired_predictions(recipe, folded, run=run, repairs={"batchnorm": BatchNorm()})
    assert set(table["fold"]) == {0, 1}
    assert not table.duplicated(["sample_id", "finding"]).any()
    base = with_folds(local(read_table(run.predictions)).assign(split="test"), splits=splits)
    assert set(base["fold"]) == {0, 1}
