# SPDX-License-Identifier: Apache-2.0
"""timm, torchvision and MONAI under one contract."""

import hashlib
import importlib
import math
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
import torchvision
import yaml
from torch import nn

from medsetu.backbone.network import seeded
from medsetu.backbone.weights import save_weights
from medsetu.backbone.zoo import MonaiBackbone, TimmBackbone, TorchvisionBackbone
from medsetu.core.errors import ConfigError, WeightError
from medsetu.core.place import config_folder

FINDINGS = ("effusion", "tuberculosis")
SMALL = [
    TimmBackbone("test_resnet", size=48),
    TimmBackbone("test_vit", size=32),
    TimmBackbone("test_convnext", size=48),
    TorchvisionBackbone("mobilenet_v3_small", size=48),
    MonaiBackbone("resnet10", size=32),
]


@pytest.fixture(scope="module")
def timm_file(tmp_path_factory) -> tuple[Path, nn.Module]:
    """A published file of a tiny network of timm, and the network."""
    with seeded(2):
        model = timm.create_model("test_resnet")
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    return path, model.eval()


@pytest.mark.parametrize("backbone", SMALL, ids=lambda backbone: backbone.name)
def test_every_library_keeps_the_contract(backbone) -> None:
    network = backbone.build(FINDINGS, seed=0)
    assert network.spec.size == (backbone.size,) * 2
    assert network.spec.channels == 1
    image = network.spec.normalise(torch.rand(2, 1, *network.spec.size))
    assert network.features(image).shape == (2, network.head.in_features)
    assert network(image).shape == (2, 2)
    network(image).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", SMALL[::2], ids=lambda backbone: backbone.name)
def test_seed_decides_the_weights_and_nothing_else(backbone) -> None:
    before = torch.get_rng_state()
    one, two = backbone.build(FINDINGS, seed=4), backbone.build(FINDINGS, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, two.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_golden_output() -> None:
    """Weights by a formula, output by heart: a change of timm's architecture or of ours shows."""
    network = TimmBackbone("test_resnet", size=64).build(FINDINGS, seed=0).eval()
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            ramp = torch.arange(parameter.numel(), dtype=torch.float64)
            wave = (torch.sin(ramp * 0.37 + index) * math.sqrt(2 / max(parameter[0].numel(), 1))).reshape(parameter.shape)
            parameter.copy_(1 + 0.1 * wave if parameter.ndim == 1 else wave)
    image = torch.linspace(-1, 1, 64 * 64).reshape(1, 1, 64, 64)
    golden = torch.tensor([1.4064556814, 2.1991452266], dtype=torch.float64)
    torch.testing.assert_close(network.double()(image.double()).flatten().detach(), golden, rtol=1e-6, atol=0)


def test_a_timm_file_gives_timm_features(timm_file) -> None:
    path, model = timm_file
    network = TimmBackbone("test_resnet", weights=f"file:{path}", size=64).build(FINDINGS, seed=0).eval()
    grey = torch.rand(2, 1, 64, 64)
    expected = model.forward_head(model.forward_features((grey.expand(-1, 3, -1, -1) - 0.5) / 0.5), pre_logits=True)
    torch.testing.assert_close(network.features(network.spec.normalise(grey)), expected, rtol=1e-4, atol=1e-5)
    assert network.weights.licence == ""
    assert network.trained == ()


def test_position_embeddings_are_resized_by_timm(tmp_path) -> None:
    with seeded(0):
        model = timm.create_model("test_vit")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "vit.pth")
    network = TimmBackbone("test_vit", weights=f"file:{tmp_path / 'vit.pth'}", size=96).build(FINDINGS, seed=0)
    assert network(torch.zeros(1, 1, 96, 96)).shape == (1, 2)
    assert torch.equal(network.trunk.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.weight)


def test_the_hub_is_used_as_timm_uses_it(timm_file, tmp_path, monkeypatch) -> None:
    path, model = timm_file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    blob, link = tmp_path / "blobs" / digest, tmp_path / "snapshots" / "c0ffee" / "model.safetensors"
    for file in (blob, link):
        file.parent.mkdir(parents=True)
    shutil.copy(path, blob)
    link.symlink_to(blob)
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *what, revision: asked.append((*what, revision)) or str(link))
    network = TimmBackbone("test_resnet", weights="pretrained").build(FINDINGS, seed=0)
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors", None)]
    assert torch.equal(network.trunk.conv1[0].weight, model.conv1[0].weight)
    assert network.weights.origin == "timm/test_resnet.r160_in1k"
    assert (network.weights.revision, network.weights.sha256, network.weights.licence) == ("c0ffee", digest, "apache-2.0")
    assert network.weights.trained_on == ("imagenet-1k",)
    assert network.spec.size == (160, 160)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightError, match="not the promised"):
        TimmBackbone("test_resnet", weights="pretrained").build(FINDINGS, seed=0)


def test_weights_of_another_architecture_are_refused(timm_file) -> None:
    """T06: timm alone would load what fits and stay silent."""
    for name in ("test_convnext", "resnet10t"):
        with pytest.raises(WeightError, match=r"tensors matched, .*\(first: "):
            TimmBackbone(name, weights=f"file:{timm_file[0]}", size=64).build(FINDINGS, seed=0)


def test_a_lost_tensor_is_noticed(timm_file, tmp_path) -> None:
    state = safetensors.torch.load_file(timm_file[0])
    del state["layer1.0.conv1.weight"]
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(WeightError, match=r"1 missing \(first: layer1\.0\.conv1\.weight\)"):
        TimmBackbone("test_resnet", weights=f"file:{tmp_path / 'x.safetensors'}", size=64).build(FINDINGS, seed=0)


def test_a_headless_or_other_head_is_no_obstacle(timm_file, tmp_path) -> None:
    _, model = timm_file
    for classes in (0, 14):
        model.reset_classifier(classes)
        torch.save(model.state_dict(), tmp_path / "x.pt")
        network = TimmBackbone("test_resnet", weights=f"file:{tmp_path / 'x.pt'}", size=64).build(FINDINGS, seed=0)
        assert torch.equal(network.trunk.layer1[0].conv1.weight, model.layer1[0].conv1.weight)


def test_a_run_of_a_library_comes_back(tmp_path) -> None:
    for backbone in (SMALL[0], SMALL[1], SMALL[4]):
        teacher = backbone.build(FINDINGS, seed=0)
        teacher.mark_trained(FINDINGS)
        run = tmp_path / backbone.name
        save_weights(teacher, run / "checkpoints" / "pretrain.safetensors")
        pupil = type(backbone)(backbone.name, weights=f"run:{run}#pretrain", size=backbone.size).build(FINDINGS[::-1], seed=1)
        assert all(torch.equal(tensor, pupil.trunk.state_dict()[name]) for name, tensor in teacher.trunk.state_dict().items())
        assert torch.equal(pupil.head.weight, teacher.head.weight.flip(0))
        assert pupil.trained == FINDINGS[::-1]


def test_torchvision_reads_its_own_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with seeded(0):
        model = torchvision.models.mobilenet_v3_small()
    path = tmp_path / "hub" / "checkpoints" / "mobilenet_v3_small-047dcff4.pth"
    path.parent.mkdir(parents=True)
    torch.save(model.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    network = TorchvisionBackbone("mobilenet_v3_small", weights="IMAGENET1K_V1", sha256=digest, size=64).build(FINDINGS, seed=0).eval()
    assert (network.weights.licence, network.weights.sha256) == ("BSD-3-Clause", digest)
    grey = torch.rand(2, 1, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    model.classifier[3] = nn.Identity()
    expected = model.eval()((grey.expand(-1, 3, -1, -1) - mean) / std)
    torch.testing.assert_close(network.features(network.spec.normalise(grey)), expected, rtol=1e-4, atol=1e-5)


def test_monai_reads_torchvisions_densenet(tmp_path) -> None:
    with seeded(0):
        model = torchvision.models.densenet121()
    torch.save(model.state_dict(), tmp_path / "densenet121.pth")
    network = MonaiBackbone("densenet121", weights=f"file:{tmp_path / 'densenet121.pth'}", channels=3, size=32).build(FINDINGS, seed=0)
    model.classifier = nn.Identity()
    image = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network.eval().features(image), model.eval()(image), rtol=1e-4, atol=1e-5)
    assert MonaiBackbone("densenet121", weights="pretrained").published().place.endswith("densenet121-a639ec97.pth")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (TimmBackbone("resnt18"), "Did you mean 'resnet18'"),
        (TimmBackbone("resnet18", weights="a1_in2k"), "Did you mean 'a1_in1k'"),
        (TimmBackbone("resnet18.a1_in2k"), "Did you mean 'a1_in1k'"),
        (TorchvisionBackbone("resnt18"), "Did you mean 'resnet18'"),
        (TorchvisionBackbone("resnet18", weights="IMAGENET1K_V3"), "Did you mean 'IMAGENET1K_V1'"),
        (TorchvisionBackbone("googlenet"), "torchvision has no 'googlenet'"),
        (MonaiBackbone("densenet12"), "Did you mean 'densenet121'"),
        (MonaiBackbone("resnet10", weights="pretrained"), "MONAI offers no weights"),
    ],
)
def test_misspelt_names_offer_the_nearest(backbone, message) -> None:
    with pytest.raises(ConfigError, match=message):
        backbone.build(FINDINGS, seed=0)


def test_timm_without_published_weights() -> None:
    name = next(name for name in timm.list_models() if not timm.list_pretrained(f"{name}.*"))
    with pytest.raises(WeightError, match="offers no weights"):
        TimmBackbone(name, weights="pretrained").published()


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs" / "backbone").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_names_a_known_backbone(path) -> None:
    settings = yaml.safe_load(path.read_text())
    module, _, name = settings.pop("_target_").rpartition(".")
    backbone = getattr(importlib.import_module(module), name)(**settings)
    assert backbone.taught().channels in (1, 3)
    if backbone.weights is not None:
        card = config_folder() / "catalog" / "weights" / f"{path.stem}.yaml"
        unknown = card.is_file() and yaml.safe_load(card.read_text())["weights_licence"] is None  # and its card says so
        assert backbone.published().licence or unknown
        assert backbone.published().trained_on


def test_monai_networks_of_volumes() -> None:
    network = MonaiBackbone("resnet10", dimensions=3, size=16).build(["bleed"], seed=0)
    assert network.spec.size == (16, 16, 16)
    assert network.eval()(torch.zeros(2, 1, 16, 16, 16)).shape == (2, 1)
    assert MonaiBackbone("densenet121", dimensions=3).taught().size == (96, 96, 96)
    with pytest.raises(ConfigError, match="in 3 dimensions"):
        MonaiBackbone("densenet121", weights="pretrained", dimensions=3).build(["bleed"], seed=0)
    with pytest.raises(ConfigError, match="Give 2 or 3"):
        MonaiBackbone("resnet10", dimensions=4)
