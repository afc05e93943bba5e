# SPDX-License-Identifier: Apache-2.0
"""Configs mirror the code, and the recipe wins."""

import inspect
import shutil
from collections.abc import Iterator
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.recipe.instantiate import resolve_target

FOLDER = config_folder()
PACKAGES = {path.name for path in (FOLDER.parent / "src" / "medsetu").iterdir() if path.is_dir()}
WITHOUT_TARGETS = {"catalog", "recipe", "launcher", "debug", "local", "paths", "hydra"}
GROUPS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name not in WITHOUT_TARGETS)
PLAN_GROUPS = ("backbone", "data", "evaluation", "logger", "manifest")  # one choice each in every verb
FILES = [path for group in GROUPS for path in sorted((FOLDER / group).glob("*.yaml"))]
RECIPES = sorted(path.stem for path in (FOLDER / "recipe").glob("*.yaml"))
RECIPE_VERBS = ["prepare", "train", "search", "study", "seal", "reproduce"]
HYDRA_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def _label(value: object) -> str:
    return str(value.relative_to(FOLDER)) if hasattr(value, "relative_to") else str(value)


def _read(path) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False) or {}


def _nodes(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with a ``_target_``, with the place it stands at."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield where, node
        for key, value in node.items():
            yield from _nodes(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nodes(value, f"{where}[{index}]")


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, node


def _compose(verb: str, *overrides: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(FOLDER), version_base="1.3"):
        return OmegaConf.to_container(hydra.compose(verb, list(overrides)), resolve=False)


def _foreign_keys(node: dict[str, Any], where: str) -> set[str]:
    parameters = inspect.signature(resolve_target(node["_target_"], where=where)).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return set()
    return set(node) - HYDRA_KEYS - {"defaults"} - set(parameters)


def test_the_groups_are_found():
    assert {"backbone", "data", "evaluation", "logger", "manifest", "release", "training", "tuning"} <= set(GROUPS)


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_a_group_targets_its_own_package_or_third_parties(path):
    group = path.parent.name
    for where, node in _nodes(_read(path), path.stem):
        target = node["_target_"]
        own = target.startswith("medsetu.")
        assert target.startswith(f"medsetu.{group}.") if own else group not in PACKAGES, f"{where}: {target}"


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_every_key_exists_in_the_signature_of_its_target(path):
    for where, node in _nodes(_read(path), path.stem):
        assert _foreign_keys(node, where) == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name in PLAN_GROUPS], ids=_label)
def test_every_option_composes_into_keys_its_targets_know(path):
    group = path.parent.name
    config = _compose("train", f"{group}={path.stem}")
    nodes = list(_nodes(config[group], group))
    assert nodes
    for where, node in nodes:
        assert _foreign_keys(node, where) == set()


@pytest.mark.parametrize("path", sorted((FOLDER / "tuning").glob("*.yaml")), ids=_label)
def test_every_tuning_replaces_the_one_of_a_stage(path):
    config = _compose("train", f"tuning@stages.finetune.tuning={path.stem}")
    node = config["stages"]["finetune"]["tuning"]
    assert node == {**node, **_read(path)}
    assert _foreign_keys(node, "tuning") == set()


@pytest.mark.parametrize("path", sorted((FOLDER / "training").glob("loss_*.yaml")), ids=_label)
def test_every_loss_replaces_the_one_of_a_stage(path):
    node = _compose("train", f"training@stages.finetune.loss={path.stem}")["stages"]["finetune"]["loss"]
    assert node["_target_"] == _read(path)["_target_"]
    assert _foreign_keys(node, "loss") == set()


@pytest.mark.parametrize("key", ["mix", "resize"])
def test_films_of_a_stage_may_be_mixed_and_shrunk(key):
    node = _compose("train", f"+training@stages.finetune.{key}={key}")["stages"]["finetune"][key]
    assert node == _read(FOLDER / "training" / f"{key}.yaml")


@pytest.mark.parametrize("path", sorted((FOLDER / "release").glob("*.yaml")), ids=_label)
def test_every_release_fits_every_side(path):
    config = _compose("train", f"+release@sides.external.own={path.stem}")
    assert config["sides"]["external"]["own"]["_target_"].startswith(f"medsetu.release.{path.stem}.")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_every_object_of_a_recipe_knows_its_keys(verb, recipe):
    for where, node in _nodes(_compose(verb, f"recipe={recipe}"), verb):
        assert _foreign_keys(node, where) == set(), where


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_recipe_wins(verb, recipe):
    """T39: every leaf of a recipe survives composition in every verb that takes one."""
    own = _read(FOLDER / "recipe" / f"{recipe}.yaml")
    own.pop("defaults", None)
    composed = dict(_leaves(_compose(verb, f"recipe={recipe}")))
    leaves = dict(_leaves(own))
    assert {("name",), ("question",)} < set(leaves)
    assert {path: (value, composed.get(path)) for path, value in leaves.items() if composed.get(path) != value} == {}


@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_recipe_wins_over_every_value_of_the_verb(verb, tmp_path):
    """T39: also where a recipe sets a key of the verb itself, or one that every group before it has set."""
    (tmp_path / "recipe").mkdir()
    own = {"seed": 41, "split_seed": 42, "use": "commercial", "manifest": {"val": 0.43}, "trainer": {"save_every_s": 44.0}}
    own |= {"data": {"augment": {"rotation": 45.0}}, "paths": {"data": "elsewhere"}, "stages": {"finetune": {"epochs": 46}}}
    text = "# @package _global_\ndefaults:\n  - demo\n  - _self_\n" + OmegaConf.to_yaml(OmegaConf.create(own))
    (tmp_path / "recipe" / "own.yaml").write_text(text)
    composed = dict(_leaves(_compose(verb, "recipe=own", f"hydra.searchpath=['file://{tmp_path}']")))
    assert {path: composed[path] for path, _ in _leaves(own)} == dict(_leaves(own))


@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_a_verb_puts_itself_first_and_the_recipe_last(verb):
    defaults = _read(FOLDER / f"{verb}.yaml")["defaults"]
    assert defaults[0] == "_self_"
    assert list(defaults[-1]) == ["recipe"]


def test_a_recipe_that_does_not_come_last_would_be_found(tmp_path):
    """T39 with the fault planted: the order our prototype had."""
    copy = shutil.copytree(FOLDER, tmp_path / "configs")
    text = (copy / "train.yaml").read_text(encoding="utf-8")
    (copy / "train.yaml").write_text(text.replace("  - _self_\n", "").replace("  - recipe: demo\n", "  - recipe: demo\n  - _self_\n"))
    with hydra.initialize_config_dir(str(copy), version_base="1.3"):
        assert hydra.compose("train", ["recipe=nih_findings"])["arm"] != _read(FOLDER / "recipe" / "nih_findings.yaml")["arm"]


def test_the_command_line_wins_over_the_recipe():
    assert _compose("train", "recipe=demo", "stages.finetune.epochs=3")["stages"]["finetune"]["epochs"] == 3


def test_no_config_names_a_target_off_the_list(tmp_path):
    with pytest.raises(ConfigError):
        _foreign_keys({"_target_": "os.system", "command": "true"}, "planted")


def test_a_planted_key_would_be_found():
    assert _foreign_keys({"_target_": "medsetu.manifest.plan.SplitPlan", "vall": 0.1}, "planted") == {"vall"}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=_label)
def test_no_config_holds_an_expression_or_a_path_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    assert "${eval" not in text
    if path.parent.name != "catalog":
        values = [str(value) for _, value in _leaves(_read(path))]
        assert [value for value in values if value.startswith(("/home", "/work", "/root", "$(", "$ ", "C:"))] == []
