# SPDX-License-Identifier: Apache-2.0
"""A map points at what the network was built to see, and says plainly when there is nothing to show."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fakes.bright import Bright
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec, WeightSpec
from medsetu.core.errors import ConfigError
from medsetu.experiment.saliency import last_spatial_layer, overlay, saliency_map, write_saliency

SPEC = InputSpec(size=(32, 32), channels=1, mean=(0.0,), std=(1.0,))
WEIGHTS = WeightSpec(origin="made here", revision="", sha256="", licence="Apache-2.0", trained_on=())


def network(trunk: nn.Module, *, weight: float = 1.0) -> Network:
    head = nn.Linear(2, 2)
    nn.init.constant_(head.weight, weight)
    return Network(trunk, head, findings=("tuberculosis", "effusion"), spec=SPEC, weights=WEIGHTS, trained=("tuberculosis", "effusion"))


def film() -> torch.Tensor:
    image = torch.zeros(1, 1, 32, 32)
    image[..., 4:12, 20:28] = 1.0
    return image


def test_the_map_points_at_what_drives_the_score():
    found = saliency_map(network(Bright()), film(), finding="tuberculosis")
    assert found.shape == (32, 32)
    assert found.max() == 1.0
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 4 <= row < 12
    assert 20 <= column < 28
    assert found[20:, :12].max() == 0


def test_nothing_speaks_for_the_finding_gives_an_empty_map():
    assert saliency_map(network(Bright(), weight=-1.0), film(), finding="effusion").max() == 0


def test_unknown_findings_and_networks_without_a_picture_are_refused():
    with pytest.raises(ConfigError, match="tuberculosis"):
        saliency_map(network(Bright()), film(), finding="tuberculose")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(1024, 2))
    with pytest.raises(ConfigError, match="no spatial layer"):
        last_spatial_layer(flat, film())


def test_gradients_and_mode_are_left_clean():
    one = network(Bright())
    saliency_map(one, film(), finding="effusion")
    assert all(parameter.grad is None for parameter in one.parameters())
    assert not one.trunk.conv._forward_hooks


def test_files_carry_numbers_and_both_pictures(tmp_path):
    grey, heat = np.full((8, 8), 0.5, np.float32), np.eye(8, dtype=np.float32)
    (path,) = write_saliency([(grey, heat)], tmp_path)
    assert path.name == "illustration_0.png"
    with Image.open(path) as picture:
        assert picture.size == (16, 8)
    assert overlay(grey, heat)[0, 0, 0] > overlay(grey, heat)[0, 1, 0]
