# SPDX-License-Identifier: Apache-2.0
"""Every table and the report follow from predictions alone; an edited one is found also where its hash was rewritten."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from experiment.conftest import run_study
from experiment.test_verify import rehash
from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.signed import read_signed, write_signed
from medsetu.core.table import write_table
from medsetu.experiment.curve import POINTS
from medsetu.experiment.record import OUTCOME
from medsetu.experiment.replay import check_outcome, outcomes_of
from medsetu.experiment.verdict import DIFFERS, SAME, UNCHECKED, passed
from medsetu.manifest.frozen import load, save

TABLES = {f"study/{name}" for name in ("results.parquet", "results.csv", "ladder.csv", "matrix.csv", "contrasts.csv", "report.html")}


def failing(folder):
    return {(check.area, check.item) for check in check_outcome(folder) if check.status == DIFFERS}


def sign_again(folder):
    """Let the record promise what is there now, as a careful forger would."""
    facts, _ = read_signed(folder / OUTCOME, name="", remedy="")
    facts["files"] = {name: sha256_file(folder / name) for name in facts["files"]}
    facts["runs"] = {name: sha256_file(folder.parent / name / "predictions.parquet") for name in facts["runs"]}
    write_signed(folder / OUTCOME, facts)


def test_a_study_just_made_follows_to_the_last_bit(finished):
    checks = check_outcome(finished.study)
    assert passed(checks)
    numbers = {check.item: check for check in checks if check.area == "numbers"}
    assert TABLES | {"study/predictions.parquet", "study/checklists.csv"} == set(numbers)
    assert all(check.status == SAME for check in numbers.values())
    assert "to the last byte" in numbers["study/report.html"].note
    assert int(numbers["study/results.parquet"].note.split()[0]) > 1000


@pytest.mark.parametrize("name", ["results.csv", "matrix.csv", "report.html"])
def test_an_edited_number_is_found_also_under_a_new_hash(copied, name):
    path = copied.study / name
    text = path.read_text()
    value = pd.read_csv(copied.study / "matrix.csv")["value"].dropna().iloc[0]
    old = f"{value:.3f}" if name.endswith("html") else repr(float(value))
    assert old in text
    path.write_text(text.replace(old, f"{value + 0.001:.3f}" if name.endswith("html") else repr(float(value) + 0.001)))
    assert {("parts", f"study/{name}"), ("numbers", f"study/{name}")} <= failing(copied.study)
    sign_again(copied.study)
    assert failing(copied.study) == {("numbers", f"study/{name}")}


def test_an_edited_prediction_is_found_although_every_hash_was_rewritten(copied):
    run = RunFolder(copied.run("transfer"))
    table = pd.read_parquet(run.predictions)
    tested = table.index[(table["split"] == "test") & (table["domain"] == "local")][0]
    table.loc[tested, "score"] = 1 - table.loc[tested, "score"]
    write_table(table, run.predictions)
    rehash(run.path)
    found = failing(copied.study)
    assert ("numbers", f"{run.path.name}/predictions.parquet") in found
    sign_again(copied.study)
    assert {("numbers", "study/predictions.parquet"), ("numbers", "study/results.parquet")} <= failing(copied.study)
    runs = [pd.read_parquet(copied.study.parent / name / "predictions.parquet") for name in read_runs(copied.study)]
    write_table(pd.concat(runs, ignore_index=True), copied.study / "predictions.parquet")
    sign_again(copied.study)
    assert {("numbers", "study/results.parquet"), ("numbers", "study/report.html")} <= failing(copied.study)


def read_runs(folder):
    return json.loads((folder / OUTCOME).read_text())["runs"]


def test_without_the_films_the_ladder_is_taken_and_told(copied):
    shutil.rmtree(copied.runs / "work" / "ladder")
    place = copied.runs / "work" / "manifest" / "demo"
    prepared = load(place)
    save(type(prepared)(**{**vars(prepared), "manifest": prepared.manifest.assign(root="nowhere")}), place)
    checks = {check.item: check for check in check_outcome(copied.study)}
    assert checks["study/ladder.csv"].status == UNCHECKED
    assert "the films are not here" in checks["study/report.html"].note
    assert passed(checks.values())


def test_without_runs_and_manifest_the_tables_still_follow(copied, tmp_path):
    alone = shutil.copytree(copied.study, tmp_path / "elsewhere" / "demo" / "study")
    recipe = alone / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  work: ", "  work: /nowhere"))
    sign = json.loads((alone / OUTCOME).read_text())
    sign.pop("sha256")
    sign["files"]["recipe.yaml"] = sha256_file(recipe)
    write_signed(alone / OUTCOME, sign)
    checks = check_outcome(alone)
    assert passed(checks)
    assert {"runs", "study/ladder.csv", "study/report.html"} == {check.item for check in checks if check.status == UNCHECKED}


def test_a_damaged_record_is_named(copied):
    path = copied.study / OUTCOME
    path.write_text(path.read_text().replace('"verb": "study"', '"verb": "train"'))
    assert failing(copied.study) == {("parts", OUTCOME)}
    path.unlink()
    assert failing(copied.study) == {("parts", OUTCOME)}


def test_what_cannot_be_derived_is_no_crash(copied):
    (copied.study / "recipe.yaml").write_text("name: demo\n")
    assert ("numbers", "study") in failing(copied.study)


def test_outcomes_are_found_by_the_runs_they_rest_on(finished):
    place = finished.runs / "demo"
    assert outcomes_of(place) == outcomes_of(place, run=finished.run("transfer").name) == [finished.study]
    assert outcomes_of(place, run="another") == []


def test_a_learning_curve_follows(compose, tmp_path):
    done = run_study(compose("study", tmp_path / "runs", "curve=[0.6]"))
    checks = {check.item: check for check in check_outcome(done.study) if check.area == "numbers"}
    assert {checks[f"study/{name}"].status for name in (POINTS, "curve.parquet")} == {SAME}
    path = done.study / POINTS
    table = pd.read_csv(path)
    table.assign(patients=table["patients"] + 1).to_csv(path, index=False)
    assert ("numbers", f"study/{POINTS}") in failing(done.study)


def test_no_torch_is_imported(finished):
    code = (
        "import sys\nfrom pathlib import Path\nfrom medsetu.experiment.replay import check_outcome\n"
        f"checks = check_outcome(Path({str(finished.study)!r}))\n"
        "sys.stdout.write(f'{len(checks)} {\"torch\" in sys.modules}')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == "False"
    assert int(said.split()[0]) > 10
