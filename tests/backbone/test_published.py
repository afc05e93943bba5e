# SPDX-License-Identifier: Apache-2.0
"""Weights that only a card describes: names of other projects, read into timm's architectures from small files of the same layout."""

import dataclasses
import hashlib
import re

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


def lay(tmp_path, name, state, filename="tiny.safetensors"):
    """Lay a file into the mirror as a person would, with its digest beside it."""
    path = tmp_path / name / filename
    path.parent.mkdir()
    if filename == "tiny.safetensors":
        safetensors.torch.save_file({key: value.clone() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
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


@pytest.mark.parametrize("name", ["densenet121_xrv", "resnet18_timm"])
def test_weights_without_a_loader_are_refused(name):
    with pytest.raises(ConfigError, match="No loader of medsetu"):
        PublishedBackbone(name)


def test_a_tag_or_an_unknown_card_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'rad_dino'"):
        PublishedBackbone("rad_dinoo")
    with pytest.raises(ConfigError, match="Allowed: pretrained"):
        PublishedBackbone("rad_dino", weights="v2")


def shaken(model):
    """Weights of no particular kind, so that a layer that is not loaded is noticed."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand(tensor.shape, generator=generator)
    return model.eval()


def expected(model, card, spec, image):
    """What the model itself answers to an image as its authors normalise it."""
    colour = image * torch.tensor(spec.std)[:, None, None] + torch.tensor(spec.mean)[:, None, None]
    with torch.no_grad():
        return model((colour - torch.tensor(card.mean)[:, None, None]) / torch.tensor(card.std)[:, None, None])


EVA = {"patch_size": 16, "ref_feat_shape": [4, 4], "embed_dim": 48, "depth": 2, "num_heads": 3}


@pytest.mark.parametrize("wrapper", ["model", "module"])
def test_eva_x_is_read_as_its_authors_write_it(own, tmp_path, wrapper):
    """A checkpoint of masked images: packed MLPs, a norm before pooling, fixed rotary tables, a mask token and a head of codes."""
    own("eva_x_small", architecture="eva02_small_patch14_224", size=(64, 64), filename="tiny.pt", options=EVA)
    with seeded(3):
        model = shaken(timm.create_model("eva02_small_patch14_224", img_size=64, num_classes=0, **EVA))
    theirs = {"mlp.fc1": "mlp.w12", "mlp.fc2": "mlp.w3", "fc_norm": "norm"}
    state = {"mask_token": torch.zeros(1, 1, 48), "lm_head.weight": torch.ones(7, 48), "rope.freqs_cos": torch.ones(16, 16)}
    for key, value in model.state_dict().items():
        for ours, other in theirs.items():
            key = key.replace(ours, other)
        state[key] = value
    assert {"blocks.0.mlp.w12.weight", "norm.weight"} <= set(state)
    lay(tmp_path, "eva_x_small", {wrapper: state}, "tiny.pt")
    network = PublishedBackbone("eva_x_small", weights="pretrained").build(FINDINGS, seed=0).eval()
    image = IMAGE[..., :64, :64]
    with torch.no_grad():
        found = network.features(image)
    torch.testing.assert_close(found, expected(model, load_weight_card("eva_x_small"), network.spec, image), rtol=1e-3, atol=1e-3)


SWIN = {"window_size": 4, "embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 3, 6]}


def ark(model):
    """The names of timm 0.5.4, which merges patches at the end of a stage, with masks, projector and one head for each release."""
    state = {}
    for key, value in model.state_dict().items():
        stage = key.split(".")[1]
        state[key.replace(f"layers.{stage}.down", f"layers.{int(stage) - 1}.down") if ".downsample." in key else key] = value
    extra = {"head.weight": torch.ones(5, 192), "projector.weight": torch.ones(3, 192), "omni_heads.0.bias": torch.ones(14)}
    buffers = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16), "layers.0.blocks.1.attn_mask": torch.zeros(4, 16, 16)}
    return {f"module.{key}": value for key, value in {**state, **extra, **buffers}.items()}


def test_the_teacher_of_ark_is_read_with_the_names_of_an_older_timm(own, tmp_path):
    own("ark_plus", size=(64, 64), architecture="swin_tiny_patch4_window7_224", filename="tiny.pth.tar", options=SWIN)
    with seeded(3):
        teacher = shaken(timm.create_model("swin_tiny_patch4_window7_224", img_size=64, num_classes=0, **SWIN))
    student = {key: torch.zeros_like(value) for key, value in ark(teacher).items()}
    assert "module.layers.0.downsample.reduction.weight" in student
    path = lay(tmp_path, "ark_plus", {"epoch": 50, "lossMIN": 0.5, "state_dict": student, "teacher": ark(teacher)}, "tiny.pth.tar")
    network = PublishedBackbone("ark_plus", weights="pretrained").build(FINDINGS, seed=0).eval()
    image = IMAGE[..., :64, :64]
    with torch.no_grad():
        found = network.features(image)
    torch.testing.assert_close(found, expected(teacher, load_weight_card("ark_plus"), network.spec, image), rtol=1e-3, atol=1e-3)
    torch.save({"epoch": 50, "state_dict": student}, path)
    path.with_name(path.name + ".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(WeightError, match="no tensors under 'teacher'"):
        PublishedBackbone("ark_plus", weights="pretrained").build(FINDINGS, seed=0)


def mammo(model):
    """The image tower under its prefix, its blocks numbered through, beside a text tower."""
    state = {re.sub(r"^_blocks\.\d+\.(\d+)", r"_blocks.\1", key): value for key, value in model.state_dict().items()}
    tower = {f"image_encoder.{key}": value for key, value in state.items() if not key.startswith("_fc.")}
    return {**tower, "text_encoder.weight": torch.zeros(2), "logit_scale": torch.zeros(())}


def test_the_image_tower_of_mammo_clip_is_read_into_monai(own, tmp_path):
    from monai.networks.nets.efficientnet import EfficientNetBN

    own("mammo_clip_b5", size=(64, 48), architecture="efficientnet-b0", filename="tiny.tar")
    with seeded(3):
        model = shaken(EfficientNetBN("efficientnet-b0", pretrained=False, in_channels=3, num_classes=1))
    checkpoint = {"model": mammo(model), "optimizer": {"state": {}}, "config": {"base": {"mean": 0.3}}, "epoch": 7, "train_loss": 1.5}
    assert "image_encoder._blocks.15._depthwise_conv.weight" in checkpoint["model"]
    lay(tmp_path, "mammo_clip_b5", checkpoint, "tiny.tar")
    network = PublishedBackbone("mammo_clip_b5", weights="pretrained").build(FINDINGS, seed=0).eval()
    assert (network.spec.size, network.head.in_features) == ((64, 48), 1280)
    model._fc = torch.nn.Identity()
    image = IMAGE[..., :64, :48]
    with torch.no_grad():
        found = network.features(image)
    torch.testing.assert_close(found, expected(model, load_weight_card("mammo_clip_b5"), network.spec, image), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "layout"), [("eva_x_small", "blocks.0.norm1.weight"), ("mammo_clip_b5", "image_encoder._bn0.weight")])
def test_half_a_file_is_refused(own, tmp_path, name, layout):
    small = {
        "eva_x_small": {"architecture": "eva02_small_patch14_224", "options": EVA},
        "mammo_clip_b5": {"architecture": "efficientnet-b0"},
    }
    own(name, size=(64, 64), filename="tiny.pt", **small[name])
    lay(tmp_path, name, {"model": {layout: torch.ones(48)}}, "tiny.pt")
    with pytest.raises(WeightError, match="do not fit"):
        PublishedBackbone(name, weights="pretrained").build(FINDINGS, seed=0)


@pytest.mark.parametrize(
    ("name", "order"), [("eva_x_small", "hf download MapleF/eva_x"), ("ark_plus", "get the file as"), ("mammo_clip_b5", "hf download")]
)
def test_where_the_file_cannot_be_had_the_remedy_is_named(monkeypatch, tmp_path, name, order):
    import huggingface_hub

    def refuse(*_, **__):
        raise OSError

    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(ResourceError, match=order):
        PublishedBackbone(name, weights="pretrained").build(FINDINGS, seed=0)


def test_own_weights_of_such_a_backbone_come_back(own, tmp_path):
    from medsetu.backbone.weights import save_weights

    own("mammo_clip_b5", size=(64, 48), architecture="efficientnet-b0")
    network = PublishedBackbone("mammo_clip_b5", size=48).build(FINDINGS, seed=3).eval()
    save_weights(network, tmp_path / "mine.safetensors")
    again = PublishedBackbone("mammo_clip_b5", size=48, weights=f"file:{tmp_path / 'mine.safetensors'}").build(FINDINGS, seed=0).eval()
    with torch.no_grad():
        assert torch.equal(network(IMAGE[..., :48, :48]), again(IMAGE[..., :48, :48]))
