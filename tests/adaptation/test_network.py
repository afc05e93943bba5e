# SPDX-License-Identifier: Apache-2.0
"""Repairs of a network without labels, on a tiny network whose inputs were shifted."""

import copy

import pytest
import torch
from torch import nn

from medsetu.adaptation.network import BatchNorm, Entropy, binary_entropy
from medsetu.core.errors import ConfigError, DataError

CPU = torch.device("cpu")


def films(n, *, seed, gain=1.0, offset=0.0):
    """A bright corner is the finding; another detector scales and shifts every film."""
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(n, generator=generator) < 0.5).float()
    image = torch.randn(n, 1, 8, 8, generator=generator)
    image[:, :, :4, :4] += 1.2 * label[:, None, None, None]
    return image * gain + offset, label


def batches(image, size=32):
    return [{"image": part} for part in image.split(size)]


@pytest.fixture(scope="module")
def trained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(36, 1))
        image, label = films(256, seed=0)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(network(image)[:, 0], label).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def accuracy(network, image, label):
    return float(((network(image)[:, 0] > 0) == (label == 1)).float().mean())


def test_batchnorm_restores_the_accuracy_that_another_detector_cost(trained):
    here = accuracy(trained, *films(400, seed=1))
    image, label = films(400, seed=2, gain=0.4, offset=1.5)
    lost = accuracy(trained, image, label)
    unlabelled, _ = films(200, seed=3, gain=0.4, offset=1.5)
    repaired = BatchNorm().adapt(trained, batches(unlabelled), device=CPU)
    assert here > 0.9
    assert lost < here - 0.2
    assert accuracy(repaired.network, image, label) > here - 0.05
    assert repaired.images == 200


def test_without_shift_little_changes(trained):
    image, label = films(400, seed=4)
    repaired = BatchNorm().adapt(trained, batches(films(400, seed=5)[0]), device=CPU)
    assert accuracy(repaired.network, image, label) == pytest.approx(accuracy(trained, image, label), abs=0.03)


def test_statistics_of_the_first_norm_are_the_moments_of_all_films(trained):
    image, _ = films(100, seed=6, gain=2.0)
    seen = trained[0](image).transpose(0, 1).flatten(1)
    norm = BatchNorm().adapt(trained, batches(image, size=33), device=CPU).network[1]  # the last film has no batch
    seen = trained[0](image[:99]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, seen.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, seen.var(1), rtol=1e-5, atol=1e-6)


def test_the_mix_lies_between_global_and_local(trained):
    image, _ = films(64, seed=7, offset=1.0)
    none, half, whole = (BatchNorm(mix).adapt(trained, batches(image), device=CPU).network[1].running_mean for mix in (0.0, 0.5, 1.0))
    assert torch.equal(none, trained[1].running_mean)
    torch.testing.assert_close(half, (none + whole) / 2)


def test_batches_sorted_by_brightness_keep_the_variance_between_them(trained):
    image = torch.cat([films(64, seed=8)[0], films(64, seed=9, offset=3.0)[0]])
    norm = BatchNorm().adapt(trained, batches(image, size=64), device=CPU).network[1]
    assert torch.allclose(norm.running_var, trained[0](image).transpose(0, 1).flatten(1).var(1), rtol=1e-4)


@pytest.mark.parametrize("repair", [BatchNorm(), Entropy(lr=0.01, epochs=2)], ids=["batchnorm", "tent"])
def test_the_original_is_untouched_labels_are_never_read_and_runs_repeat(trained, repair):
    before = copy.deepcopy(trained.state_dict())
    image, _ = films(64, seed=10, gain=0.5)
    state = torch.random.get_rng_state()
    first, second = (repair.adapt(trained, batches(image), device=CPU).network for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    for name, value in trained.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not first.training
    assert all(parameter.requires_grad for parameter in first.parameters())
    assert first[1].momentum == trained[1].momentum


def test_entropy_falls_and_only_norms_move(trained):
    image, label = films(256, seed=11, gain=0.5, offset=0.5)
    plain = BatchNorm().adapt(trained, batches(image), device=CPU).network
    found = Entropy(lr=0.01, epochs=3).adapt(trained, batches(image), device=CPU)
    with torch.no_grad():
        assert binary_entropy(found.network(image)) < binary_entropy(plain(image))
    moved = {name for name, value in found.network.named_parameters() if not torch.equal(value, dict(trained.named_parameters())[name])}
    assert moved == {"1.weight", "1.bias"}
    assert accuracy(found.network, image, label) > accuracy(trained, image, label)


def test_a_collapse_is_named(trained):
    dull = nn.Sequential(*copy.deepcopy(list(trained)))
    dull[5].bias.data += 50
    assert "collapsed" in Entropy().adapt(dull, batches(films(32, seed=12)[0]), device=CPU).note


def test_a_network_with_layer_norm_can_be_sharpened():
    network = nn.Sequential(nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 1))
    assert Entropy().adapt(network, batches(films(32, seed=13)[0]), device=CPU).images == 32


def test_entropy_of_sure_logits_is_0():
    assert float(binary_entropy(torch.tensor([[80.0, -80.0]]))) == pytest.approx(0, abs=1e-6)


def test_refusals(trained):
    with pytest.raises(ConfigError, match="batch norm"):
        BatchNorm().adapt(nn.Linear(2, 1), [], device=CPU)
    with pytest.raises(ConfigError, match="no norm"):
        Entropy().adapt(nn.Linear(2, 1), [], device=CPU)
    for repair in (BatchNorm(), Entropy()):
        with pytest.raises(DataError, match="0 local films"):
            repair.adapt(trained, batches(films(1, seed=0)[0]), device=CPU)
    with pytest.raises(ConfigError):
        BatchNorm(mix=2.0)
    with pytest.raises(ConfigError):
        Entropy(epochs=0)
