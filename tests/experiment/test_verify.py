# SPDX-License-Identifier: Apache-2.0
"""Is a run still what it says? Each thing that may have changed is named."""

import json
import shutil

import pandas as pd
import pytest

from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.table import write_table
from medsetu.experiment import verify
from medsetu.experiment.record import environment
from medsetu.experiment.verdict import DIFFERS, SAME, UNCHECKED, passed
from medsetu.experiment.verify import Sources, check_run
from medsetu.manifest.frozen import load, save
from medsetu.manifest.prepared import fingerprint


def checks_of(folder, **settings):
    return check_run(Sources().open(RunFolder(folder)), **settings)


def failing(folder, **settings):
    return {(check.area, check.item) for check in checks_of(folder, **settings) if check.status == DIFFERS}


def rehash(folder):
    """Let done.json promise what is there now, as a careful forger would."""
    done = json.loads((folder / "done.json").read_text())
    done["files"] = {name: sha256_file(folder / name) for name in done["files"]}
    done["predictions"] = done["files"]["predictions.parquet"]
    (folder / "done.json").write_text(json.dumps(done))


def edit(folder, name, change):
    path = folder / name
    path.write_text(change(path.read_text()))
    rehash(folder)


def test_a_run_just_made_is_what_it_says_films_included(finished):
    checks = checks_of(finished.run("transfer"), images=None)
    assert passed(checks)
    (films,) = [check for check in checks if check.item == "films"]
    assert (films.status, films.found, films.note) == (SAME, "as recorded", "89 of 89 films hashed")
    assert {"code", "lock", "library", "parts", "weights", "seed", "split", "label", "data"} <= {check.area for check in checks}


def test_films_of_a_manifest_are_hashed_once_and_each_run_is_told(finished, monkeypatch):
    hashed, sources = [], Sources()
    monkeypatch.setattr(verify, "sha256_file", lambda path: hashed.append(path) or sha256_file(path))
    opened = [sources.open(RunFolder(finished.run(arm))) for arm in ("transfer", "local-only")]
    checks = [check for source in opened for check in check_run(source, images=None, here=environment())]
    assert passed(checks)
    assert sum("films" in str(path) for path in hashed) == 89
    assert sum(check.item == "films" for check in checks) == 2
    assert [source.recipe.raw["arm"] for source in opened] == ["transfer", "local-only"]


def test_an_edited_part_is_named(copied):
    run = copied.run("transfer")
    weights = run / "checkpoints" / "finetune.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert failing(run) == {("parts", "checkpoints/finetune.safetensors"), ("weights", "finetune")}
    rehash(run)
    assert failing(run) == {("weights", "finetune")}
    weights.unlink()
    assert failing(run) == {("parts", "checkpoints/finetune.safetensors"), ("weights", "finetune")}


def test_another_library_and_other_code_are_named(copied):
    run = copied.run("transfer")
    edit(run, "provenance.json", lambda text: text.replace('"torch": "', '"torch": "0.'))
    assert failing(run) == {("library", "torch")}
    facts = json.loads((run / "provenance.json").read_text())
    edit(run, "provenance.json", lambda text: text.replace(facts["source"], "0" * 64).replace(facts["lock"], "1" * 64))
    assert failing(run) == {("library", "torch"), ("code", "source files of medsetu"), ("lock", "requirements.lock")}


def test_a_library_that_tables_do_not_need_may_be_absent(copied):
    run = copied.run("transfer")
    edit(run, "provenance.json", lambda text: text.replace('"packages": {', '"packages": {\n    "flashlight": "1.0",'))
    assert [check.status for check in checks_of(run) if check.item == "flashlight"] == [UNCHECKED]


@pytest.mark.parametrize("name", ["recipe.yaml", "provenance.json"])
def test_another_seed_is_named(copied, name):
    run = copied.run("transfer")
    edit(run, name, lambda text: text.replace("\nseed: 0\n", "\nseed: 1\n").replace('"seed": 0,', '"seed": 1,'))
    assert ("seed", "arm, seed and fold of the recipe") in failing(run)


def test_another_seed_everywhere_but_in_the_predictions_is_named(copied):
    run = copied.run("transfer")
    edit(run, "recipe.yaml", lambda text: text.replace("\nseed: 0\n", "\nseed: 1\n"))
    edit(run, "provenance.json", lambda text: text.replace('"seed": 0,', '"seed": 1,'))
    found = failing(run)
    assert {("seed", "arm, seed and fold of the folder"), ("seed", "arm, seed and fold of the predictions")} <= found


def test_another_split_is_named(copied):
    place = copied.runs / "work" / "manifest" / "demo"
    prepared = load(place)
    side = (prepared.splits["domain"] == "local") & (prepared.splits["split"] != "unused")
    groups = prepared.manifest.set_index("sample_id")["group_id"]
    patient = prepared.splits["sample_id"].map(groups)
    test = prepared.splits["split"] == "test"
    first = patient[side & test].iloc[0]
    splits = prepared.splits.assign(split=prepared.splits["split"].where(~(side & (patient == first)), "train"))
    write_table(splits, place / "splits.parquet")
    assert failing(copied.run("transfer")) == {("data", "manifest"), ("split", "samples of this run")}  # the frozen file is damaged
    forged = type(prepared)(
        prepared.manifest,
        splits,
        prepared.quarantine,
        prepared.excluded,
        prepared.duplicates,
        fingerprint(prepared.manifest, splits),
        prepared.facts,
    )
    save(forged, place)
    expected = {("data", "manifest"), ("split", "samples of this run"), ("split", "split of each prediction")}
    assert failing(copied.run("transfer")) == expected
    edit(copied.run("transfer"), "recipe.yaml", lambda text: text.replace("split_seed: 0", "split_seed: 7"))
    assert failing(copied.run("transfer")) == expected | {("split", "seed of the splits")}


def test_an_edited_label_is_named(copied):
    run = RunFolder(copied.run("local-only"))
    table = pd.read_parquet(run.predictions)
    write_table(table.assign(label=table["label"].where(table.index != 0, 1 - table["label"])), run.predictions)
    rehash(run.path)
    assert failing(run.path) == {("label", "label and side of each prediction")}


def test_a_film_with_other_bytes_is_named(copied, compose, films, tmp_path):
    run = copied.run("local-only")
    moved = shutil.copytree(films, tmp_path / "films")
    place = copied.runs / "work" / "manifest" / "demo"
    prepared = load(place)
    roots = prepared.manifest["root"].str.replace(str(films), str(moved))
    save(type(prepared)(**{**vars(prepared), "manifest": prepared.manifest.assign(root=roots)}), place)
    assert failing(run, images=None) == set()
    path = next(moved.rglob("*.dcm"))
    path.write_bytes(path.read_bytes() + b"\0")
    assert failing(run, images=None) == {("data", "films")}
    shutil.rmtree(moved)
    assert [check.status for check in checks_of(run, images=None) if check.item == "films"] == [UNCHECKED]


def test_a_run_without_its_manifest_says_what_it_could_not_check(copied, tmp_path):
    run = shutil.copytree(copied.run("transfer"), tmp_path / "alone" / "demo" / copied.run("transfer").name)
    shutil.rmtree(copied.runs / "work")
    edit(run, "recipe.yaml", lambda text: text.replace(_recorded(text), str(copied.runs)))  # else the study of the session is found
    unchecked = {check.item for check in checks_of(run) if check.status == UNCHECKED}
    assert {"manifest", "samples of this run"} <= unchecked
    assert failing(run) == set()


def _recorded(text):
    return next(line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("  runs: "))


def test_a_run_older_than_the_hashes_of_parts_does_not_pass(copied):
    run = copied.run("transfer")
    (run / "done.json").write_text(json.dumps({"predictions": sha256_file(run / "predictions.parquet")}))
    assert failing(run) == {("parts", run.name)}
    (run / "provenance.json").write_text("{")
    assert failing(run) == {("parts", run.name)}
