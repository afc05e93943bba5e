# SPDX-License-Identifier: Apache-2.0
"""A search on two phantom countries: killed and resumed, without a look at the test, and its winner studied."""

import json
import os
import shutil
import signal

import hydra
import pandas as pd
import pytest

from experiment.conftest import tiny
from medsetu.core.errors import ConfigError, DivergedError
from medsetu.core.place import config_folder
from medsetu.experiment import cell as cell_module
from medsetu.experiment import search
from medsetu.experiment.design import Cell, assignment_of
from medsetu.experiment.prepare import manifest_folder
from medsetu.experiment.stage import put_together
from medsetu.manifest.frozen import load
from medsetu.recipe.app import plain
from medsetu.recipe.recipe import build_recipe
from medsetu.search.trial import Proposal
from medsetu.training.hardware import Hardware

FEW = ("logger=csv", "arm=local-only", "stages.finetune.epochs=2", "search.trials=3", "search.startup=1", "search.warmup=1")


def table(runs):
    (found,) = (runs / "demo" / "search").glob("local-only-*/trials.csv")
    return pd.read_csv(found).drop(columns="seconds")


@pytest.fixture(scope="module")
def done(compose, tmp_path_factory):
    runs = tmp_path_factory.mktemp("search") / "runs"
    search.main(compose("search", runs, *FEW))
    return runs


def test_every_trial_ends_and_is_stored(done):
    trials = table(done)
    assert list(trials["trial"]) == [0, 1, 2]
    finished = trials[trials["state"] == "finished"]
    assert len(finished) >= 1
    assert trials["stages.finetune.lr"].nunique() == 3
    for stage in finished["stage"]:
        facts = json.loads((done / "stages" / f"finetune-{stage}" / "stage.json").read_text())
        assert facts["best_value"] == pytest.approx(float(finished.loc[finished["stage"] == stage, "value"].iloc[0]))


def test_no_test_was_opened_and_none_could_have_been(done, compose, monkeypatch):
    assert not (done / "work" / "ledger").exists()
    assert not list(done.rglob("predictions.parquet"))
    prepared = load(manifest_folder(build_recipe(compose("search", done, *FEW))))
    tested = set(prepared.manifest.loc[prepared.manifest["split"] == "test", "sample_id"])
    assert tested
    seen = {name for path in done.rglob("validation/*.parquet") for name in pd.read_parquet(path)["sample_id"]}
    assert seen
    assert not seen & tested
    given = []
    real = cell_module.run_stage
    monkeypatch.setattr(
        cell_module, "run_stage", lambda *args, manifest, **more: given.append(manifest) or real(*args, manifest=manifest, **more)
    )
    search.main(compose("search", done, *FEW, "search.trials=4"))
    assert given
    assert not {name for manifest in given for name in manifest["sample_id"]} & tested
    assert len(table(done)) == 4, "more trials are the same search"


def test_a_killed_search_ends_as_one_that_was_not(compose, done, tmp_path, monkeypatch):
    config = compose("search", tmp_path / "runs", *FEW, "search.trials=4")
    shutil.copytree(done / "work", tmp_path / "runs" / "work")  # a forked process starts no pool to read films
    child = os.fork()
    if child == 0:
        real = Proposal.judge

        def judge(self, epoch, value):
            answer = real(self, epoch, value)
            if (self.number, epoch) == (1, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        monkeypatch.setattr(Proposal, "judge", judge)
        try:
            search.main(config)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    search.main(config)
    search.main(compose("search", done, *FEW, "search.trials=4"))
    pd.testing.assert_frame_equal(table(tmp_path / "runs"), table(done))


def test_the_best_recipe_is_one_that_study_accepts(done, films):
    (folder,) = (done / "demo" / "search").glob("local-only-*")
    told = json.loads((folder / "search.json").read_text())
    words = [*tiny("study", films, done), *(word for word in FEW[2:3]), "recipe=demo_best", f"hydra.searchpath=['file://{folder}']"]
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = plain(hydra.compose("study", words))
    recipe = build_recipe(config)
    assert recipe.name == "demo_best"
    assert recipe.stages["finetune"].lr == told["best"]["values"]["stages.finetune.lr"]
    prepared = load(manifest_folder(build_recipe(config | {"name": "demo"})))
    cell = Cell("local-only", 0)
    stage = put_together(
        recipe,
        "finetune",
        manifest=prepared.manifest,
        assignment=assignment_of(prepared, cell),
        seed=0,
        previous=None,
        hardware=Hardware("cpu", "32-true"),
    )
    assert stage.key == told["best"]["stages"][-1], "the study finds the winner's weights in the store"
    assert any("optimistic" in sentence or "cannot be said" in sentence for sentence in told["sentences"])


def test_a_trial_that_diverges_is_one_of_them(compose, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise DivergedError(what="An output is not a number", where="Validation", remedy="Lower the learning rate")

    monkeypatch.setattr(search, "run_stages", fail)
    with pytest.raises(DivergedError, match=r"None of 3 trials came to an end.*An output is not a number"):
        search.main(compose("search", tmp_path / "runs", *FEW))
    assert capsys.readouterr().err.count("] failed") == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["+search.space.stages.finetune.lrr=[1,2]"], "Did you mean 'lr'"),
        (["search=empty"], "nothing to search"),
        (["search.trials=0"], "trials=0"),
        (["+search.space.seed=[0,1]"], "luck"),
        (["+search.space.manifest.test=[0.1,0.2]"], "who is tested"),
        (["arm=transfr"], "no arm"),
        (["trainer.devices=2"], "cannot be given up"),
        (["fold=1"], "no fold 1"),
    ],
)
def test_what_is_refused_before_any_training(compose, tmp_path, words, says):
    with pytest.raises(ConfigError, match=says):
        search.main(compose("search", tmp_path / "runs", *[word for word in FEW if word.split("=")[0] not in "".join(words)], *words))
    assert not (tmp_path / "runs" / "stages").exists()


def test_the_command_line_says_what_was_found(say):
    code, text = say("search", *FEW, "search.trials=1")
    assert code == 0
    assert "Trial 0 is best of 1" in text
    assert "recipe=demo_best" in text
    assert "stages.finetune.epochs=2" in text.split("Study it:")[1]
    assert "search.trials" not in text.split("Study it:")[1]
    assert "ZZ^SENTINEL" not in text
