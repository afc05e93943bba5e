# SPDX-License-Identifier: Apache-2.0
"""Cards say what is known, in fixed words, and nothing else; the shipped ones agree with each other."""

import subprocess
import sys
from datetime import date

import pytest
import yaml

from medsetu.catalog.card import cards_folder, load_card, load_cards
from medsetu.core.errors import ConfigError

ADAPTERS = ("nih_chestxray14", "tb_chest_radiography_database", "nitrd", "phantom", "table")


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
    assert set(ADAPTERS) <= set(names)
    assert {"CXR", "MG"} == {card.modality for card in load_cards()}


def test_facts_of_the_flagship():
    nitrd = load_card("nitrd")
    assert (nitrd.region, nitrd.licence, nitrd.commercial_use, nitrd.patient_ids) == ("india", None, "ask", "no")
    assert nitrd.checked_on == date(2026, 11, 22)
    assert load_card("nih_chestxray14").n_images == 112120


def test_overlaps_are_known_on_both_sides():
    """A leak that only one card tells would be missed when the other release is the global side."""
    cards = {card.name: card for card in load_cards()}
    for card in cards.values():
        for overlap in card.overlaps:
            assert overlap.release in cards
            assert card.name in {other.release for other in cards[overlap.release].overlaps}, (card.name, overlap.release)


def test_indian_readers_do_not_make_indian_patients():
    assert {name for name in ("caaxr", "mammo_bench") if load_card(name).region == "india"} == set()


def test_no_licence_means_no_permission():
    for card in load_cards():
        if card.licence is None:
            assert card.commercial_use != "yes"
            assert card.weights_release != "yes"


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
