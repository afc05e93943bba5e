# SPDX-License-Identifier: Apache-2.0
"""Releases are found by what they are and by what people call them; a word nobody uses gets the nearest ones."""

import pytest

from medsetu.catalog.card import load_cards
from medsetu.catalog.licence import verdict
from medsetu.catalog.search import Filter, chosen, find, named
from medsetu.core.errors import ConfigError

CARDS = load_cards()


def _names(**wanted) -> set[str]:
    return {card.name for card in chosen(CARDS, Filter(**wanted))}


def _found(text) -> list[str]:
    return [card.name for card in find(CARDS, text)]


def test_no_filter_keeps_all():
    assert chosen(CARDS, Filter()) == CARDS


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ({"region": "india"}, {"nitrd", "cq500", "dmid", "ibcd", "midas_icmr", "caaxr", "mammo_bench"}, {"tbx11k", "shenzhen"}),
        ({"region": "global"}, {"nih_chestxray14", "caaxr", "mammo_bench"}, {"nitrd"}),
        ({"country": "Canada"}, {"rsna_ich_2019", "adni"}, {"nih_chestxray14"}),
        ({"country": "india"}, {"nitrd"}, {"caaxr"}),
        ({"modality": "CT"}, {"cq500", "covid_chestxray", "tb_portals_india"}, {"nitrd"}),
        ({"modality": "mammography"}, {"dmid", "cmmd"}, {"busi"}),
        ({"modality": "Ultrasound"}, {"busi", "gbcu", "medmnist"}, {"dmid"}),
        ({"body_part": "knee"}, {"knee_oa_gornale"}, {"nitrd"}),
        ({"use": "commercial"}, {"nih_chestxray14", "cmmd"}, {"cq500", "tbx11k", "nitrd"}),
        ({"use": "share_tables"}, {"cmmd", "nih_chestxray14"}, {"padchest", "nitrd"}),
        ({"access": "open"}, {"nitrd", "cmmd"}, {"cq500", "chexpert", "ibcd"}),
        ({"access": "unavailable"}, {"ibcd", "covbaseai_india"}, {"nitrd"}),
        ({"format": "dicom"}, {"cq500", "vindr_cxr", "nitrd"}, {"nih_chestxray14"}),
        ({"format": "nii.gz"}, {"brats2021", "oasis1"}, {"cq500"}),
        ({"patient_ids": "yes"}, {"cq500", "cmmd"}, {"nitrd"}),
    ],
)
def test_each_filter_keeps_what_it_says(wanted, inside, outside):
    kept = _names(**wanted)
    assert inside <= kept
    assert not outside & kept


def test_filters_join():
    assert _names(region="india", modality="mammography", use="commercial") == {"dmid"}
    assert _names(region="india", modality="CXR", access="open") == {"nitrd", "nitrd_da", "nitrd_db", "caaxr"}


def test_the_filter_of_use_is_the_gate():
    for use in ("research", "commercial", "release_weights", "share_tables"):
        assert _names(use=use) == {card.name for card in CARDS if verdict([card], use).allowed}


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ({"region": "indai"}, "india"),
        ({"country": "vietnm"}, "vietnam"),
        ({"modality": "mammograph"}, None),
        ({"body_part": "brest"}, "breast"),
        ({"use": "comercial"}, "commercial"),
        ({"access": "opn"}, "open"),
        ({"format": "pngg"}, "png"),
        ({"patient_ids": "maybe"}, None),
    ],
)
def test_an_unknown_value_is_refused(wanted, nearest):
    with pytest.raises(ConfigError, match=f"Did you mean '{nearest}'.*Allowed" if nearest else "Allowed"):
        _names(**wanted)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("VinBigData", "vindr_cxr"),
        ("TBXpredict", "nitrd"),
        ("jaypee", "nitrd"),
        ("ChestX-ray14", "nih_chestxray14"),
        ("gallbladder cancer", "gbcu"),
        ("glaucoma", "drishti_gs"),
        ("head haemorrhage india", "cq500"),
        ("brain hemorrhage", "rsna_ich_2019"),
        ("TB mumbai", "kaggle_tb_mumbai"),
        ("IBCD", "ibcd"),
        ("breast ultrasound", "busi"),
        ("retina india", "aptos2019"),
        ("knee xray", "knee_oa_gornale"),
    ],
)
def test_people_find_what_they_mean(text, first):
    assert first in _found(text)[:2]


def test_all_words_must_occur_and_names_come_first():
    assert set(_found("tb delhi")) < set(_found("tb"))
    assert _found("nitrd")[0] == "nitrd"


@pytest.mark.parametrize(("text", "nearest"), [("tubercolosis", "tuberculosis"), ("mamography", "mammography"), ("nitrd zzzzzz", None)])
def test_a_search_that_finds_nothing_offers_the_nearest_words(text, nearest):
    with pytest.raises(ConfigError, match=f"Did you mean '{nearest}'" if nearest else "Use fewer or other words"):
        find(CARDS, text)
    with pytest.raises(ConfigError, match="no words"):
        find(CARDS, " ?! ")


def test_a_card_is_taken_by_its_name_or_by_a_name_that_only_it_bears():
    assert named(CARDS, "cq500").name == "cq500"
    assert named(CARDS, "rahman_tb_db").name == "tb_chest_radiography_database"
    assert named(CARDS, "siim_acr").name == "siim_acr_ptx"
    assert named(CARDS, "NLM TB") is None, "two sets are called so"
    assert named(CARDS, "nothing") is None
