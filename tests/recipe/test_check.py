# SPDX-License-Identifier: Apache-2.0
"""What a recipe may do is asked before the first batch."""

import dataclasses

import pytest

from medsetu.core.errors import ConfigError, LicenceError
from medsetu.recipe.check import cards_of, check_recipe
from medsetu.recipe.recipe import build_recipe

TABLE = {
    "_target_": "medsetu.release.table.Table",
    "root": "films",
    "labels": "labels.csv",
    "name": "district_hospital",
    "finding_columns": {"tuberculosis": "tb"},
}


def test_research_passes_and_brings_the_cards(compose):
    recipe = build_recipe(compose("train", ["recipe=tb_global_to_india"]))
    assert [card.name for card in check_recipe(recipe)] == ["nih_chestxray14", "tb_chest_radiography_database", "nitrd"]


def test_cards_of_one_side(compose):
    recipe = build_recipe(compose("train", ["recipe=tb_global_to_india"]))
    assert [card.name for card in cards_of(recipe, sides=["local"])] == ["nitrd"]


@pytest.mark.parametrize("use", ["commercial", "release_weights"])
def test_silence_is_no_permission(compose, use):
    recipe = build_recipe(compose("train", ["recipe=tb_global_to_india", f"use={use}"]))
    with pytest.raises(LicenceError, match="nitrd"):
        check_recipe(recipe)


def test_a_release_without_card_has_the_terms_of_a_table(compose):
    config = compose("train")
    config["sides"]["external"] = {"own": TABLE}
    recipe = build_recipe(config)
    own = cards_of(recipe, sides=["external"])
    assert [card.name for card in own] == ["district_hospital"]
    assert own[0].title == "Your own label table and image folder"
    check_recipe(recipe)


def test_a_release_without_card_does_not_slip_through_a_commercial_check(compose):
    config = compose("train", ["use=commercial"])
    config["sides"] = config["sides"] | {"external": {"own": TABLE}}
    with pytest.raises(LicenceError, match="district_hospital"):
        check_recipe(build_recipe(config))


@pytest.mark.parametrize("name", ["cq500", "tbx11k"])
def test_a_product_from_non_commercial_data_is_refused_before_any_film_is_read(compose, name):
    config = compose("train", ["use=commercial", "backbone=resnet10t_scratch"])
    check_recipe(build_recipe(config))
    config["sides"] = config["sides"] | {"external": {"own": TABLE | {"name": name}}}
    with pytest.raises(LicenceError, match=rf"'{name}' \(CC-BY-NC-SA-4\.0\): NonCommercial, section 2\(a\)\(1\) of CC-BY-NC-SA-4\.0"):
        check_recipe(build_recipe(config))
    check_recipe(build_recipe(config | {"use": "research"}))


def test_sharing_tables_is_a_use_that_is_asked_for(compose):
    config = compose("train", ["use=share_tables", "backbone=resnet18_timm"])
    check_recipe(build_recipe(config))
    config["sides"] = config["sides"] | {"external": {"own": TABLE | {"name": "padchest"}}}
    with pytest.raises(LicenceError, match=r"passing on tables.*no redistribution"):
        check_recipe(build_recipe(config))


def test_primary_must_be_tested(compose):
    recipe = build_recipe(compose("train"))
    with pytest.raises(ConfigError, match="primary finding"):
        check_recipe(dataclasses.replace(recipe, evaluation=dataclasses.replace(recipe.evaluation, primary="effusion")))


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        (["backbone=densenet121_xrv"], "Weights 'densenet121_xrv' were taught on release 'chexpert'|taught on release"),
        (["backbone=resnet18_timm"], r"Weights 'resnet18_timm' \(Apache-2.0\): .*ImageNet"),
        (["backbone=rad_dino"], "not for clinical practice"),
    ],
)
def test_weights_are_asked_for_the_declared_use(compose, words, clause):
    check_recipe(build_recipe(compose("train", words)))
    with pytest.raises(LicenceError, match=clause):
        check_recipe(build_recipe(compose("train", [*words, "use=commercial"])))


def test_weights_drawn_at_random_have_no_terms(compose):
    check_recipe(build_recipe(compose("train", ["use=commercial", "backbone=resnet10t_scratch"])))
