# SPDX-License-Identifier: Apache-2.0
"""From folders and tables to contestants, and what may not be mixed."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from contest.cohort import field
from fakes.run_folder import write_runs
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder, write_json
from medsetu.experiment.contender import contenders, costs_of
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load, save
from medsetu.manifest.ledger import ledger_path, read_openings
from medsetu.manifest.prepared import fingerprint
from medsetu.recipe.recipe import build_recipe

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


def test_costs_are_means_over_runs_in_hours_and_unknown_ones_nan(tmp_path):
    table = field(SKILL, seeds=2)
    folder = write_runs(table, tmp_path, parameters_trained=7, parameters_total=9, peak_memory_bytes=11)
    cost = costs_of(finished_runs([folder]))["transfer:lora"]
    assert (cost.hours, cost.last_hours, cost.device, cost.labels_used, cost.runs) == (0.1, 0.1, "CPU", 70, 2)
    assert (cost.parameters_trained, cost.parameters_total, cost.peak_memory_bytes) == (7, 9, 11)
    old = costs_of(finished_runs([write_runs(table, tmp_path / "old")]))["transfer:lora"]
    assert np.isnan([old.parameters_trained, old.parameters_total, old.peak_memory_bytes]).all()


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


@pytest.fixture
def manifests(copied, tmp_path):
    """Two runs of one study, of which the second names a manifest that a change has made."""
    recipe = build_recipe(copied.config)
    prepared = load(manifest_folder(recipe))

    def changed(make):
        manifest, splits = make(prepared.manifest.copy(), prepared.splits.copy())
        other = replace(prepared, manifest=manifest, splits=splits, fingerprint=fingerprint(manifest, splits))
        work = tmp_path / "other"
        save(other, work / "manifest" / recipe.name)
        run = RunFolder(copied.run("transfer"))
        write_json(run.provenance, {**json.loads(run.provenance.read_text()), "manifest": other.fingerprint})
        raw = yaml.safe_load(run.recipe.read_text())
        run.recipe.write_text(yaml.safe_dump({**raw, "paths": {**raw["paths"], "work": str(work)}}))
        return [copied.run("local-only"), run.path]

    return changed


def _relabelled(manifest, splits):
    here = (manifest["domain"] == "local") & (manifest["tuberculosis"] == 0)
    first = manifest.index[here][0]
    manifest.loc[first, "tuberculosis"] = 1.0
    return manifest, splits


def _fewer(manifest, splits):
    gone = manifest.loc[manifest["domain"] == "local", "sample_id"].iloc[0]
    return manifest[manifest["sample_id"] != gone].reset_index(drop=True), splits[splits["sample_id"] != gone].reset_index(drop=True)


def _resplit(manifest, splits):
    mine = (splits["domain"] == "local") & (splits["split"] == "train")
    turned = splits.index[mine][0]
    group = manifest.set_index("sample_id").loc[splits.loc[turned, "sample_id"], "group_id"]
    films = manifest.loc[manifest["group_id"] == group, "sample_id"]
    splits.loc[splits["sample_id"].isin(films), "split"] = "val"
    manifest.loc[manifest["sample_id"].isin(films), "split"] = "val"
    return manifest, splits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_relabelled, "label policies differ on 1 films"),
        (_fewer, "test films differ: 1 films are in one manifest only"),
        (_resplit, "splits differ"),
    ],
)
def test_what_differs_between_manifests_is_named_with_the_runs(manifests, change, words):
    inputs = manifests(change)
    with pytest.raises(DataError, match=words) as refused:
        gathered(*inputs)
    assert all(path.name in str(refused.value) for path in inputs)


def test_another_global_side_is_another_pretraining_and_no_hindrance(manifests):
    def other_world(manifest, splits):
        there = manifest.index[manifest["domain"] == "global"][0]
        manifest.loc[there, "sha256"] = "0" * 64
        return manifest, splits

    assert len(arms(gathered(*manifests(other_world)))) == 2


def test_a_manifest_that_is_gone_cannot_be_compared(tmp_path):
    one = write_runs(field({"transfer": 1.0}), tmp_path)
    other = write_runs(field({"local-only": 1.0}), tmp_path, recipe="peer", manifest="0" * 64)
    with pytest.raises(DataError, match="manifests differ, and one of them is not there"):
        gathered(one, other)
