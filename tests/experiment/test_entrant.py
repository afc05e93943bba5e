# SPDX-License-Identifier: Apache-2.0
"""What runs have cost, and whether their manifests may be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from contest.cohort import field
from fakes.run_folder import write_runs
from medsetu.core.errors import DataError
from medsetu.core.run import RunFolder, write_json
from medsetu.experiment.contender import contenders
from medsetu.experiment.entrant import costs_of
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load, save
from medsetu.manifest.prepared import fingerprint
from medsetu.recipe.recipe import build_recipe


def gathered(*inputs):
    return contenders(list(inputs), columns={}, given={})


def test_costs_are_means_over_runs_in_hours_and_unknown_ones_nan(tmp_path):
    table = field({"transfer:lora": 2.0}, seeds=2)
    folder = write_runs(table, tmp_path, parameters_trained=7, parameters_total=9, peak_memory_bytes=11)
    cost = costs_of(finished_runs([folder]))["transfer:lora"]
    assert (cost.hours, cost.last_hours, cost.device, cost.labels_used, cost.runs) == (0.1, 0.1, "CPU", 70, 2)
    assert (cost.parameters_trained, cost.parameters_total, cost.peak_memory_bytes) == (7, 9, 11)
    old = costs_of(finished_runs([write_runs(table, tmp_path / "old")]))["transfer:lora"]
    assert np.isnan([old.parameters_trained, old.parameters_total, old.peak_memory_bytes]).all()


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

    assert gathered(*manifests(other_world)).predictions["arm"].nunique() == 2


def test_a_manifest_that_is_gone_cannot_be_compared(tmp_path):
    one = write_runs(field({"transfer": 1.0}), tmp_path)
    other = write_runs(field({"local-only": 1.0}), tmp_path, recipe="peer", manifest="0" * 64)
    with pytest.raises(DataError, match="manifests differ, and one of them is not there"):
        gathered(one, other)
