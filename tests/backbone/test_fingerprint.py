# SPDX-License-Identifier: Apache-2.0
"""The same weights must answer the same: a layer that computes something else is noticed, rounding is not."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from medsetu.backbone.fingerprint import TOLERANCE, deviation, fingerprint, probe, require_fingerprint
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.weights import save_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.catalog.weights import load_weight_card, write_sidecar
from medsetu.core.errors import WeightError

SPEC = InputSpec((20, 24), 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))


@pytest.fixture(scope="module")
def network():
    return TimmBackbone("test_resnet", size=32).build(["tuberculosis", "effusion"], seed=0)


def test_the_probe_is_a_pure_function_of_its_seed():
    before = torch.random.get_rng_state()
    assert torch.equal(probe(SPEC), probe(SPEC))
    assert not torch.equal(probe(SPEC), probe(SPEC, seed=1))
    assert probe(SPEC).shape == (4, 3, 20, 24)
    assert torch.equal(before, torch.random.get_rng_state())


def test_measuring_leaves_no_trace_and_repeats(network):
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    one = fingerprint(network)
    assert network.training
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert deviation(fingerprint(network), one) == 0
    assert set(one["logits"]) == {"tuberculosis", "effusion"}


def test_rounding_is_tolerated_a_changed_layer_is_not(network, monkeypatch):
    stored = fingerprint(network)
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)  # other kernels, other rounding
    assert 0 <= deviation(fingerprint(other), stored) < TOLERANCE / 10
    require_fingerprint(network, stored, where="test")
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: nn.functional.leaky_relu(x, 0.05))
    with pytest.raises(WeightError, match="now answer differently"):
        require_fingerprint(network, stored, where="test")


def test_one_changed_weight_of_the_head_is_noticed_where_logits_count(network):
    stored, other = fingerprint(network), copy.deepcopy(network)
    with torch.no_grad():
        other.head.weight[1, 0] += 0.5
    assert deviation(fingerprint(other), stored, logits=False) == 0
    assert deviation(fingerprint(other), stored) > TOLERANCE


def test_other_probes_cannot_be_compared_and_nothing_stored_says_nothing(network):
    stored = fingerprint(network)
    assert math.isnan(deviation({**stored, "size": [64, 64]}, stored))
    assert deviation({**stored, "features": [[math.nan]]}, stored) == math.inf
    require_fingerprint(network, None, where="test")
    require_fingerprint(network, {**stored, "probe": 0, "features": []}, where="test")


def test_weights_with_a_card_are_checked_when_they_are_loaded(network, tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    digest = save_weights(network, path)
    card = dataclasses.replace(load_weight_card("resnet18_timm"), name="mine", sha256=digest, fingerprint=fingerprint(network))
    write_sidecar(card, path)
    backbone = TimmBackbone("test_resnet", weights=f"file:{path}", size=32)
    backbone.build(["mass"], seed=1)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: nn.functional.leaky_relu(x, 0.05))
    with pytest.raises(WeightError, match="Weights 'mine'"):
        backbone.build(["mass"], seed=1)
    monkeypatch.undo()
    write_sidecar(dataclasses.replace(card, sha256="0" * 64), path)
    with pytest.raises(WeightError, match="that of other weights"):
        backbone.build(["mass"], seed=1)
