# SPDX-License-Identifier: Apache-2.0
"""MedicalNet: the same layers as its authors', written down again here from the paper's code in plain torch calls."""

import copy
import hashlib

import pytest
import torch
from torch.nn import functional

from medsetu.backbone.medicalnet import SHORTCUTS, medicalnet_trunk
from medsetu.backbone.network import seeded
from medsetu.backbone.published import PublishedBackbone
from medsetu.catalog.weights import MIRROR
from medsetu.core.errors import ConfigError, WeightError

VOLUME = torch.rand(1, 1, 32, 24, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trunk():
    with seeded(0):
        made = medicalnet_trunk("resnet18", channels=1, state=None).eval()
    generator = torch.Generator().manual_seed(1)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor += 0.02 * torch.rand(tensor.shape, generator=generator)
    return made


def normalised(value, state, name):
    return functional.batch_norm(
        value, state[f"{name}.running_mean"], state[f"{name}.running_var"], state[f"{name}.weight"], state[f"{name}.bias"]
    )


def features(volume, state):
    """ResNet-18 with shortcut A: stride 2 in the stem, in its pool and in the second stage; dilation 2 and 4 in the third and fourth."""
    value = functional.conv3d(volume, state["conv1.weight"], stride=2, padding=3)
    value = functional.max_pool3d(functional.relu(normalised(value, state, "bn1")), 3, stride=2, padding=1)
    for layer, stride, dilation in (("layer1", 1, 1), ("layer2", 2, 1), ("layer3", 1, 2), ("layer4", 1, 4)):
        for block in (0, 1):
            name, step = f"{layer}.{block}", stride if block == 0 else 1
            inner = functional.conv3d(value, state[f"{name}.conv1.weight"], stride=step, padding=dilation, dilation=dilation)
            inner = functional.relu(normalised(inner, state, f"{name}.bn1"))
            inner = functional.conv3d(inner, state[f"{name}.conv2.weight"], padding=dilation, dilation=dilation)
            short = value[:, :, ::step, ::step, ::step]
            short = functional.pad(short, (0, 0, 0, 0, 0, 0, 0, inner.shape[1] - short.shape[1]))
            value = functional.relu(normalised(inner, state, f"{name}.bn2") + short)
    return value.mean((2, 3, 4))


def test_it_computes_what_its_authors_compute(trunk):
    with torch.no_grad():
        torch.testing.assert_close(trunk(VOLUME), features(VOLUME, trunk.state_dict()), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(copy.deepcopy(trunk)(VOLUME), trunk(VOLUME))


def test_the_published_layout_is_read(trunk, tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, str(tmp_path))
    path = tmp_path / "medicalnet_resnet18" / "resnet_18_23dataset.pth"
    path.parent.mkdir()

    def lay(state):
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
        path.with_name(path.name + ".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())

    lay({**trunk.state_dict(), "conv_seg.0.weight": torch.zeros(2)})
    network = PublishedBackbone("medicalnet_resnet18", weights="pretrained", size=24).build(["bleed"], seed=0).eval()
    assert (network.spec.size, network.spec.channels, network.head.in_features) == ((24, 24, 24), 1, 512)
    assert network.weights.licence == "MIT"
    with torch.no_grad():
        torch.testing.assert_close(network.features(VOLUME), trunk(VOLUME))
    lay({name: value for name, value in trunk.state_dict().items() if not name.startswith("layer4")})
    with pytest.raises(WeightError, match="do not fit"):
        PublishedBackbone("medicalnet_resnet18", weights="pretrained", size=24).build(["bleed"], seed=0)


def test_the_deeper_ones_keep_their_size_too():
    with torch.device("meta"):
        made = medicalnet_trunk("resnet50", channels=1, state=None)
        found = made.layer4(made.layer3(torch.zeros(1, 512, 3, 3, 3)))
    assert found.shape == (1, 2048, 3, 3, 3)


def test_an_unknown_depth_is_refused():
    assert SHORTCUTS["resnet34"] == "A"
    with pytest.raises(ConfigError, match="MedicalNet has no 'resnet19'"):
        medicalnet_trunk("resnet19", channels=1, state=None)
