# SPDX-License-Identifier: Apache-2.0
"""Evidence: runs and their manifest, or a table and its votes; what is missing or mixed is named."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes.score_table import score_table
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder
from medsetu.experiment.evidence import evidence_of_runs, evidence_of_scores, finished_runs, run_fact
from medsetu.manifest.vote import VOTE_COLUMNS


def table(tmp_path, **changes):
    score_table().assign(**changes).to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def test_a_study_brings_every_arm_its_manifest_and_the_features_of_one_arm(finished):
    evidence = evidence_of_runs(finished.study, arm="global-only")
    assert evidence.title == "demo"
    assert set(evidence.predictions["arm"]) == {run_fact(run, "arm") for run in evidence.runs}
    assert evidence.prepared is not None
    assert set(evidence.extras.features) <= set(evidence.prepared.manifest["sample_id"])
    assert evidence.extras.values.shape[0] == len(evidence.extras.features) > 0
    assert evidence.openings >= 1
    assert evidence.seal == ""


def test_runs_bring_the_votes_of_their_manifest(finished, monkeypatch):
    evidence = evidence_of_runs(finished.study, arm="global-only")
    assert evidence.extras.votes is None
    prepared, finding = evidence.prepared, evidence.plan.primary
    rows = [(name, "r", reader, finding, 1.0) for name in prepared.manifest["sample_id"] for reader in ("x", "y")]
    votes = pd.DataFrame(rows, columns=list(VOTE_COLUMNS))
    monkeypatch.setattr("medsetu.experiment.evidence.load", lambda _: replace(prepared, votes=votes))
    found = evidence_of_runs(finished.study, arm="global-only").extras.votes
    assert list(found.columns) == ["x", "y"]
    assert set(found.index) == set(prepared.manifest["sample_id"])
    assert evidence_of_runs(finished.study, arm="global-only", finding="another").extras.votes is None


def test_the_folder_of_runs_is_the_same_as_its_study(finished):
    here, there = (evidence_of_runs(path, arm="global-only") for path in (finished.study, finished.study.parent))
    pd.testing.assert_frame_equal(here.predictions, there.predictions)
    assert here.openings == there.openings or there.openings == here.openings + 1


def test_one_run_has_its_own_scores_and_features_whatever_its_arm(finished):
    evidence = evidence_of_runs(finished.run("transfer"), arm="global-only")
    assert set(evidence.predictions["arm"]) == {"transfer"}
    assert evidence.extras.values is not None


def test_features_that_were_changed_are_refused(copied):
    RunFolder(copied.run("global-only")).features.write_bytes(b"changed")
    with pytest.raises(DataError):
        evidence_of_runs(copied.study, arm="global-only")


def test_an_unfinished_run_is_no_run(copied, tmp_path):
    run = copied.run("transfer")
    (run / "done.json").unlink()
    with pytest.raises(ConfigError, match="No finished run was found"):
        finished_runs([run])
    assert run.name not in {found.path.name for found in finished_runs([copied.study.parent])}


def test_runs_of_several_recipes_are_refused(copied):
    shutil.rmtree(copied.study)
    recipe = RunFolder(copied.run("transfer")).recipe
    recipe.write_text(recipe.read_text().replace("name: demo", "name: other", 1))
    with pytest.raises(ConfigError, match="several recipes"):
        evidence_of_runs(copied.study.parent, arm="global-only")


def test_a_table_is_a_title_a_question_and_scores(tmp_path):
    evidence = evidence_of_scores(table(tmp_path))
    assert (evidence.title, evidence.prepared, evidence.openings) == ("scores", None, 0)
    assert evidence.question == "Does the model shift from global to local?"
    named = evidence_of_scores(table(tmp_path, finding="tuberculosis"))
    assert named.plan.primary == "tuberculosis"
    assert "tuberculosis" in named.question


def test_votes_are_joined_by_film(tmp_path):
    path = table(tmp_path)
    votes = pd.DataFrame({"sample_id": score_table()["sample_id"], "first": 1, "second": [None, 0] * 80})
    votes.to_csv(tmp_path / "votes.csv", index=False)
    found = evidence_of_scores(path, votes=tmp_path / "votes.csv").extras.votes
    assert list(found.columns) == ["first", "second"]
    assert np.isnan(found["second"].iloc[0])


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ({"film": ["a"]}, "do not name each film once"),
        ({"sample_id": ["a", "a"], "reader": [1, 0]}, "do not name each film once"),
        ({"sample_id": ["a"], "reader": [0.5]}, "neither 0, 1 nor empty"),
    ],
)
def test_impossible_votes_are_refused(tmp_path, votes, message):
    pd.DataFrame(votes).to_csv(tmp_path / "votes.csv", index=False)
    with pytest.raises(DataError, match=message):
        evidence_of_scores(table(tmp_path), votes=tmp_path / "votes.csv")
