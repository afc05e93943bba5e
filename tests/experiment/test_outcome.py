# SPDX-License-Identifier: Apache-2.0
"""From finished runs to results."""

import json

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder
from medsetu.core.table import read_table, write_table
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.outcome import labels_used, write_outcome
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe


@pytest.fixture
def evaluated(copied, tmp_path):
    """Evaluate the local-only run of a study with other scores."""
    recipe = build_recipe(copied.config)
    prepared = load(manifest_folder(recipe))
    run = RunFolder(copied.run("local-only"))
    table = read_table(run.predictions)

    def again(change):
        write_table(table.assign(score=change(table["score"])), run.predictions)
        return write_outcome(recipe, prepared, [run], cards=[], folder=tmp_path / "again")

    return again


def test_labels_used_are_local_ones_and_none_for_global_only(finished):
    runs = finished_runs([finished.runs / "demo"])
    used = labels_used(runs)
    spent = {stage["name"]: stage for stage in json.loads((finished.run("transfer") / "provenance.json").read_text())["stages"]}
    assert used["global-only"] == 0
    assert used["local-only"] == used["transfer"] == spent["finetune"]["labels_spent"]["local"] > 0


def test_the_matrix_says_the_labels_used(finished):
    used = labels_used(finished_runs([finished.runs / "demo"]))
    cells = pd.read_csv(finished.study / "matrix.csv")
    assert "labels_used" in cells.columns
    assert dict(zip(cells["arm"], cells["labels_used"], strict=True)) == used


def test_looking_twice_at_the_same_scores_is_one_opening_of_the_test(evaluated):
    """The study has opened the test; one of its runs, looked at again, shows nothing new."""
    assert evaluated(lambda score: score).standing.openings == 1
    assert evaluated(lambda score: score).standing.openings == 1
    found = evaluated(lambda score: score**2)
    assert found.standing.openings == 2
    assert "The internal test was opened 2 times" in found.report.read_text()


def test_a_constant_score_gets_no_number_but_a_reason(evaluated):
    results = evaluated(lambda score: np.full(len(score), 0.5)).results
    auroc = results[(results["metric"] == "auroc") & (results["group"] == "all")]
    assert len(auroc)
    assert auroc["value"].isna().all()
    assert auroc["note"].str.contains("every score is the same").all()


def test_one_arm_has_results_but_no_matrix(evaluated, tmp_path):
    found = evaluated(lambda score: score)
    assert found.matrices == []
    assert not (tmp_path / "again" / "matrix.csv").exists()
    assert found.report.is_file()


def test_changed_predictions_are_refused(copied, tmp_path):
    run = RunFolder(copied.run("local-only"))
    run.predictions.write_bytes(run.predictions.read_bytes()[:-1])
    recipe = build_recipe(copied.config)
    with pytest.raises(DataError, match="SHA-256"):
        write_outcome(recipe, load(manifest_folder(recipe)), [run], cards=[], folder=tmp_path / "again")


def test_runs_are_found_in_a_run_folder_and_in_a_folder_of_runs(finished, tmp_path):
    assert [run.path for run in finished_runs([finished.run("transfer")])] == [finished.run("transfer")]
    assert len(finished_runs([finished.runs / "demo"])) == 3
    with pytest.raises(ConfigError, match="No finished run"):
        finished_runs([tmp_path])
