# SPDX-License-Identifier: Apache-2.0
"""One arm with one seed: the same weights whoever trains them, cross-fitting, and refusals in three sentences."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from experiment.conftest import run_study
from medsetu.experiment import train

CROSSFIT = ("manifest.crossfit.when=always", "manifest.crossfit.folds=2", "manifest.crossfit.repeats=1", "logger=csv")


def train_quietly(config):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        train.main(config)
    return out.getvalue()


def stages_of(run):
    return json.loads((run / "provenance.json").read_text())["stages"]


@pytest.fixture(scope="module")
def crossfitted(compose, tmp_path_factory):
    """A study whose local side is cross-fitted in two folds."""
    return run_study(compose("study", tmp_path_factory.mktemp("crossfit") / "runs", *CROSSFIT))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(compose, finished, tmp_path, workers):
    train_quietly(compose("train", tmp_path / "runs", "arm=local-only", "seed=0", f"data.workers={workers}", "logger=csv"))
    (run,) = (tmp_path / "runs" / "demo").glob("local-only-s0-*")
    before = finished.run("local-only")
    assert run.name == before.name
    assert [one["sha256"] for one in stages_of(run)] == [one["sha256"] for one in stages_of(before)]
    assert (run / "predictions.parquet").read_bytes() == (before / "predictions.parquet").read_bytes()


def test_another_seed_gives_other_weights(compose, finished, tmp_path):
    train_quietly(compose("train", tmp_path / "runs", "arm=local-only", "seed=1", "logger=csv"))
    (run,) = (tmp_path / "runs" / "demo").glob("local-only-s1-*")
    assert stages_of(run)[0]["sha256"] != stages_of(finished.run("local-only"))[0]["sha256"]


def test_each_local_film_is_tested_once_per_arm_and_seed(crossfitted):
    table = pd.read_parquet(crossfitted.study / "predictions.parquet")
    local = table[(table["domain"] == "local") & (table["split"] == "test") & (table["finding"] == "tuberculosis")]
    films = pd.read_parquet(crossfitted.runs / "work/manifest/demo/manifest.parquet").query("split == 'crossfit'")["sample_id"]
    for arm, rows in local.groupby("arm"):
        assert sorted(rows["sample_id"]) == sorted(films)
        assert set(rows["fold"]) == ({-1} if arm == "global-only" else {0, 1})


def test_folds_share_the_stage_that_learns_from_the_global_side(crossfitted):
    runs = [*(crossfitted.runs / "demo").glob("transfer-s0-f?-*"), *(crossfitted.runs / "demo").glob("global-only-s0-*")]
    assert len(runs) == 3
    assert len({stages_of(run)[0]["key"] for run in runs}) == 1
    assert len(list(crossfitted.runs.glob("stages/pretrain-*"))) == 1
    assert len(list(crossfitted.runs.glob("stages/finetune-*"))) == 4


def test_one_fold_can_be_trained_alone(compose, crossfitted, tmp_path):
    train_quietly(compose("train", tmp_path / "runs", "arm=local-only", "fold=0", *CROSSFIT))
    (run,) = (tmp_path / "runs" / "demo").glob("local-only-s0-f*")
    (same,) = (crossfitted.runs / "demo").glob("local-only-s0-f0-*")
    assert (run / "predictions.parquet").read_bytes() == (same / "predictions.parquet").read_bytes()


def own_films(folder, labels):
    """A release of one's own: one film per patient."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(len(labels)):
        Image.fromarray(rng.integers(0, 255, (48, 48), dtype=np.uint8)).save(folder / f"{number}.png")
    rows = [{"image": f"{number}.png", "pid": f"P{number}", "tb": label} for number, label in enumerate(labels)]
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return [
        "arm=local-only",
        "~sides.local.phantom_local",
        "+release@sides.local.mine=table",
        f"sides.local.mine.root={folder}",
        f"sides.local.mine.labels={folder / 'labels.csv'}",
        "+sides.local.mine.columns.patient=pid",
        "sides.local.mine.finding_columns={tuberculosis: tb}",
    ]


def test_a_missing_release_folder_is_refused(say, tmp_path):
    words = own_films(tmp_path / "mine", [0, 1])
    code, said = say(
        "train", *words, f"sides.local.mine.root={tmp_path / 'nowhere'}", f"sides.local.mine.labels={tmp_path / 'nowhere.csv'}"
    )
    assert code == 3
    assert "nowhere" in said


def test_a_local_side_of_one_class_is_refused(say, tmp_path):
    code, said = say("train", *own_films(tmp_path / "mine", [0] * 24))
    assert code == 3
    assert "tuberculosis" in said


def test_three_samples_are_refused(say, tmp_path):
    code, _ = say("train", *own_films(tmp_path / "mine", [0, 1, 0]))
    assert code == 3


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["stages.finetune.findings=[tuberculoses]"], "Did you mean 'tuberculosis'?"),
        (["stages.finetune.epoch=3"], "Did you mean 'epochs'?"),
        (["arm=transfers"], "Did you mean 'transfer'?"),
        (["evaluation.primary=effusion"], "evaluation.primary"),
    ],
)
def test_a_wrong_word_is_refused_with_the_nearest(say, words, hint):
    code, said = say("train", *words)
    assert code == 2
    assert hint in said


def test_weights_of_another_architecture_are_refused(say, finished):
    weights = finished.run("global-only") / "checkpoints" / "pretrain.safetensors"
    code, said = say("train", "backbone.name=resnet10t", f"backbone.weights=file:{weights}")
    assert code == 8
    assert "pretrain.safetensors" in said


@pytest.mark.parametrize(
    "words", [("arm=transfer", "fold=7", *CROSSFIT), ("arm=global-only", "fold=0", *CROSSFIT), ("arm=transfer", "fold=0")]
)
def test_a_fold_that_does_not_exist_is_refused(say, words):
    code, told = say("train", *words)
    assert code == 2
    assert "has no fold" in told
