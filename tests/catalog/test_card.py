# SPDX-License-Identifier: Apache-2.0
"""Cards say what is known, in fixed words, and nothing else; the shipped ones agree with each other."""

import subprocess
import sys
from datetime import date

import pytest
import yaml

from medsetu.catalog.card import OPPOSITES, cards_folder, load_card, load_cards
from medsetu.core.errors import ConfigError

ADAPTERS = ("nih_chestxray14", "tb_chest_radiography_database", "nitrd", "phantom", "table")
# fmt: off
KNOWN = [
    "nitrd_da", "nitrd_db", "dmid", "cq500", "idrid", "rfmid", "rfmid2", "drishti_gs", "aptos2019", "gbcu", "knee_oa_gornale",
    "knee_osteoporosis_wani", "caaxr", "midas_icmr", "aikosh", "ogd_data_gov_in", "chavi", "tb_portals_india", "covid_chestxray",
    "mammo_bench", "ipd_brain", "covbaseai_india", "nih_chestxray14", "chexpert", "chexpert_plus", "mimic_cxr_jpg", "padchest",
    "vindr_cxr", "rsna_pneumonia", "siim_acr_ptx", "shenzhen", "montgomery", "tbx11k", "brax", "openi_iu", "vindr_mammo",
    "cbis_ddsm", "inbreast", "cmmd", "embed", "rsna_mammo_2022", "mini_mias", "busi", "kau_bcmd", "cdd_cesm", "rsna_ich_2019",
    "brats2021", "oasis1", "adni", "medmnist",
]
# fmt: on
# fmt: off
LOOKED_FOR = [
    "ibcd", "brain_iit_iisc", "aiims_data_gov_in", "iit_cxr_repositories", "state_tb_cxr", "in_cxr", "icmr_neuroai", "phenix",
    "kmc_manipal", "indian_breast_ultrasound", "indian_paediatric_cxr", "kaggle_tb_mumbai",
]
# fmt: on


@pytest.fixture
def raw() -> dict:
    """The card of New Delhi as plain data, to be spoilt."""
    return yaml.safe_load((cards_folder() / "nitrd.yaml").read_text())


def _load(folder, raw):
    (folder / "nitrd.yaml").write_text(yaml.safe_dump(raw))
    return load_card("nitrd", folder)


def test_every_shipped_card_loads():
    names = [card.name for card in load_cards()]
    assert names == sorted(names)
    assert {*ADAPTERS, *KNOWN, *LOOKED_FOR} <= set(names)
    assert {card.modality for card in load_cards()} == {"CXR", "MG", "XR", "CT", "MR", "US", "fundus", "WSI", "various"}


def test_a_name_without_a_record_points_to_releases_that_exist():
    cards = {card.name: card for card in load_cards()}
    assert {card.name for card in cards.values() if card.record == "name"} == set(LOOKED_FOR)
    for card in cards.values():
        assert (card.record != "name") or (card.tombstone and card.see and card.research_use == "no"), card.name
        assert all(cards[name].tombstone is None for name in card.see), card.name
        assert (card.route == "unavailable") == bool(card.tombstone), card.name


def test_every_card_names_how_to_get_it_and_where_its_facts_were_read():
    for card in load_cards():
        if card.name not in ("phantom", "table"):
            assert card.route, card.name
            assert card.sources, card.name
            assert card.homepage or card.tombstone or card.doi, card.name


def test_facts_of_the_flagship():
    nitrd = load_card("nitrd")
    assert (nitrd.region, nitrd.licence, nitrd.commercial_use, nitrd.patient_ids) == ("india", None, "ask", "no")
    assert nitrd.checked_on == date(2026, 11, 22)
    assert load_card("nih_chestxray14").n_images == 112120


def test_overlaps_are_known_on_both_sides():
    """A leak that only one card tells would be missed when the other release is the global side."""
    cards = {card.name: card for card in load_cards()}
    for card in cards.values():
        assert len({overlap.release for overlap in card.overlaps}) == len(card.overlaps), card.name
        for overlap in card.overlaps:
            answers = [other.kind for other in cards[overlap.release].overlaps if other.release == card.name]
            assert answers == [OPPOSITES[overlap.kind]], (card.name, overlap.release)
    assert all(OPPOSITES[OPPOSITES[kind]] == kind for kind in OPPOSITES)


def test_what_contains_new_delhi_is_known():
    """The leak that costs most: a global set that holds the local test."""
    cards = {card.name: card for card in load_cards()}
    for part in ("nitrd", "nitrd_da", "nitrd_db"):
        assert "tbx11k" in {overlap.release for overlap in cards[part].overlaps}
    assert {overlap.release for overlap in cards["nitrd"].overlaps if overlap.kind == "contains"} == {"nitrd_da", "nitrd_db"}


def test_indian_readers_do_not_make_indian_patients():
    assert {name for name in ("caaxr", "mammo_bench") if load_card(name).region == "india"} == set()


def test_no_licence_means_no_permission():
    for card in load_cards():
        if card.licence is None:
            assert "yes" not in (card.commercial_use, card.weights_release, card.tables_release), card.name


def test_terms_agree_with_the_licence():
    for card in load_cards():
        parts = (card.licence or "").split("-")
        if "NC" in parts:
            assert card.commercial_use == ("ask" if "licence" in card.unverified and card.name != "tbx11k" else "no"), card.name
        if card.licence in ("CC-BY-3.0", "CC-BY-4.0") and "licence" not in card.unverified and card.name != "medmnist":
            assert {card.commercial_use, card.weights_release, card.tables_release} == {"yes"}, card.name


def test_yes_and_no_may_be_written_without_quotes(tmp_path, raw):
    (tmp_path / "nitrd.yaml").write_text(yaml.safe_dump(raw).replace("patient_ids: 'no'", "patient_ids: no"))
    assert load_card("nitrd", tmp_path).patient_ids == "no"


def test_the_nearest_card_is_offered():
    with pytest.raises(ConfigError, match="Did you mean 'nih_chestxray14'"):
        load_card("nih_chestxray")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"region": "asia"}, "'region' is not one of its words"),
        ({"commercial_use": "maybe"}, "'commercial_use' is not one of its words"),
        ({"commercial_use": None}, "'commercial_use' is not one of its words"),
        ({"n_images": "many"}, "'n_images' has the wrong type"),
        ({"checked_on": "yesterday"}, "'checked_on' has the wrong type"),
        ({"licence": "free for everyone, as far as we know"}, "not an SPDX expression"),
        ({"colour": "grey"}, "'colour' does not belong"),
        ({"name": "other"}, "named 'other' but its file is not"),
        ({"overlaps": [{"release": "tbx11k"}]}, "overlap does not name"),
        ({"overlaps": [{"release": "tbx11k", "kind": "inside", "detail": "all"}]}, "'kind' is not one of its words"),
        ({"unverified": ["n_images", "licens"]}, "unverified field is not one of the card.*Did you mean 'licence'"),
        ({"aliases": "DA"}, "'aliases' is not a list"),
        ({"route": "by post"}, "'route' is not one of its words"),
        ({"record": "rumour"}, "'record' is not one of its words"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path, raw, change, match):
    with pytest.raises(ConfigError, match=match):
        _load(tmp_path, {**raw, **change})


def test_a_silent_card_is_refused(tmp_path, raw):
    del raw["licence"]
    with pytest.raises(ConfigError, match=r"says nothing of 'licence'.*licence: null"):
        _load(tmp_path, raw)


@pytest.mark.parametrize("text", ["- a\n- b\n", "name: [", ""])
def test_what_is_no_card_is_refused(tmp_path, text):
    (tmp_path / "nitrd.yaml").write_text(text)
    with pytest.raises(ConfigError, match="card is not"):
        load_card("nitrd", tmp_path)


def test_the_import_is_cheap():
    """A hospital laptop lists the catalogue without torch, pandas or Hydra."""
    code = "import sys, medsetu.catalog.card, medsetu.catalog.licence; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "pandas", "numpy", "hydra", "omegaconf", "rich"}
