# SPDX-License-Identifier: Apache-2.0
"""The network: findings by name, parts by name, grey images before a trunk taught on colour."""

import copy

import numpy as np
import pytest
import torch

from medsetu.backbone.network import GreyToColour, new_head, seeded
from medsetu.backbone.spec import InputSpec
from medsetu.core.errors import ConfigError, WeightError

FINDINGS = ("effusion", "mass", "nodule")


@pytest.fixture
def network(tiny):
    return tiny().build(FINDINGS, seed=0)


def test_forward_is_head_of_features(network) -> None:
    image = torch.rand(2, 1, 16, 16)
    network.eval()
    assert network.features(image).shape == (2, 6)
    torch.testing.assert_close(network(image), network.head(network.features(image)))
    assert network(image).dtype == torch.float32


def test_features_stay_float_under_autocast(network) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.features(torch.rand(2, 1, 16, 16)).dtype == torch.float32
        assert network(torch.rand(2, 1, 16, 16)).dtype == torch.float32


def test_heads_are_aligned(network) -> None:
    """T03: another order of findings permutes the logits and changes none of them."""
    image = torch.rand(2, 1, 16, 16)
    network.eval()
    before = dict(zip(network.findings, network(image).unbind(1), strict=True))
    network.set_findings(FINDINGS[::-1], seed=9)
    after = dict(zip(network.findings, network(image).unbind(1), strict=True))
    for name in FINDINGS:
        torch.testing.assert_close(after[name], before[name])


def test_heads_with_repeated_names_are_refused(network) -> None:
    with pytest.raises(ConfigError):
        network.set_findings(["mass", "mass"], seed=0)


def test_a_network_may_have_no_findings_yet(network) -> None:
    image = torch.zeros(2, network.spec.channels, *network.spec.size)
    network.set_findings([], seed=0)
    assert (network.findings, network.trained, network(image).shape) == ((), (), (len(image), 0))
    network.require_trained([])
    network.set_findings(["mass"], seed=1)
    assert torch.equal(network.head.weight, new_head(network.head.in_features, ["mass"], seed=1).weight)


def test_known_rows_stay_and_new_ones_are_fresh(network) -> None:
    old = network.head.weight.detach().clone()
    network.set_findings(["tuberculosis", "mass"], seed=1)
    torch.testing.assert_close(network.head.weight[1], old[1])
    assert not torch.equal(network.head.weight[0], old[0])
    network.set_findings(["mass"], seed=1, keep=False)
    assert not torch.equal(network.head.weight[0], old[1])


def test_new_rows_depend_on_seed_and_name_only() -> None:
    one, two = new_head(8, ["a", "b"], seed=0), new_head(8, ["b"], seed=0)
    torch.testing.assert_close(one.weight[1], two.weight[0])
    assert not torch.equal(new_head(8, ["a"], seed=0).weight, new_head(8, ["a"], seed=1).weight)


def test_a_frozen_head_stays_frozen(network) -> None:
    network.requires_grad_(requires_grad=False)
    network.set_findings(["mass"], seed=0)
    assert not network.head.weight.requires_grad


def test_global_generators_are_untouched(tiny) -> None:
    """T36: building a network and a head leaves the user's random numbers alone."""
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    tiny().build(FINDINGS, seed=0).set_findings(["other"], seed=4)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_same_seed_same_network(tiny) -> None:
    states = [tiny().build(FINDINGS, seed=seed).state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["trunk.conv.weight"], states[2]["trunk.conv.weight"])


def test_untrained_head_is_refused(network) -> None:
    """T07: no score is read from a row that nobody trained."""
    with pytest.raises(WeightError, match="never trained for 'effusion'"):
        network.require_trained(FINDINGS)
    network.mark_trained(["effusion", "mass"])
    network.require_trained(["mass"])
    network.set_findings(["mass", "tuberculosis"], seed=0)
    assert network.trained == ("mass",)
    with pytest.raises(WeightError, match="1 of 2"):
        network.require_trained(network.findings)
    with pytest.raises(ConfigError, match="not available"):
        network.mark_trained(["cardiomegaly"])


def test_trunk_and_head_partition_the_parameters(network) -> None:
    parts = [*network.trunk_parameters(), *network.head_parameters()]
    assert len({id(p) for p in parts}) == len(parts) == len(list(network.parameters()))
    assert {id(p) for p in network.head_parameters()} == {id(network.head.weight), id(network.head.bias)}


def test_grey_is_exactly_repeated_colour() -> None:
    colour = InputSpec((8, 8), 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    grey = colour.with_channels(1)
    image = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(GreyToColour(grey, colour)(grey.normalise(image)), colour.normalise(image.expand(-1, 3, -1, -1)))


def test_a_network_can_be_copied(network) -> None:
    twin = copy.deepcopy(network)
    assert twin.findings == network.findings
    assert twin.head.weight is not network.head.weight


def test_seeded_ends_with_an_error_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), seeded(1):
        torch.rand(2) + torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())
