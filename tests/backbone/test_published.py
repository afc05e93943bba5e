# SPDX-License-Identifier: Apache-2.0
"""Weights that only a card describes: names of other projects, read into timm's architectures from small files of the same layout."""

import dataclasses
import hashlib

import pytest
import safetensors.torch
import timm
import torch

from medsetu.backbone.network import seeded
from medsetu.backbone.published import PublishedBackbone
from medsetu.catalog.weights import MIRROR, load_weight_card, write_sidecar
from medsetu.core.errors import ConfigError, ResourceError, WeightError

FINDINGS = ["tuberculosis"]
IMAGE = torch.linspace(-1, 1, 2 * 160 * 160).reshape(2, 1, 160, 160)


@pytest.fixture
def model():
    with seeded(5):
        return timm.create_model("test_vit", num_classes=0).eval()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write an own card into the mirror folder, changed from a published one to a tiny architecture."""
    monkeypatch.setenv(MIRROR, str(tmp_path))

    def write(name: str, **changes: object) -> None:
        settings = {"architecture": "test_vit", "size": (160, 160), "place": None, "filename": "tiny.safetensors", **changes}
        card = dataclasses.replace(load_weight_card(name), **settings)
        path = write_sidecar(card, tmp_path / f"{name}.safetensors")
        path.rename(tmp_path / f"{name}.yaml")

    return write


def lay(tmp_path, name, state):
    """Lay a file into the mirror as a person would, with its digest beside it."""
    path = tmp_path / name / "tiny.safetensors"
    path.parent.mkdir()
    safetensors.torch.save_file({key: value.clone() for key, value in state.items()}, path)
    path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


@pytest.mark.parametrize("name", ["rad_dino", "biomedclip"])
def test_names_of_other_projects_are_translated(own, tmp_path, model, name):
    """RAD-DINO as the original DINOv2 code writes it, with a mask token; BiomedCLIP as OpenCLIP does, beside a text tower."""
    own(name)
    state = model.state_dict()
    layouts = {
        "rad_dino": {**state, "mask_token": torch.zeros(1, model.num_features)},
        "biomedclip": {
            **{f"visual.trunk.{key}": value for key, value in state.items()},
            "text.proj": torch.zeros(2),
            "visual.head.proj.weight": torch.zeros(2),
        },
    }
    path = lay(tmp_path, name, layouts[name])
    network = PublishedBackbone(name, weights="pretrained").build(FINDINGS, seed=0).eval()
    spec, card = network.spec, load_weight_card(name)
    colour = IMAGE * torch.tensor(spec.std)[:, None, None] + torch.tensor(spec.mean)[:, None, None]
    with torch.no_grad():
        expected = model((colour - torch.tensor(card.mean)[:, None, None]) / torch.tensor(card.std)[:, None, None])
        torch.testing.assert_close(network.features(IMAGE), expected, rtol=1e-4, atol=1e-4)
    assert network.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert network.weights.licence == "MIT"
    assert network.weights.trained_on == card.trained_on


def test_a_file_of_another_layout_is_refused(own, tmp_path, model):
    own("biomedclip")
    lay(tmp_path, "biomedclip", {f"visual.trunk.{key}": value for key, value in model.state_dict().items() if "norm" not in key})
    with pytest.raises(WeightError, match="do not fit"):
        PublishedBackbone("biomedclip", weights="pretrained").build(FINDINGS, seed=0)


def test_own_weights_of_the_architecture_come_back(own, tmp_path):
    from medsetu.backbone.weights import save_weights

    own("biomedclip")
    network = PublishedBackbone("biomedclip").build(FINDINGS, seed=3).eval()
    save_weights(network, tmp_path / "mine.safetensors")
    again = PublishedBackbone("biomedclip", weights=f"file:{tmp_path / 'mine.safetensors'}").build(FINDINGS, seed=0).eval()
    with torch.no_grad():
        assert torch.equal(network(IMAGE), again(IMAGE))


def test_a_missing_file_says_where_to_lay_it(own, tmp_path):
    own("chexzero")
    with pytest.raises(ResourceError, match=r"chexzero/tiny\.safetensors"):
        PublishedBackbone("chexzero", weights="pretrained").build(FINDINGS, seed=0)


@pytest.mark.parametrize("name", ["mammo_clip_b5", "medicalnet_resnet18", "ark_plus", "eva_x_small", "resnet18_timm"])
def test_weights_without_a_loader_are_refused(name):
    with pytest.raises(ConfigError, match="No loader of medsetu"):
        PublishedBackbone(name)


def test_a_tag_or_an_unknown_card_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'rad_dino'"):
        PublishedBackbone("rad_dinoo")
    with pytest.raises(ConfigError, match="Allowed: pretrained"):
        PublishedBackbone("rad_dino", weights="v2")
