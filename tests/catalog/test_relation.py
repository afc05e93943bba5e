# SPDX-License-Identifier: Apache-2.0
"""Who shares images with whom, on made-up cards and on those of the catalogue."""

import dataclasses

import pytest

from medsetu.catalog.card import OPPOSITES, Overlap, load_card, load_cards
from medsetu.catalog.relation import STEPS, Relation, catalogue_name, related_pairs, relatives


def cards(*edges):
    """Cards of made-up releases from (release, kind, other), told by one end only."""
    names = dict.fromkeys(name for one, _, other in edges for name in (one, other))
    told = {name: tuple(Overlap(other, kind, "") for one, kind, other in edges if one == name) for name in names}
    return [dataclasses.replace(load_card("nitrd"), name=name, overlaps=overlaps) for name, overlaps in told.items()]


def reached(release, *edges):
    return sorted(relatives(release, cards(*edges)))


def test_every_kind_of_relation_has_a_direction():
    assert set(STEPS) | {"same_images"} == set(OPPOSITES)
    assert all(STEPS[kind] + STEPS[OPPOSITES[kind]] == 2 for kind in STEPS)


def test_what_a_whole_holds_is_followed_down_and_up_at_any_depth():
    chain = (("whole", "contains", "part"), ("part", "relabelled_by", "again"), ("again", "derived_into", "small"))
    assert reached("whole", *chain) == ["again", "part", "small"]
    assert reached("small", *chain) == ["again", "part", "whole"]


def test_two_wholes_of_one_part_share_it_and_two_parts_of_one_whole_need_not():
    assert reached("one", ("one", "contains", "part"), ("two", "contains", "part")) == ["part", "two"]
    assert reached("left", ("whole", "contains", "left"), ("whole", "contains", "right")) == ["whole"]


def test_an_overlap_is_followed_once_and_never_into_the_parts_of_the_other():
    edges = (("whole", "contains", "one"), ("one", "overlaps", "two"), ("two", "overlaps", "three"), ("two", "contains", "part"))
    assert reached("whole", *edges) == ["one", "two"]
    assert reached("part", *edges) == ["two"]


def test_the_same_images_under_another_name_are_followed_both_ways():
    edges = (("a", "same_images", "b"), ("b", "contains", "part"), ("whole", "contains", "b"))
    assert reached("a", *edges) == ["b", "part", "whole"]


def test_circles_end():
    edges = (("a", "contains", "b"), ("b", "contains", "c"), ("c", "contains", "a"))
    assert reached("a", *edges) == ["b", "c"]


@pytest.mark.parametrize(
    ("one", "other", "by_way_of"),
    [
        ("tbx11k", "nitrd_da", ()),
        ("tbx11k", "nitrd_db", ()),
        ("tb_chest_radiography_database", "montgomery", ()),
        ("tb_chest_radiography_database", "shenzhen", ()),
        ("tb_chest_radiography_database", "tbx11k", ("montgomery",)),
        ("tb_chest_radiography_database", "siim_acr_ptx", ("nih_chestxray14",)),
        ("medmnist", "rsna_pneumonia", ("nih_chestxray14",)),
        ("chexpert", "chexpert_plus", ()),
    ],
)
def test_what_the_catalogue_knows(one, other, by_way_of):
    every = load_cards()
    assert relatives(one, every)[other].by_way_of == by_way_of
    assert one in relatives(other, every), "sharing is mutual"


@pytest.mark.parametrize(
    ("one", "other"),
    [("nitrd_da", "nitrd_db"), ("shenzhen", "nitrd"), ("shenzhen", "montgomery"), ("busi", "nih_chestxray14"), ("dmid", "cbis_ddsm")],
)
def test_parts_of_one_collection_are_not_called_related(one, other):
    assert other not in relatives(one, load_cards())


def test_two_folders_of_one_release_are_the_same_films_unless_the_kind_says_nothing():
    every = load_cards()
    kinds = {"delhi": "nitrd", "mumbai": "nitrd", "mine": "table", "yours": "table", "world": "phantom", "unheard": "folder"}
    names = {name: catalogue_name(name, kind, every) for name, kind in kinds.items()}
    assert names == {name: "nitrd" if name in ("delhi", "mumbai") else name for name in kinds}
    assert related_pairs(names, every) == [Relation("delhi", "mumbai", "same_images")]
    assert catalogue_name("nitrd_da", "nitrd", every) == "nitrd_da", "its own card is nearer"


def test_a_pair_is_said_in_words():
    (pair,) = related_pairs({"world": "tb_chest_radiography_database", "tbx11k": "tbx11k"}, load_cards())
    assert str(pair) == "world shares films with tbx11k by way of montgomery"
    assert str(Relation("a", "b", "contained")) == "a has films in b"
