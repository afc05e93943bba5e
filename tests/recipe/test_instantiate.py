# SPDX-License-Identifier: Apache-2.0
"""Only objects whose real name is on the list are built, and nothing in YAML is computed."""

import math
from pathlib import Path

import pytest

from medsetu.core.errors import ConfigError
from medsetu.recipe.instantiate import build, resolve_target

SPLIT_PLAN = "medsetu.manifest.plan.SplitPlan"


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "builtins.exec",
        "subprocess.run",
        "torch.load",
        "torch.hub.load",
        "pickle.loads",
        "pathlib.Path",
        "hydra.utils.instantiate",
        "wandb.init",
        "medsetu",
    ],
)
def test_a_name_off_the_list_is_refused(name):
    with pytest.raises(ConfigError, match="is not allowed"):
        resolve_target(name, where="backbone")


@pytest.mark.parametrize(
    "alias",
    [
        "medsetu.core.run.os.replace",
        "medsetu.training.fit.logging.getLogger",
        "medsetu.cli.importlib.import_module",
        "medsetu.cli.os.system",
        "medsetu.backbone.fetch.torch.load",
        "medsetu.recipe.instantiate.hydra_instantiate",
        "torch.nn.modules.module.functools.partial",
    ],
)
def test_an_alias_is_judged_by_its_real_name(alias):
    with pytest.raises(ConfigError, match="is really"):
        resolve_target(alias, where="backbone")


def test_a_module_is_no_target():
    with pytest.raises(ConfigError):
        resolve_target("medsetu.manifest.plan", where="manifest")


def test_an_unsafe_target_is_refused_however_deep_it_lies(tmp_path):
    victim = tmp_path / "victim"
    node = {"_target_": SPLIT_PLAN, "known": {"a": [{"_target_": "os.system", "command": f"touch {victim}"}]}}
    with pytest.raises(ConfigError, match=r"manifest\.known\.a\[0\]"):
        build(node, where="manifest")
    assert not victim.exists()


def test_a_misspelt_class_offers_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'SplitPlan'"):
        resolve_target("medsetu.manifest.plan.SplitPlam", where="manifest")


def test_a_module_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"medsetu\.manifest'? has no 'plam'|does not exist"):
        resolve_target("medsetu.manifest.plam.SplitPlan", where="manifest")


@pytest.mark.parametrize("value", ["$import os", "$(rm -rf .)", "${oc.env:HOME}", "before ${oc.env:HOME}", "$__import__('os').getpid()"])
def test_yaml_never_computes(value):
    """T38."""
    with pytest.raises(ConfigError, match="recipes never compute"):
        build({"_target_": SPLIT_PLAN, "known": {"seen": value}}, where="manifest")


def test_yaml_never_computes_arithmetic():
    """T38: an expression stays the string it is and is refused by its type, or kept as text."""
    assert build({"value": "1 + 1", "call": "print(1)"}, where="free") == {"value": "1 + 1", "call": "print(1)"}


def test_an_unknown_key_offers_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'minimum_test'") as caught:
        build({"_target_": SPLIT_PLAN, "minimum_tset": 3}, where="manifest")
    assert "Under manifest" in str(caught.value)


def test_a_refusal_of_the_object_comes_back_unwrapped():
    with pytest.raises(ConfigError) as caught:
        build({"_target_": "medsetu.release.phantom.Phantom", "root": "phantom", "country": "lokal"}, where="sides.local.phantom")
    assert "lokal" in str(caught.value)
    assert "InstantiationException" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_argument_names_the_key():
    with pytest.raises(ConfigError, match="cannot be built") as caught:
        build({"_target_": "medsetu.release.phantom.Phantom"}, where="sides.local.phantom")
    assert caught.value.where == "Key sides.local.phantom"


def test_plain_data_comes_back_as_plain_data():
    node = {"a": [1, 2.5, None, "text"], "b": {"c": True}}
    back = build(node, where="free")
    assert back == node
    assert type(back) is dict
    assert type(back["a"]) is list


def test_nested_objects_are_built():
    plan = build(
        {"_target_": "medsetu.data.plan.DataPlan", "cache": "c", "augment": {"_target_": "medsetu.data.augment.Augmentation"}}, where="data"
    )
    assert type(plan.augment).__name__ == "Augmentation"
    assert Path(plan.cache).name == "c"
    assert math.isfinite(plan.augment.rotation)
