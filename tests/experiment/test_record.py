# SPDX-License-Identifier: Apache-2.0
"""What a run writes down of itself."""

import json

from fakes.film import SENTINEL
from medsetu.core.run import sha256_file
from medsetu.core.signed import read_signed
from medsetu.experiment.record import OUTCOME, PACKAGES, PREDICTIONS, RECIPE, TABLE_PACKAGES, environment, machine, part_hashes


def test_the_environment_names_code_and_libraries():
    found = environment()
    assert len(found["source"]) == 64
    assert set(TABLE_PACKAGES) | {"torch"} <= set(found["packages"]) <= set(PACKAGES)
    assert environment() == found


def test_the_machine_is_a_kind_and_has_no_name():
    assert set(machine()) == {"machine", "processor", "cores"}


def test_parts_are_hashed_where_they_are(tmp_path):
    (tmp_path / "below").mkdir()
    part = tmp_path / "below" / "a.txt"
    part.write_text("a")
    assert part_hashes(tmp_path, [part, tmp_path / "gone"]) == {"below/a.txt": sha256_file(part)}


def test_a_run_knows_the_hashes_of_all_its_parts(finished):
    run = finished.run("transfer")
    files = json.loads((run / "done.json").read_text())["files"]
    stages = {f"checkpoints/{name}.safetensors" for name in ("pretrain", "finetune")}
    assert {"recipe.yaml", "provenance.json", "predictions.parquet", "features.npz"} | stages <= set(files)
    assert files == {name: sha256_file(run / name) for name in files}


def test_provenance_names_environment_machine_split_and_what_decided_each_stage(finished):
    facts = json.loads((finished.run("transfer") / "provenance.json").read_text())
    assert {**environment(), **facts} == facts
    assert {*machine(), "accelerator", "precision", "threads"} <= set(facts["hardware"])
    assert len(facts["splits"]) == 64
    assert all({"rows", "seed", "data", "backbone"} <= set(stage["parts"]) for stage in facts["stages"])
    assert SENTINEL not in json.dumps(facts)


def test_an_outcome_knows_its_runs_its_files_and_how_it_was_made(finished):
    facts, _ = read_signed(finished.study / OUTCOME, name="record", remedy="")
    assert facts["files"] == {name: sha256_file(finished.study / name) for name in facts["files"]}
    assert {RECIPE, PREDICTIONS, "results.parquet", "matrix.csv", "contrasts.csv", "ladder.csv", "report.html"} <= set(facts["files"])
    assert set(facts["runs"]) == {finished.run(arm).name for arm in ("global-only", "local-only", "transfer")}
    assert (facts["verb"], facts["standing"]["openings"]) == ("study", 1)
    assert SENTINEL not in json.dumps(facts)
