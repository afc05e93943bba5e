# SPDX-License-Identifier: Apache-2.0
"""A network that is more than trunk and linear head is built again from its file alone."""

import json

import pytest
import torch

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.stored import read_stored
from medsetu.backbone.structure import rebuild_trunk, refuse_bank, structure_of
from medsetu.backbone.weights import load_weights, save_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError, WeightError

FINDINGS = ("mass", "effusion")


def fresh(findings=FINDINGS, **more):
    return TimmBackbone("test_resnet", size=32, **more).build(findings, seed=0).eval()


@pytest.fixture
def remembering():
    network = fresh()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        bank = network.features(torch.rand(9, 1, 32, 32, generator=generator))
    network.head = NearestHead(bank, torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, float("nan")]] * 3), k=3)
    network.mark_trained(FINDINGS)
    return network


@pytest.mark.parametrize("order", [FINDINGS, FINDINGS[::-1]])
def test_a_head_of_neighbours_comes_back(remembering, order, tmp_path) -> None:
    sha256 = save_weights(remembering, tmp_path / "w.safetensors")
    again = fresh(order)
    load_weights(again, tmp_path / "w.safetensors", sha256=sha256)
    image = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    columns = [FINDINGS.index(name) for name in order]
    with torch.no_grad():
        assert torch.equal(again(image), remembering(image)[:, columns])
    assert set(again.trained) == set(FINDINGS)
    assert structure_of(again) == structure_of(remembering) == {"nearest": {"k": 3, "images": 9}}


def test_an_ordinary_network_says_nothing_of_structure(tmp_path) -> None:
    save_weights(fresh(), tmp_path / "w.safetensors")
    note = read_stored(tmp_path / "w.safetensors").note
    assert "structure" not in note
    assert json.dumps(note)


def test_nobody_goes_on_from_a_head_of_neighbours(remembering, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no rows to go on from"):
        remembering.set_findings(["mass"], seed=0)
    save_weights(remembering, tmp_path / "w.safetensors")
    with pytest.raises(WeightError, match="no rows to go on from"):
        fresh(weights=f"file:{tmp_path / 'w.safetensors'}")
    plain = tmp_path / "plain.safetensors"
    save_weights(fresh(), plain)
    with pytest.raises(WeightError, match="no rows to load into"):
        load_weights(remembering, plain)
    refuse_bank({}, where="doctest")


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(WeightError, match="'tentacle'"):
        rebuild_trunk(fresh(), {"tentacle": {}}, where="doctest")
