# SPDX-License-Identifier: Apache-2.0
"""Altered films go the way of every film: as they are they get the scores of the run, and altered ones get others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from medsetu.core.errors import DataError, WeightError
from medsetu.core.run import RunFolder
from medsetu.experiment.prepare import manifest_folder
from medsetu.experiment.probe import altered_scores, network_of, probe_runs
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe
from medsetu.shift.occlusion import ALTERATIONS, AS_IT_IS, WITHOUT_LUNGS


@pytest.fixture(scope="module")
def recipe(finished):
    return build_recipe(finished.config)


@pytest.fixture(scope="module")
def manifest(recipe):
    return load(manifest_folder(recipe)).manifest


@pytest.fixture(scope="module")
def run(finished):
    return RunFolder(finished.run("transfer"))


@pytest.fixture(scope="module")
def table(recipe, manifest, run):
    return probe_runs(recipe, manifest, [run])


def test_films_as_they_are_get_the_scores_of_the_run(table, run):
    predictions = pd.read_parquet(run.predictions)
    predictions = predictions[predictions["split"] == "test"]
    both = table[table["alteration"] == AS_IT_IS].merge(predictions, on=["sample_id", "finding", "run", "arm", "seed", "fold", "domain"])
    assert len(both) == len(predictions)
    np.testing.assert_allclose(both["score_x"], both["score_y"], atol=1e-5)


def test_every_test_film_is_scored_under_every_alteration(table):
    assert set(table["alteration"]) == set(ALTERATIONS)
    assert table.groupby("alteration").size().nunique() == 1
    assert table["score"].between(0, 1).all()


def test_films_without_lungs_get_other_scores(table):
    wide = table.pivot(index=["sample_id", "finding"], columns="alteration", values="score")
    assert (wide[AS_IT_IS] - wide[WITHOUT_LUNGS]).abs().max() > 1e-4


def test_a_smaller_probe_draws_whole_patients_of_each_side(recipe, manifest, run, table):
    small = probe_runs(recipe, manifest, [run], alterations={AS_IT_IS: ALTERATIONS[AS_IT_IS]}, most=2)
    drawn = manifest[manifest["sample_id"].isin(small["sample_id"])]
    assert drawn.groupby("domain").size().le(2).all()
    tested = manifest[manifest["sample_id"].isin(table["sample_id"])]
    assert len(drawn) == tested["group_id"].isin(drawn["group_id"]).sum()


def test_another_manifest_is_refused(recipe, manifest, run):
    with pytest.raises(DataError, match="No test film"):
        probe_runs(recipe, manifest.assign(sample_id="other/" + manifest["sample_id"]), [run])


def test_an_untrained_head_is_not_read(recipe, manifest, run):
    network = network_of(recipe, run)
    network.set_findings(["effusion"], seed=0)
    with pytest.raises(WeightError):
        altered_scores(network, manifest.iloc[:1], plan=replace(recipe.data), device=torch.device("cpu"))
