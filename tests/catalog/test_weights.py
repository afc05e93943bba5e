# SPDX-License-Identifier: Apache-2.0
"""Cards of weights: complete, true to the backbones that load them, and an own folder that wins."""

import dataclasses
import re

import pytest

from medsetu.catalog.card import load_cards
from medsetu.catalog.weights import (
    MIRROR,
    find_weight_card,
    load_weight_card,
    load_weight_cards,
    mirror_folder,
    read_sidecar,
    seen_releases,
    weights_folder,
    write_sidecar,
)
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder

CARDS = load_weight_cards()
RELEASES = {card.name for card in load_cards()}
CORPORA = {"imagenet-1k", "imagenet-12k", "imagenet-21k", "lvd-142m", "lvd-1689m", "pmc-15m", "medicalnet-23", "upmc"}
BACKBONES = {path.stem for path in (config_folder() / "backbone").glob("*.yaml")}


def test_the_sources_asked_for_are_there():
    names = {card.name for card in CARDS}
    assert names >= {"resnet50_timm", "vit_small_timm", "dinov2_vit_small_timm", "dinov3_vit_small_timm", "densenet121_xrv", "resnet50_xrv"}
    assert names >= {"rad_dino", "biomedclip", "medicalnet_resnet18", "mammo_clip_b5", "eva_x_small", "ark_plus", "chexzero"}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_complete(card):
    assert set(card.trained_on) <= RELEASES | CORPORA
    assert card.data_terms
    assert card.licence_note
    assert card.sha256 is None or re.fullmatch(r"[0-9a-f]{8,64}", card.sha256)
    assert set(card.unverified) <= {field.name for field in dataclasses.fields(card)}
    if card.weights_licence is None:
        assert "yes" not in (card.commercial_use, card.weights_release), "silence is not permission"
    if card.backbone:
        assert card.backbone in BACKBONES
        assert None not in (card.size, card.channels, card.mean, card.std, card.filename, card.parameters)


def test_a_digest_in_the_name_of_a_file_is_that_of_the_card():
    stated = {card.name: found[1] for card in CARDS if (found := re.search(r"-([0-9a-f]{8})\.pth$", card.filename or ""))}
    assert stated
    assert {name: load_weight_card(name).sha256 for name in stated} == stated


def test_finding_and_misspelling():
    assert find_weight_card("timm", "resnet18.a1_in1k").name == "resnet18_timm"
    assert find_weight_card("timm", "resnet18.nobody") is None
    with pytest.raises(ConfigError, match="Did you mean 'rad_dino'"):
        load_weight_card("rad_din")


def test_a_card_in_the_mirror_folder_wins(tmp_path, monkeypatch):
    text = (weights_folder() / "rad_dino.yaml").read_text()
    (tmp_path / "rad_dino.yaml").write_text(text.replace("commercial_use: ask", "commercial_use: yes"))
    assert load_weight_card("rad_dino").commercial_use == "ask"
    monkeypatch.setenv(MIRROR, str(tmp_path))
    assert mirror_folder() == tmp_path
    assert load_weight_card("rad_dino").commercial_use == "yes"
    assert len(load_weight_cards()) == len(CARDS)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("library: project", "library: nowhere", "Allowed: timm"),
        ("weights_licence: MIT", "weights_licence: free, really", "SPDX"),
        ("mean: [0.5307, 0.5307, 0.5307]", "mean: [0.5307]", "one value per channel"),
        ("place: microsoft/rad-dino", "place: 3", "wrong type"),
        ("name: rad_dino", "name: rad", "named 'rad'"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path, monkeypatch, old, new, match):
    (tmp_path / "rad_dino.yaml").write_text((weights_folder() / "rad_dino.yaml").read_text().replace(old, new, 1))
    monkeypatch.setenv(MIRROR, str(tmp_path))
    with pytest.raises(ConfigError, match=match):
        load_weight_card("rad_dino")


def test_a_card_beside_a_file_comes_back_as_it_was(tmp_path):
    card = dataclasses.replace(load_weight_card("rad_dino"), fingerprint={"probe": 1, "features": [[1.5]]})
    assert read_sidecar(tmp_path / "best.safetensors") is None
    path = write_sidecar(card, tmp_path / "best.safetensors")
    assert path.name == "best.card.yaml"
    assert read_sidecar(tmp_path / "best.safetensors") == card


def test_seen_by_name_and_by_shared_images():
    seen = seen_releases(load_weight_card("densenet121_xrv_nih"), load_cards())
    assert seen["nih_chestxray14"] == "densenet121_xrv_nih was taught on nih_chestxray14"
    assert "shares images" in seen["tb_chest_radiography_database"]
    assert "nitrd" not in seen
    assert seen_releases(None, load_cards()) == {}
    assert "vindr_mammo" in seen_releases(load_weight_card("mammo_clip_b5"), load_cards())


def test_seen_by_way_of_other_releases():
    """SIIM films are NIH films, of which some are normals of the TB database: weights taught on SIIM may know these."""
    card = dataclasses.replace(load_weight_card("densenet121_xrv_nih"), name="mine", trained_on=("siim_acr_ptx", "imagenet-1k"))
    seen = seen_releases(card, load_cards())
    told = "shares images with siim_acr_ptx by way of nih_chestxray14, on which mine was taught"
    assert seen["tb_chest_radiography_database"] == told
    assert not {"nitrd", "shenzhen", "tbx11k", "busi"} & set(seen)


def test_weights_taught_on_tbx11k_may_know_new_delhi():
    card = dataclasses.replace(load_weight_card("densenet121_xrv_nih"), name="mine", trained_on=("tbx11k",))
    assert {"nitrd", "nitrd_da", "nitrd_db", "shenzhen", "montgomery", "tb_chest_radiography_database"} <= set(
        seen_releases(card, load_cards())
    )
