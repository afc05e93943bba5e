# SPDX-License-Identifier: Apache-2.0
"""Tables of the catalogue keep to 80 columns whatever they hold."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from medsetu.catalog.card import load_card, load_cards
from medsetu.catalog.weights import load_weight_cards
from medsetu.experiment.catalog_table import release_list, weight_list, whole


def _lines(shown) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(shown)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_indian_releases_come_first_and_what_is_gone_last_among_them():
    names = [line.split()[0] for line in _lines(release_list(load_cards())) if line]
    assert names.index("nitrd") < names.index("ibcd") < names.index("adni")
    ranked = [line.split()[0] for line in _lines(release_list([load_card("adni"), load_card("nitrd")], ranked=True)) if line]
    assert ranked[1:3] == ["adni", "nitrd"]


def test_long_values_do_not_widen_the_table():
    long = replace(
        load_card("adni"), name="a" * 29, country="Saudi Arabia, Kazakhstan, Belarus", n_images=123456789, licence="LicenseRef-" + "x" * 60
    )
    assert max(map(len, _lines(release_list([long])))) <= 80


def test_a_release_that_was_withdrawn_is_told_from_a_name():
    rows = {
        line.split()[0]: line
        for line in _lines(release_list([load_card("ibcd"), replace(load_card("dmid"), tombstone="withdrawn")]))
        if line
    }
    assert "not found" in rows["ibcd"]
    assert "not released" in rows["dmid"]


@pytest.mark.parametrize("card", [*load_cards(), *load_weight_cards()], ids=lambda card: card.name)
def test_every_card_whole_fits(card):
    lines = _lines(whole(card))
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("verdict commercial") for line in lines)


def test_weights_fit():
    assert max(map(len, _lines(weight_list(load_weight_cards())))) <= 80
