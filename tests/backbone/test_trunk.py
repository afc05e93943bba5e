# SPDX-License-Identifier: Apache-2.0
"""Beheading, other channels and the names of old DenseNets."""

import pytest
import torch
from torch import nn

from medsetu.backbone.trunk import behead, first_convolution, load_beheaded, read_channels
from medsetu.core.errors import ConfigError, WeightError

from .conftest import Tiny


def test_the_declared_classifier_is_taken_off() -> None:
    model = nn.Module()
    model.body = nn.Linear(3, 3)
    model.classifier = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert behead(model, where="t") == "classifier.2"
    assert isinstance(model.classifier[2], nn.Identity)
    assert isinstance(model.classifier[0], nn.Linear)


def test_a_model_without_classifier_is_refused() -> None:
    with pytest.raises(ConfigError, match="no linear classifier"):
        behead(nn.Sequential(nn.Linear(2, 2)), where="t")


def test_read_channels_changes_only_the_number() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2, padding=1, bias=False), nn.Conv2d(4, 4, 3))
    read_channels(model, 1)
    first = model[0]
    assert (first.in_channels, first.kernel_size, first.stride, first.padding, first.bias) == (1, (5, 5), (2, 2), (1, 1), None)
    assert model[1].in_channels == 4
    before = model[0]
    read_channels(model, 1)
    assert model[0] is before


def test_first_convolution_may_be_absent() -> None:
    assert first_convolution(nn.Linear(1, 1)) == ""


def test_load_ignores_only_the_classifier() -> None:
    source = Tiny(3)
    state = source.state_dict()
    trunk = load_beheaded(Tiny(3), state, where="t")
    assert torch.equal(trunk.conv.weight, source.conv.weight)
    with pytest.raises(WeightError, match=r"1 unexpected \(first: extra\)"):
        load_beheaded(Tiny(3), {**state, "extra": torch.zeros(1)}, where="t")
    del state["conv.bias"]
    with pytest.raises(WeightError, match=r"1 missing \(first: conv\.bias\)"):
        load_beheaded(Tiny(3), state, where="t")


@pytest.mark.parametrize("between", ["", "layers."])
def test_old_densenet_names_are_translated(between: str) -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.Module()
            layer.norm1 = nn.BatchNorm2d(2)
            self.denselayer1 = nn.Module()
            self.denselayer1.layers = layer
            if not between:
                self.denselayer1 = layer
            self.fc = nn.Linear(2, 2)

    old = {f"denselayer1.norm.1.{name}": torch.full((2,), 3.0) for name in ("weight", "bias", "running_mean", "running_var")}
    trunk = load_beheaded(Dense(), old, where="t")
    assert trunk.state_dict()[f"denselayer1.{between}norm1.weight"].tolist() == [3.0, 3.0]
