# SPDX-License-Identifier: Apache-2.0
"""Training again: to the last bit here, by interval elsewhere; a forged run that no hash gives away is found."""

import json

import numpy as np
import pandas as pd
import pytest

from experiment.test_verify import edit, rehash
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.table import write_table
from medsetu.experiment.retrain import interval_checks, retrain
from medsetu.experiment.verdict import DIFFERS, NOTED, SAME, UNCHECKED, passed
from medsetu.experiment.verify import Sources


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """One folder for all: what was trained once is not trained again."""
    return tmp_path_factory.mktemp("again")


def again(folder, scratch, **settings):
    given = {"roots": {}, "margin": None, "exact": True} | settings
    return retrain([Sources().open(RunFolder(folder))], scratch=scratch, **given)


def failing(checks):
    return {(check.area, check.item): check.note for check in checks if check.status == DIFFERS}


def test_a_run_just_made_comes_to_the_same_bits(finished, scratch):
    checks = again(finished.run("transfer"), scratch)
    assert passed(checks)
    assert {check.status for check in checks} == {SAME}
    assert sum(check.area == "weights" for check in checks) == 2
    assert any("all to the last bit" in check.note for check in checks)


def test_another_seed_is_found_although_everything_was_rewritten(copied, scratch):
    run = copied.run("local-only")
    moved = run.rename(run.with_name(run.name.replace("-s0-", "-s1-")))
    edit(moved, "recipe.yaml", lambda text: text.replace("\nseed: 0\n", "\nseed: 1\n"))
    edit(moved, "provenance.json", lambda text: text.replace('"seed": 0,', '"seed": 1,'))
    table = pd.read_parquet(moved / "predictions.parquet")
    write_table(table.assign(seed=1, run=moved.name), moved / "predictions.parquet")
    rehash(moved)
    found = failing(again(moved, scratch))
    assert found[("training", "local-only-s1/finetune")] == "what decides this stage is another: seed"
    assert ("weights", "local-only-s1/finetune, trained again") in found


def test_flipped_weights_are_found_although_every_hash_was_rewritten(copied, scratch):
    run = copied.run("local-only")
    path = run / "checkpoints" / "finetune.safetensors"
    before = sha256_file(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    edit(run, "provenance.json", lambda text: text.replace(before, sha256_file(path)))
    assert set(failing(again(run, scratch))) == {("weights", "local-only-s0/finetune, trained again")}


def test_an_edited_prediction_is_found_although_every_hash_was_rewritten(copied, scratch):
    run = copied.run("local-only")
    table = pd.read_parquet(run / "predictions.parquet")
    table.loc[0, "score"] += 1e-9
    write_table(table, run / "predictions.parquet")
    rehash(run)
    (note,) = failing(again(run, scratch)).values()
    assert note.startswith("1 of 45 scores are others")


def test_another_split_of_the_recipe_is_found(copied, tmp_path):
    run = copied.run("local-only")
    edit(run, "recipe.yaml", lambda text: text.replace("split_seed: 0", "split_seed: 3"))
    assert ("data", "manifest built again from the films") in failing(again(run, tmp_path / "scratch"))


def test_on_another_machine_bits_are_noted_and_scores_decide(copied, scratch):
    run = copied.run("local-only")
    facts = json.loads((run / "provenance.json").read_text())
    edit(run, "provenance.json", lambda text: text.replace(facts["hardware"]["processor"], "another processor"))
    edit(run, "provenance.json", lambda text: text.replace(facts["stages"][0]["sha256"], "0" * 64))
    table = pd.read_parquet(run / "predictions.parquet")
    write_table(table.assign(score=table["score"] * 0.999), run / "predictions.parquet")
    checks = again(run, scratch)
    assert {check.item for check in checks if check.status == NOTED} == {"processor", "local-only-s0/finetune, trained again"}
    decided = [check for check in checks if check.item.startswith("scores of")]
    assert {check.item.split(", ")[1] for check in decided} == {"local tuberculosis", "global tuberculosis"}
    assert all("not shown to lie within ±0.05" in check.note for check in decided)  # so few films show nothing


def drawn(noise, *, per_class=100):
    rng = np.random.default_rng(0)
    label = np.repeat([1.0, 0.0], per_class)
    score = label + rng.normal(size=label.size)
    names = [f"s{n}" for n in range(label.size)]
    rows = pd.DataFrame({"sample_id": names, "patient_id": names, "domain": "local", "finding": "edema", "split": "test", "label": label})
    return rows.assign(score=score, score_again=score + noise * rng.normal(size=label.size))


def test_the_interval_must_lie_within_the_margin_whole():
    (near,) = interval_checks(drawn(0.01), item="scores", margin=0.05)
    (far,) = interval_checks(drawn(2.0), item="scores", margin=0.05)
    assert (near.status, far.status) == (SAME, DIFFERS)
    assert "200 films, paired by patient: within ±0.05" in near.note


def test_a_small_test_shows_nothing_and_does_not_pass():
    for films in (8, 15):
        (small,) = interval_checks(drawn(0.5, per_class=films), item="scores", margin=0.02)
        assert (small.status, "not shown" in small.note) == (DIFFERS, True)


def test_one_class_has_no_interval():
    rows = drawn(0.1)
    (check,) = interval_checks(rows[rows["label"] == 1], item="scores", margin=0.05)
    assert check.status == UNCHECKED


def test_settings_that_mean_nothing_are_refused(finished, scratch):
    with pytest.raises(ConfigError, match="no release 'phantom_locl'"):
        again(finished.run("local-only"), scratch, roots={"phantom_locl": "x"})
    with pytest.raises(ConfigError, match="no margin"):
        again(finished.run("local-only"), scratch, margin=0.0)
