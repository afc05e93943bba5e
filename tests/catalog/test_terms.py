# SPDX-License-Identifier: Apache-2.0
"""Terms as they are shown, and the steps where a person must go."""

from dataclasses import replace
from pathlib import Path

import pytest

from medsetu.catalog.card import load_card, load_cards
from medsetu.catalog.terms import fingerprint, prepare_line, steps, terms


def test_terms_say_licence_clauses_uses_and_citation():
    text = terms(load_card("tbx11k"))
    assert "CC-BY-NC-SA-4.0" in text
    assert "Clause: NonCommercial, section 2(a)(1)" in text
    assert "Permitted: research without sale" in text
    assert "Not permitted: use in or for a product" in text
    assert "Cite: " in text
    assert "no legal advice" in text


def test_second_hand_terms_say_so():
    assert "Second-hand on our card, look it up: licence" in terms(load_card("shenzhen"))


@pytest.mark.parametrize(
    "change", [{"licence": "CC-BY-4.0"}, {"commercial_use": "no"}, {"licence_note": "Ask first."}, {"citation": "Other"}]
)
def test_other_terms_have_another_fingerprint(change):
    card = load_card("shenzhen")
    assert fingerprint(replace(card, **change)) != fingerprint(card)


def test_facts_that_are_no_terms_leave_the_fingerprint():
    card = load_card("shenzhen")
    assert fingerprint(replace(card, n_images=1, traps=())) == fingerprint(card)


@pytest.mark.parametrize("card", load_cards(), ids=lambda card: card.name)
def test_every_release_that_can_be_had_has_steps(card):
    if card.tombstone:
        return
    told = steps(card, Path("there"))
    assert len(told) in (3, 4)
    assert "there" in told[-1]
    assert (card.homepage or card.doi or card.title) in told[0]
    assert all("None" not in step for step in told)


def test_hosts_with_a_program_of_their_own_get_its_command():
    told = {name: steps(load_card(name), Path("my data"))[2] for name in ("vindr_cxr", "siim_acr_ptx", "kau_bcmd")}
    assert told["vindr_cxr"].endswith("--user NAME --ask-password -P 'my data' https://physionet.org/files/vindr-cxr/1.0.0/")
    assert "kaggle competitions download -c siim-acr-pneumothorax-segmentation -p 'my data'" in told["siim_acr_ptx"]
    assert "kaggle datasets download -d asmaasaad/king-abdulaziz-university-mammogram-dataset" in told["kau_bcmd"]


def test_the_line_for_prepare_is_one_that_can_be_pasted():
    assert prepare_line(load_card("cmmd"), Path("d/cmmd")) == "medsetu prepare release=cmmd root=d/cmmd"
