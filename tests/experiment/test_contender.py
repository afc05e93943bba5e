# SPDX-License-Identifier: Apache-2.0
"""From folders and tables to contestants, and what may not be mixed."""

import pandas as pd
import pytest
import yaml

from contest.cohort import field
from fakes.run_folder import write_runs
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.experiment.contender import contenders
from medsetu.experiment.evidence import finished_runs
from medsetu.manifest.ledger import ledger_path, read_openings

SKILL = {"local-only": 1.0, "transfer:lora": 2.0}


def gathered(*inputs, given=None, columns=None):
    return contenders(list(inputs), columns=columns or {}, given=given or {})


def arms(found):
    return sorted(found.predictions["arm"].unique())


def test_a_study_brings_its_arms_with_all_seeds_and_folds(tmp_path):
    folder = write_runs(field(SKILL, seeds=2, folds=2, val=4), tmp_path)
    found = gathered(folder)
    assert arms(found) == sorted(SKILL)
    assert found.title == "demo"
    assert found.plan.primary == "tuberculosis"
    assert found.costs["transfer:lora"].runs == 4


def test_equal_names_get_their_recipe_and_other_settings_a_mark(tmp_path):
    table = field({"transfer": 1.0})
    one, other = write_runs(table, tmp_path), write_runs(table, tmp_path, recipe="peer")
    assert arms(gathered(one, other)) == ["demo/transfer", "peer/transfer"]
    write_runs(table, tmp_path, lr=0.1)
    names = arms(gathered(one, other))
    assert len(names) == 3
    assert sum(name.startswith("demo/transfer#") for name in names) == 2
    assert all("#" in name for name in arms(gathered(one)))


def test_single_runs_of_one_way_of_training_are_its_seeds(tmp_path):
    folder = write_runs(field(SKILL, seeds=3), tmp_path)
    found = gathered(*sorted(folder.iterdir()))
    assert found.predictions.groupby("arm")["seed"].nunique().tolist() == [3, 3]
    assert arms(gathered(folder, folder / "study")) == sorted(SKILL)  # the same run named twice counts once


def test_a_copy_of_a_run_is_no_further_seed(tmp_path):
    one = write_runs(field(SKILL), tmp_path / "a")
    other = write_runs(field(SKILL), tmp_path / "b")
    with pytest.raises(ConfigError, match="Seed 0 of 'local-only' was given twice"):
        gathered(one, other)


def test_runs_that_a_study_left_out_are_left_out(tmp_path):
    folder = write_runs(field(SKILL), tmp_path)
    kept = pd.concat([pd.read_parquet(run.predictions) for run in finished_runs([folder])])
    (folder / "study").mkdir()
    kept.to_parquet(folder / "study" / "predictions.parquet")
    write_runs(field({"transfer:stray": 1.0}), tmp_path)
    assert arms(gathered(folder)) == sorted(SKILL)


def test_looking_is_entered_into_the_ledger_once(tmp_path):
    folder = write_runs(field(SKILL), tmp_path)
    for _ in range(2):
        gathered(folder)
    openings = read_openings(ledger_path(tmp_path / "work", "f" * 64))
    assert [(opening.verb, opening.recipe) for opening in openings] == [("compare", "demo")]


@pytest.mark.parametrize("changed", [{"margin": 0.1}, {"primary": "edema"}, {"score_kind": "calibrated"}, {"sensitivity_targets": [0.8]}])
def test_plans_that_differ_are_refused_unless_one_is_said_to_count(tmp_path, changed):
    one = write_runs(field({"transfer": 1.0}), tmp_path)
    other = write_runs(field({"local-only": 1.0}), tmp_path, recipe="peer", evaluation=changed)
    with pytest.raises(ConfigError, match=f"different values of '{next(iter(changed))}'"):
        gathered(one, other)
    assert gathered(one, other, given=changed).plan


def test_a_point_of_a_learning_curve_is_refused(tmp_path):
    run = RunFolder(next(iter(write_runs(field({"transfer": 1.0}), tmp_path).iterdir())))
    run.recipe.write_text(yaml.safe_dump({**yaml.safe_load(run.recipe.read_text()), "local_share": 0.5}))
    with pytest.raises(ConfigError, match="share of the local patients"):
        gathered(run.path)


def test_tables_are_called_by_their_file_or_their_arm(tmp_path):
    table = field({"a": 1.0, "b": 1.0})
    table[table["arm"] == "a"].drop(columns=["arm", "finding", "domain"]).to_csv(tmp_path / "ours.csv", index=False)
    table.to_csv(tmp_path / "peer.csv", index=False)
    found = gathered(tmp_path / "ours.csv", tmp_path / "peer.csv")
    assert arms(found) == ["a", "b", "ours"]
    assert set(found.predictions["finding"]) == {"tuberculosis"}
    study = write_runs(field({"transfer": 1.0}), tmp_path / "runs")
    assert arms(gathered(study, tmp_path / "ours.csv")) == ["ours", "transfer"]  # a table without a finding has the recipe's
    table.assign(finding="edema", arm="c").drop_duplicates("sample_id").to_csv(tmp_path / "more.csv", index=False)
    with pytest.raises(ConfigError, match="hold 2 findings"):
        gathered(tmp_path / "more.csv", tmp_path / "peer.csv")
