# SPDX-License-Identifier: Apache-2.0
"""The card of a backbone's weights, wherever they lie."""

import dataclasses

import pytest
import yaml

from medsetu.backbone.spec import WeightSpec
from medsetu.backbone.weights import save_weights
from medsetu.backbone.xrv import XrvBackbone
from medsetu.backbone.zoo import MonaiBackbone, TimmBackbone, TorchvisionBackbone
from medsetu.catalog.licence import require
from medsetu.catalog.weights import load_weight_card, write_sidecar
from medsetu.core.errors import LicenceError
from medsetu.core.place import config_folder
from medsetu.recipe.instantiate import build


def test_published_weights_have_the_card_of_the_catalogue():
    assert TimmBackbone("resnet18.a1_in1k", weights="pretrained").card().name == "resnet18_timm"
    assert TimmBackbone("resnet18", weights="a1_in1k").card().name == "resnet18_timm"
    assert TorchvisionBackbone("resnet50", weights="pretrained").card().name == "resnet50_torchvision"
    assert MonaiBackbone("densenet121", weights="pretrained").card().name == "densenet121_torchvision"
    assert XrvBackbone(weights="densenet121-res224-pc").card().trained_on == ("padchest",)
    assert TimmBackbone("resnet18").card() is None


@pytest.mark.parametrize("path", sorted((config_folder() / "backbone").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_backbone_on_offer_has_a_card_that_names_it(path):
    backbone = build(yaml.safe_load(path.read_text()), where="backbone")
    if backbone.weights is None:
        assert backbone.card() is None
        return
    card = backbone.card()
    assert card.backbone == path.stem.replace("_monai", "_torchvision")
    taught = backbone.taught()
    assert (taught.size, taught.channels) == (card.size, card.channels)
    assert taught.mean == pytest.approx(card.mean)
    assert taught.std == pytest.approx(card.std)
    assert (backbone.published().filename or backbone.published().place).endswith(card.filename)


def test_weights_without_a_card_permit_nothing_but_research():
    card = TimmBackbone("resnet18.fb_ssl_yfcc100m_ft_in1k", weights="pretrained").card()
    require([], "research", weights=card)
    with pytest.raises(LicenceError, match="No card describes these weights"):
        require([], "commercial", weights=card)


def _saved(folder, spec):
    network = TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)
    network.weights = spec
    path = folder / "mine.safetensors"
    return path, save_weights(network, path), TimmBackbone("test_resnet", weights=f"file:{path}", size=32)


def test_a_file_speaks_by_its_card_and_by_its_header_else_not_at_all(tmp_path):
    path, digest, backbone = _saved(tmp_path, WeightSpec("scratch", licence="Apache-2.0", trained_on=("nih_chestxray14",)))
    assert backbone.card().trained_on == ("nih_chestxray14",)
    with pytest.raises(LicenceError, match=r"mine\.safetensors"):
        require([], "commercial", weights=backbone.card())
    write_sidecar(dataclasses.replace(load_weight_card("dinov2_vit_small_timm"), name="mine", sha256=digest), path)
    assert backbone.card().name == "mine"
    require([], "commercial", weights=backbone.card())
    (tmp_path / "other.pth").write_bytes(b"")
    foreign = dataclasses.replace(backbone, weights=f"file:{tmp_path / 'other.pth'}").card()
    assert (foreign.weights_licence, foreign.trained_on) == (None, ())


def test_a_card_beside_a_file_takes_no_release_and_no_refusal_back(tmp_path):
    bound = "NonCommercial, section 2(a)(1) of CC-BY-NC-SA-4.0: no sale"
    permits = {"research": "yes", "commercial": "no", "release_weights": "ask"}
    path, digest, backbone = _saved(tmp_path, WeightSpec("scratch", trained_on=("own_set",), permits=permits, clauses=(bound,)))
    alone = backbone.card()
    assert (alone.research_use, alone.commercial_use, alone.weights_release) == ("yes", "no", "ask")
    free = dataclasses.replace(load_weight_card("dinov2_vit_small_timm"), name="mine", sha256=digest)
    write_sidecar(free, path)
    both = backbone.card()
    assert (both.commercial_use, both.weights_release) == ("no", "ask")
    assert set(both.trained_on) == {"own_set", *free.trained_on}
    for card in (alone, both):
        with pytest.raises(LicenceError, match="NonCommercial, section"):
            require([], "commercial", weights=card)
        with pytest.raises(LicenceError):
            require([], "release_weights", weights=card)
        require([], "research", weights=card)


def test_releases_that_only_the_header_names_have_their_say(tmp_path):
    path, digest, backbone = _saved(tmp_path, WeightSpec("scratch", licence="Apache-2.0", trained_on=("tbx11k",)))
    write_sidecar(dataclasses.replace(load_weight_card("dinov2_vit_small_timm"), name="mine", sha256=digest), path)
    with pytest.raises(LicenceError, match=r"taught on release 'tbx11k' \(CC-BY-NC-SA-4\.0\): NonCommercial"):
        require([], "commercial", weights=backbone.card())


def test_a_damaged_header_is_left_to_the_loader(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes((20).to_bytes(8, "little") + b"{no json")
    assert TimmBackbone("test_resnet", weights=f"file:{path}").card().weights_licence is None
