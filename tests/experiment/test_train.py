# SPDX-License-Identifier: Apache-2.0
"""One arm with one seed: the same weights whoever trains them, cross-fitting, and refusals in three sentences."""

import contextlib
import io
import json

import hydra
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from experiment.conftest import run_study
from fakes import cbis_ddsm, chexpert, dmid, mini_mias, montgomery, nih_chestxray14, nitrd, shenzhen, tb_chest_radiography_database
from medsetu.core.place import config_folder
from medsetu.experiment import train
from medsetu.recipe.app import plain

RELEASES = {  # folder below the data folder -> what writes it
    "nih_chestxray14": lambda root: nih_chestxray14.write(root, patients=60, films=1, prevalence=0.4),
    "tb_chest_radiography_database": lambda root: tb_chest_radiography_database.write(root, per_class=20),
    "nitrd_da": lambda root: nitrd.write(root, per_class=16, parts="A"),
    "nitrd_db": lambda root: nitrd.write(root, per_class=40, parts="B"),
    "shenzhen": lambda root: shenzhen.write(root, per_class=16),
    "montgomery": lambda root: montgomery.write(root, per_class=8),
    "chexpert": lambda root: chexpert.write(root, per_class=20),
    "cbis_ddsm": lambda root: cbis_ddsm.write(root, per_class=16),
    "dmid": lambda root: dmid.write(root, per_class=10),
    "mini_mias": lambda root: mini_mias.write(root, per_class=12),
}
RECIPES = sorted(path.stem for path in (config_folder() / "recipe").glob("*.yaml") if path.stem not in ("demo", "release"))
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


@pytest.mark.parametrize("words", [("train", "seed=abc"), ("train", "fold=1.5", *CROSSFIT), ("study", "seeds=[0,many]")])
def test_a_seed_that_is_no_number_is_refused_by_name(say, words):
    code, told = say(*words)
    assert code == 2, told
    assert "is not possible" in told


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A data folder with a tiny copy of every release that a recipe names."""
    root = tmp_path_factory.mktemp("releases")
    for name, write in RELEASES.items():
        write(root / name)
    table = nitrd.write(root / "hospital", per_class=16, parts="A")
    films = sorted(path.relative_to(table).as_posix() for path in table.rglob("*.jpg"))
    pd.DataFrame({"image": films, "pneumonia": [int("px" in film) for film in films]}).to_csv(table / "labels.csv", index=False)
    return root


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_a_step_on_tiny_copies_of_its_releases(name, releases, tmp_path):
    """The longest arm of each recipe, one batch per stage, through to the report."""
    words = ["backbone=resnet10t_scratch", "backbone.name=test_resnet", "backbone.weights=null", "backbone.size=32", "logger=csv"]
    words += ["data.build_workers=1", "data.progress=false", "evaluation.bootstrap=10", "evaluation.groups=[]"]
    words += ["manifest.crossfit.folds=2", "manifest.crossfit.repeats=1", "manifest.max_quarantine=0.5"]
    words += ["manifest.near.distance=0", "manifest.near.correlation=1.0"]  # fakes look alike
    words += ["+debug=fast", "trainer.accelerator=cpu", "trainer.precision=fp32", "trainer.limit_batches=1"]
    words += [f"paths.runs={tmp_path}", f"paths.data={releases}"]
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = plain(hydra.compose("train", [f"recipe={name}", *words]))
    for stage in config["stages"].values():
        stage.update(epochs=1, batch_size=8)
    config["arm"] = max((arm for arm, stages in config["arms"].items() if stages), key=lambda arm: len(config["arms"][arm]))
    out = train_quietly(config)
    assert "Report: " in out
    run = next((tmp_path / name).glob(f"{config['arm'].replace(':', '.')}-s0-*[0-9a-f]/provenance.json")).parent
    assert len(stages_of(run)) == len(config["arms"][config["arm"]])
