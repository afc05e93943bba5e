# SPDX-License-Identifier: Apache-2.0
"""Adapters add nothing before they are trained, go along with copies, and come back from a file."""

import copy

import pytest
import torch
from torch import nn

from medsetu.backbone.adapter import Adapter, attach, attached, site_of
from medsetu.backbone.stored import read_stored
from medsetu.backbone.weights import load_weights, save_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import WeightError

SITES = {"layer1.0": {"width": 32, "hidden": 4, "layout": "image", "place": "after", "skip": 0}}
IMAGE = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def fresh(findings=("mass", "effusion"), **more):
    return TimmBackbone("test_resnet", size=32, **more).build(findings, seed=0).eval()


@pytest.fixture
def adapted():
    network = fresh()
    attach(network, SITES)
    for parameter in network.adapters.parameters():
        nn.init.normal_(parameter)
    network.mark_trained(network.findings)
    return network


@pytest.mark.parametrize(("layout", "shape"), [("token", (2, 5, 6)), ("image", (2, 6, 3, 4)), ("volume", (2, 6, 3, 4, 2))])
def test_each_layout_mixes_channels_at_one_place_only(layout, shape):
    adapter = Adapter(6, 2, layout=layout, place="after")
    given = torch.rand(shape)
    assert torch.equal(adapter(given), torch.zeros(shape))
    nn.init.normal_(adapter.up.weight)
    before = adapter(given)
    last = layout == "token"
    given[(0, 0) if last else (0, slice(None), *([0] * (len(shape) - 2)))] += 1
    changed = (adapter(given) - before).abs().amax(dim=-1 if last else 1) > 0
    assert changed.sum() == 1


def test_an_adapter_follows_or_accompanies_its_module():
    class Doubling(nn.Module):
        def forward(self, given):
            return 2 * given

    for place, expected in (("after", 3.0 * 2), ("beside", 2 + 2.0)):
        network = fresh()
        network.trunk = nn.Sequential(Doubling())
        attach(network, {"0": {"width": 4, "hidden": 1, "layout": "token", "place": place, "skip": 0}})
        network.adapters["0"].forward = lambda given: 2 * given
        assert network.trunk(torch.ones(1, 4)).unique().tolist() == [expected]


def test_what_is_handed_on_stays_as_it_is():
    network = fresh()
    network.trunk = nn.Sequential(nn.Identity())
    attach(network, {"0": {"width": 2, "hidden": 1, "layout": "image", "place": "after", "skip": 3}})
    nn.init.ones_(network.adapters["0"].up.bias)
    given = torch.zeros(1, 5, 2, 2)
    assert network.trunk(given).amax((0, 2, 3)).tolist() == [0, 0, 0, 1, 1]


def test_a_copy_has_adapters_of_its_own(adapted):
    other = copy.deepcopy(adapted)
    with torch.no_grad():
        before = adapted(IMAGE)
        assert torch.equal(other(IMAGE), before)
        other.adapters["layer1/0"].up.bias += 1
        assert not torch.equal(other(IMAGE), before)
        assert torch.equal(adapted(IMAGE), before)


@pytest.mark.parametrize("order", [("mass", "effusion"), ("effusion", "mass")])
def test_the_file_brings_them_back(adapted, order, tmp_path):
    sha256 = save_weights(adapted, tmp_path / "w.safetensors")
    again, columns = fresh(order), [adapted.findings.index(name) for name in order]
    load_weights(again, tmp_path / "w.safetensors", sha256=sha256)
    load_weights(again, tmp_path / "w.safetensors")  # into a network that has them already
    started = fresh(order, weights=f"file:{tmp_path / 'w.safetensors'}")
    without_head = fresh(order)
    load_weights(without_head, tmp_path / "w.safetensors", include_head=False)
    with torch.no_grad():
        assert torch.equal(again(IMAGE), adapted(IMAGE)[:, columns])
        assert torch.equal(started(IMAGE), again(IMAGE))
        assert torch.equal(without_head.features(IMAGE), adapted.features(IMAGE))
        assert not torch.equal(adapted.features(IMAGE), fresh().features(IMAGE))
    assert attached(again) == attached(started) == SITES == read_stored(tmp_path / "w.safetensors").note["structure"]["adapters"]
    assert save_weights(again, tmp_path / "again.safetensors") == sha256 or order != adapted.findings


def test_other_adapters_and_no_adapters_are_refused(adapted, tmp_path):
    save_weights(fresh(), tmp_path / "plain.safetensors")
    with pytest.raises(WeightError, match="others or none"):
        load_weights(adapted, tmp_path / "plain.safetensors")
    save_weights(adapted, tmp_path / "w.safetensors")
    other = fresh()
    attach(other, {"layer1.0": {**SITES["layer1.0"], "hidden": 5}})
    with pytest.raises(WeightError, match="others or none"):
        load_weights(other, tmp_path / "w.safetensors")


def test_making_them_again_touches_no_generator(adapted, tmp_path):
    save_weights(adapted, tmp_path / "w.safetensors")
    again, before = fresh(), torch.random.get_rng_state()
    load_weights(again, tmp_path / "w.safetensors")
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_adapter_belongs_where_its_module_is(adapted):
    names = [name for name, _ in adapted.adapters.named_parameters(prefix="adapters")]
    assert {site_of(name) for name in names} == {"layer1.0"}
    assert set(names) == {f"adapters.layer1/0.{part}" for part in ("down.weight", "down.bias", "up.weight", "up.bias")}
