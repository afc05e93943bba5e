# SPDX-License-Identifier: Apache-2.0
"""What a recipe may do is asked before the first batch."""

import dataclasses

import pytest

from medsetu.backbone.zoo import TimmBackbone
from medsetu.catalog.weights import load_weight_card
from medsetu.core.errors import ConfigError, LeakageError, LicenceError
from medsetu.recipe.check import cards_of, check_recipe, seen_before
from medsetu.recipe.instantiate import build
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


def _pair(config, **releases):
    """A recipe whose sides have one release each, by name."""
    tables = {side.rstrip("_"): {name: build(TABLE | {"name": name}, where="sides")} for side, name in releases.items()}
    return dataclasses.replace(build_recipe(config), sides=tables)


def test_releases_that_share_images_are_told_before_any_film_is_opened(compose, caplog):
    recipe = _pair(compose("study"), global_="tbx11k", local="nitrd")
    with caplog.at_level("WARNING", logger="medsetu"):
        check_recipe(recipe)
    assert "tbx11k holds films of nitrd, says the catalogue" in caplog.text
    config = compose("study", ["manifest.leakage.catalogue=refuse"])
    with pytest.raises(LeakageError, match=r"Tbx11k holds films of nitrd.*manifest.leakage.catalogue=tag"):
        check_recipe(_pair(config, global_="tbx11k", local="nitrd"))


@pytest.mark.parametrize(
    ("taught", "local", "told"),
    [
        ("tbx11k", "nitrd", "shares images with tbx11k, on which w was taught"),
        ("nitrd", "nitrd", "w was taught on nitrd"),
        ("montgomery", "tb_chest_radiography_database", "shares images with montgomery, on which w was taught"),
        ("imagenet-1k", "nitrd", ""),
    ],
)
def test_what_the_weights_may_have_seen_is_told_or_refused(compose, caplog, monkeypatch, taught, local, told):
    card = dataclasses.replace(load_weight_card("resnet18_timm"), name="w", trained_on=(taught,))
    monkeypatch.setattr(TimmBackbone, "card", lambda self: card)
    recipe = _pair(compose("study"), local=local)
    assert seen_before(recipe).get(local, "") == told
    with caplog.at_level("WARNING", logger="medsetu"):
        check_recipe(recipe)
    assert (f"Films of {local} on the local side may have been seen in training: {told}" in caplog.text) == bool(told)
    strict = _pair(compose("study", ["manifest.leakage.backbone=refuse"]), local=local)
    if told:
        with pytest.raises(LeakageError, match="Between pretraining and local"):
            check_recipe(strict)
    else:
        check_recipe(strict)


def test_a_renamed_release_is_known_by_its_adapter(compose, monkeypatch):
    card = dataclasses.replace(load_weight_card("resnet18_timm"), name="w", trained_on=("nih_chestxray14",))
    monkeypatch.setattr(TimmBackbone, "card", lambda self: card)
    config = compose("study")
    config["sides"]["external"] = {"kaggle": {"_target_": "medsetu.release.rsna_pneumonia.RsnaPneumonia", "root": "x", "name": "kaggle"}}
    assert seen_before(build_recipe(config))["kaggle"] == "shares images with nih_chestxray14, on which w was taught"
