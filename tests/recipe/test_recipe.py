# SPDX-License-Identifier: Apache-2.0
"""Every shipped recipe composes, builds and passes its check; broken ones say what is wrong."""

import copy
import subprocess
import sys

import pytest

from fakes import nih_chestxray14, nitrd, tb_chest_radiography_database
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.recipe.check import check_recipe
from medsetu.recipe.recipe import build_recipe, read_recipe
from medsetu.recipe.shorthand import release_words

RECIPES = sorted(path.stem for path in (config_folder() / "recipe").glob("*.yaml") if path.stem != "release")


@pytest.fixture
def demo(compose):
    return copy.deepcopy(compose("train"))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("verb", ["prepare", "train", "study"])
def test_every_recipe_composes_builds_and_checks(compose, verb, name):
    recipe = build_recipe(compose(verb, [f"recipe={name}"]))
    assert recipe.name == name
    assert recipe.question.endswith("?")
    assert check_recipe(recipe)
    assert all(recipe.stages_of(arm) for arm in recipe.arms)


def test_releases_alone_are_prepared_and_not_trained(compose, tmp_path):
    root = nitrd.write(tmp_path, per_class=3)
    config = compose("prepare", release_words(["release=nitrd", f"root={root}"], folder=config_folder()))
    recipe = read_recipe(config)
    assert (recipe.name, recipe.evaluation, list(recipe.sides["local"])) == ("nitrd", None, ["nitrd"])
    assert [card.name for card in check_recipe(recipe)] == ["nitrd"]
    with pytest.raises(ConfigError, match="no arms"):
        build_recipe(config)


def test_releases_of_the_real_recipe_read_their_folders(compose, tmp_path):
    data = tmp_path / "data"
    nih_chestxray14.write(data / "nih_chestxray14", patients=4, films=1)
    nitrd.write(data / "nitrd_da", per_class=3)
    tb_chest_radiography_database.write(data / "tb_chest_radiography_database", per_class=3)
    recipe = build_recipe(compose("train", ["recipe=tb_global_to_india"]))
    for releases in recipe.sides.values():
        for release in releases.values():
            assert len(release.index().samples) > 0


def test_common_names_are_known_to_stages_and_cards_are_those_of_the_adapters(compose):
    """With own names the Indian mammograms have no finding called breast_abnormal; with common names they have."""
    overrides = ["recipe=cbis_to_dmid", "manifest.names=common"]
    recipe = build_recipe(compose("train", overrides))
    local = next(iter(recipe.sides["local"].values()))
    assert "breast_abnormal" in local.findings
    assert "abnormal" not in local.findings
    assert [card.name for card in check_recipe(recipe)] == [
        card.name for card in check_recipe(build_recipe(compose("train", overrides[:1])))
    ]
    with pytest.raises(ConfigError, match="no pair of 'dense' and 'malignant'"):
        build_recipe(compose("train", [*overrides, "+manifest.proxy.malignant=[dense]"]))


def test_arms_know_whether_they_learn_locally(compose):
    recipe = build_recipe(compose("train"))
    assert [recipe.uses_local(arm) for arm in ("global-only", "local-only", "transfer")] == [False, True, True]


def test_unknown_arm_is_refused_with_the_nearest(compose):
    with pytest.raises(ConfigError, match="Did you mean 'transfer'"):
        build_recipe(compose("train")).stages_of("transfr")


def _unknown_side(config):
    config["sides"]["lokal"] = {}


def _unknown_arm(config):
    config["arms"]["transfr"] = ["pretrain"]


def _unknown_stage(config):
    config["arms"]["transfer"] = ["pretrain", "finetun"]


def _unknown_finding(config):
    config["stages"]["finetune"]["findings"] = ["tuberculosys"]


def _unknown_release(config):
    config["stages"]["finetune"]["releases"] = ["phantm"]


def _unknown_use(config):
    config["use"] = "comercial"


FAULTS = {
    _unknown_side: "Did you mean 'local'",
    _unknown_arm: "Did you mean 'transfer'",
    _unknown_stage: "Did you mean 'finetune'",
    _unknown_finding: "Did you mean 'tuberculosis'",
    _unknown_release: "Did you mean 'phantom",
    _unknown_use: "Did you mean 'commercial'",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_a_broken_recipe_offers_the_nearest_name(demo, fault):
    fault(demo)
    with pytest.raises(ConfigError, match=FAULTS[fault]):
        build_recipe(demo)


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "/a", "..", "", "C:x"])
def test_a_name_does_not_lead_out_of_its_folder(demo, name):
    for read in (build_recipe, read_recipe):
        with pytest.raises(ConfigError, match=r"no plain word.*Key name"):
            read({**demo, "name": name})
    demo["sides"]["external"] = {"mine": {"_target_": "medsetu.release.mini_mias.MiniMias", "root": "films", "name": name}}
    with pytest.raises(ConfigError, match=r"no plain word.*Key sides\.external\.mine"):
        read_recipe(demo)


def test_a_stage_needs_the_side_it_watches(demo):
    demo["sides"]["local"] = {}
    with pytest.raises(ConfigError, match="needs the side 'local'"):
        build_recipe(demo)


def test_an_empty_side_may_be_null(demo):
    demo["sides"]["external"] = None
    assert build_recipe(demo).sides["external"] == {}


def test_an_arm_switched_off_is_left_out(demo):
    demo["arms"]["local-only"] = None
    assert list(build_recipe(demo).arms) == ["global-only", "transfer"]


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("global-only", lambda raw: raw["stages"]["pretrain"].update(select_on="local")),
        ("global-only", lambda raw: raw["arms"].update({"global-only": ["finetune"]})),
        ("local-only", lambda raw: raw["arms"].update({"local-only": ["pretrain", "finetune"]})),
        ("transfer", lambda raw: raw["arms"].update({"transfer": ["finetune"]})),
        ("transfer:probe", lambda raw: raw["arms"].update({"transfer:probe": ["finetune"]})),
        ("local-only:probe", lambda raw: raw["arms"].update({"local-only:probe": ["pretrain"]})),
    ],
)
def test_an_arm_means_what_its_name_says(demo, arm, change):
    change(demo)
    with pytest.raises(ConfigError, match=f"arm '{arm}' break its meaning"):
        build_recipe(demo)


def test_variants_of_an_arm_are_arms_of_their_own(demo):
    demo["stages"]["probe"] = demo["stages"]["finetune"]
    demo["arms"]["transfer:probe"] = ["pretrain", "probe"]
    recipe = build_recipe(demo)
    assert recipe.stages_of("transfer:probe") == ["pretrain", "probe"]
    assert recipe.uses_local("transfer:probe")


def test_a_recipe_that_is_only_read_needs_no_torch(tmp_path):
    """Evaluation of finished runs works where nothing can be trained."""
    code = (
        "import sys, hydra\nfrom medsetu.core.place import config_folder\nfrom medsetu.recipe.app import plain\n"
        "from medsetu.recipe.recipe import read_recipe\n"
        "with hydra.initialize_config_dir(str(config_folder()), version_base='1.3'):\n"
        "    recipe = read_recipe(plain(hydra.compose('study')))\n"
        "assert recipe.uses_local('transfer') and not recipe.uses_local('global-only') and recipe.sides['local']\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
