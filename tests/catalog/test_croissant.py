# SPDX-License-Identifier: Apache-2.0
"""Croissant files hold what the format asks for, nothing invented, and the reference implementation accepts them."""

import json
from dataclasses import replace

import pytest

from medsetu.catalog.card import load_card, load_cards
from medsetu.catalog.croissant import croissant

REQUIRED = ("@context", "@type", "conformsTo", "name", "description", "license", "url", "creator")


@pytest.mark.parametrize("card", load_cards(), ids=lambda card: card.name)
def test_every_card_has_what_the_format_requires(card):
    written = croissant(card)
    assert all(written.get(key) for key in REQUIRED)
    assert json.loads(json.dumps(written)) == written
    assert None not in written.values()


def test_facts_travel():
    written = croissant(load_card("cq500"))
    assert written["license"] == "https://spdx.org/licenses/CC-BY-NC-SA-4.0.html"
    assert "Non-commercial" in written["usageInfo"]
    assert "193,317 images, 491 patients" in written["description"]
    assert "second-hand: n_images" in written["description"]
    assert written["creator"] == {"@type": "Person", "name": "Chilamkurthy S"}
    assert (written["datePublished"], written["sameAs"]) == ("2018", "https://doi.org/10.1016/S0140-6736(18)31645-3")
    assert "majority of 3 radiologists" in written["rai:dataAnnotationProtocol"]
    assert any("CQ500-CT-120.zip" in text for text in written["rai:dataLimitations"])


def test_what_is_not_known_is_left_out_or_said():
    bare = replace(load_card("nitrd"), doi=None, citation=None, homepage=None, sites=(), version="the second")
    written = croissant(bare)
    assert not {"sameAs", "citeAs", "datePublished", "version"} & set(written)
    assert (written["license"], written["creator"]["name"], written["url"]) == ("not known", "not known", "urn:medsetu:catalog:nitrd")
    assert "Not available: gone" in croissant(replace(bare, tombstone="gone"))["description"]


def test_files_that_anybody_can_fetch_and_check_are_its_distribution():
    files = croissant(load_card("medmnist"))["distribution"]
    assert len(files) == 18
    assert files[0] == {
        "@type": "cr:FileObject",
        "@id": "chestmnist.npz",
        "name": "chestmnist.npz",
        "contentUrl": "https://zenodo.org/records/10519652/files/chestmnist.npz?download=1",
        "encodingFormat": "application/zip",
        "md5": "02c8a6516a18b556561a56cbdd36c4a8",
    }
    assert "distribution" not in croissant(load_card("shenzhen")), "no digest of it is published"


@pytest.mark.filterwarnings("ignore")
def test_the_reference_implementation_finds_no_error(caplog):
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra dev holds mlcroissant")
    for card in load_cards():
        issues = mlcroissant.Dataset(jsonld=croissant(card)).metadata.issues
        assert issues.errors == set(), card.name
        assert {text for text in issues.warnings if "is recommended" not in text} == set(), card.name
    assert "not standard" not in caplog.text
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld={**croissant(load_card("nitrd")), "@type": "sc:Person"})
