# SPDX-License-Identifier: Apache-2.0
"""Hydra's complaints become ours: what, where, and the nearest name."""

import sys

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.place import config_folder
from medsetu.recipe.app import explain, plain, run_verb
from medsetu.recipe.launch import spoken


def run(words, *, verb="train", task=lambda config: config):
    seen = []
    run_verb(verb, words, task=lambda config: seen.append(task(config)), folder=config_folder())
    return seen[0]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_task_receives_plain_data():
    config = run(["seed=7", "backbone.size=64"])
    assert type(config) is dict
    assert type(config["backbone"]) is dict
    assert (config["seed"], config["backbone"]["size"]) == (7, 64)
    assert "hydra" not in config


def test_a_verb_leaves_nothing_of_its_command_line_to_the_next():
    assert run(["recipe=demo", "seed=3"], task=lambda config: spoken()) == ("demo", ("seed=3",))
    assert not HydraConfig.initialized()
    assert spoken() == ("", ())


def test_the_words_of_the_process_come_back(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "-q"])
    run([])
    assert sys.argv == ["pytest", "-q"]


@pytest.mark.parametrize(
    ("words", "where", "remedy"),
    [
        (["recipe=dmo"], "Config group 'recipe'", "Did you mean 'demo'?"),
        (["backbone=resnt18_timm"], "Config group 'backbone'", "Did you mean 'resnet18_timm'?"),
        (["backbon=resnet18_timm"], "At the top level", "Did you mean 'backbone'?"),
        (["backbone.siz=3"], "Under 'backbone'", "Did you mean 'size'?"),
        (["stages.finetune.epoch=3"], "Under 'stages.finetune'", "Did you mean 'epochs'?"),
        (["recipe=tb_global_to_india", "stages.tuberculosi.epochs=3"], "Under 'stages'", "Did you mean 'tuberculosis'?"),
        (["data=boxes", "data.augment.rotatoin=3"], "Under 'data.augment'", "Did you mean 'rotation'?"),
        (["+release@sides.external.own=nitrd", "sides.external.own.prt=B"], "Under 'sides.external.own'", "Did you mean 'part'?"),
        (["recipe=tb_global_to_india", "seeed=3", "stages.tuberculosi.epochs=3"], "At the top level", "Did you mean 'seed'?"),
        (["+release@sides.local.ibcd=ibcd"], "medsetu catalog show ibcd", "Look at dmid"),
        (["+release@sides.local.mammo_bench=mammo_bench"], "medsetu catalog show mammo_bench", "release=table"),
        (["manifest.known={nih: seen.csv}"], "Key 'manifest.known.nih'", "'+manifest.known={...}'"),
        (["--config-dir", "nowhere"], "Command line", "Correct the path"),
        (["seed"], "Command line", "key=value"),
        (["arms=[a"], "Command line", "key=value"),
    ],
)
def test_a_mistake_is_explained(words, where, remedy):
    with pytest.raises(ConfigError) as caught:
        run(words)
    assert caught.value.where.startswith(where)
    assert remedy.rstrip(".") in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_mistake_under_the_users_own_recipe(tmp_path):
    own = tmp_path / "mine" / "recipe"
    own.mkdir(parents=True)
    text = (config_folder() / "recipe" / "demo.yaml").read_text()
    (own / "mine.yaml").write_text(text.replace("stages.finetune", "stages.homecoming").replace("  finetune:", "  homecoming:"))
    with pytest.raises(ConfigError, match="Did you mean 'homecoming'"):
        run(["--config-dir", str(tmp_path / "mine"), "recipe=mine", "stages.homecomin.epochs=1"])


def test_a_refusal_of_the_verb_stays_what_it_is():
    def refuse(config):
        raise DataError(what="A file is broken", where="Sample x", remedy="Replace it")

    with pytest.raises(DataError, match="A file is broken"):
        run([], task=refuse)


def test_a_fault_of_the_verb_is_not_blamed_on_the_command_line():
    def fail(config):
        raise ValueError("internal")

    with pytest.raises(ValueError, match=r"^internal$"):
        run([], task=fail)


def test_a_medsetu_error_in_the_chain_is_found():
    inner = DataError(what="A file is broken", where="Sample x", remedy="Replace it")
    outer = ValueError("outer")
    outer.__cause__ = inner
    assert explain(outer, verb="train", folder=config_folder()) is inner


def test_plain_names_the_missing_value():
    with pytest.raises(ConfigError, match=r"evaluation\.primary"):
        plain(OmegaConf.create({"evaluation": {"primary": "???"}}))


def test_plain_names_the_interpolation_that_leads_nowhere():
    with pytest.raises(ConfigError, match="work"):
        plain(OmegaConf.create({"paths": {"work": "${paths.nowhere}/work"}}))


def test_a_mandatory_value_on_the_command_line():
    with pytest.raises(ConfigError, match="run=<value>"):
        run([], verb="evaluate")


@pytest.mark.parametrize(
    ("verb", "words"), [("monitor", ["scores=in"]), ("deidentify", ["in=in", "out=out"]), ("shift", ["run=scores.csv"])]
)
def test_names_of_columns_can_be_given_on_the_command_line(verb, words):
    assert run([*words, "columns={score: probability}"], verb=verb)["columns"]["score"] == "probability"


@pytest.mark.parametrize(("verb", "word", "near"), [("prepare", "relase=nitrd", "release"), ("study", "recpe=demo", "recipe")])
def test_a_misspelt_group_at_the_top_offers_the_nearest(verb, word, near):
    with pytest.raises(ConfigError, match=f"Did you mean '{near}'"):
        run_verb(verb, [word], task=lambda _: None, folder=config_folder())
