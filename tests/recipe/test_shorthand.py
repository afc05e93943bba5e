# SPDX-License-Identifier: Apache-2.0
"""A release by its name alone: its side, its root, its keys, and what is refused."""

import pytest

from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.recipe.shorthand import release_words


def words(*given):
    return release_words(given, folder=config_folder())


def test_words_without_a_release_are_left_alone():
    given = ["recipe=demo", "root=here", "release.frontal_only=false"]
    assert words(*given) == given


@pytest.mark.parametrize(
    ("release", "told", "side"),
    [
        ("nitrd", (), "local"),
        ("tbx11k", (), "global"),
        ("tbx11k", ("side=external",), "external"),
        ("table", (), "local"),
        ("of_my_own", (), "local"),
    ],
)
def test_a_release_stands_on_the_side_of_its_patients(release, told, side):
    assert f"+release@sides.{side}.{release}={release}" in words(f"release={release}", *told)


def test_root_and_keys_are_those_of_the_release():
    assert words("release=padchest", "root=/a b/c", "release.frontal_only=false", "+release.x.y=1", "workers=2") == [
        "recipe=release",
        "+release@sides.global.padchest=padchest",
        "name=padchest",
        "sides.global.padchest.root=/a b/c",
        "sides.global.padchest.frontal_only=false",
        "+sides.global.padchest.x.y=1",
        "workers=2",
    ]


def test_several_releases_stand_together_and_their_keys_are_told_apart():
    found = words("release=tbx11k", "release=nitrd")
    assert {"+release@sides.global.tbx11k=tbx11k", "+release@sides.local.nitrd=nitrd", "name=tbx11k_nitrd"} <= set(found)
    assert words("release=[tbx11k, nitrd]") == words("release=tbx11k,nitrd") == found
    for word in ("root=here", "release.files=tiff"):
        with pytest.raises(ConfigError, match=r"sides\.global\.tbx11k\."):
            words("release=tbx11k", "release=nitrd", word)


def test_a_table_of_your_own_has_the_name_you_give():
    found = words("release=table", "name=district_hospital", "root=films")
    assert "+release@sides.local.district_hospital=table" in found
    assert {"sides.local.district_hospital.name=district_hospital", "sides.local.district_hospital.root=films"} <= set(found)


def test_a_recipe_beside_it_and_an_unknown_side_are_refused():
    with pytest.raises(ConfigError, match="one of the two"):
        words("release=nitrd", "recipe=demo")
    for word in ("release=", "release=[]", "release=[nitrd,]"):
        with pytest.raises(ConfigError, match="No release is named"):
            words(word)
    with pytest.raises(ConfigError, match="local"):
        words("release=nitrd", "side=lokal")
