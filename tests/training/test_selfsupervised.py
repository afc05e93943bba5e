# SPDX-License-Identifier: Apache-2.0
"""Learning without labels: losses that fall, exact resume, and a network that is an ordinary one afterwards."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medsetu.backbone.stored import read_stored
from medsetu.backbone.weights import load_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError, ResourceError
from medsetu.core.run import content_key
from medsetu.training.fit import StageResult, fit_stage
from medsetu.training.plan import StagePlan
from medsetu.training.selfsupervised import MaskedAutoencoder, SimCLR
from training.conftest import CPU, OPTIONS, KilledData, KilledError, ToyData, small_network

MAE = MaskedAutoencoder(decoder_width=16, decoder_depth=1, decoder_heads=2)


class Films(ToyData):
    """The toy films without labels; a view is the film under noise that depends on name, epoch and number."""

    @property
    def train_labels(self) -> Tensor:
        return torch.zeros(self.n, 0)

    def view(self, sample_id: Sequence[str], epoch: int, number: int) -> Tensor:
        return torch.stack([self._one(name, epoch, number) for name in sample_id])

    def _one(self, name: str, epoch: int, number: int) -> Tensor:
        noise = torch.Generator().manual_seed(int(content_key([name, epoch, number]), 16) % 2**31)
        film = torch.from_numpy(self.pixels[int(name.partition("/")[2])]).float()[None] / 255
        return (film - 0.5) / 0.25 + 0.3 * torch.randn(film.shape, generator=noise)


class KilledFilms(KilledData, Films):
    """Those films, until the process is killed."""


def vit():
    return TimmBackbone("test_vit", size=16).build((), seed=0)


def cnn():
    network = small_network()
    network.set_findings((), seed=0)
    return network


NETWORKS = {"SimCLR": cnn, "masked autoencoder": vit}
PRETEXTS = {pretext.name: pretext for pretext in (SimCLR(width=8), MAE)}


def plan_for(name: str, **changes: object) -> StagePlan:
    plan = StagePlan(side="local", findings=(), watch=("global",), epochs=3, lr=3e-3, batch_size=16, pretext=PRETEXTS[name])
    return replace(plan, **changes)


def run(folder: Path, name: str, *, data: Films | None = None, options=OPTIONS, **changes: object) -> StageResult:
    network = NETWORKS[name]()
    return fit_stage(
        network, data or Films(batch_size=16), plan=plan_for(name, **changes), folder=folder, seed=0, hardware=CPU, options=options
    )


@pytest.fixture(autouse=True)
def _small_patches(monkeypatch):
    """The toy films have 16 pixels: patches of 4, so that there is something to hide."""
    import timm

    create = timm.create_model

    def patched(name: str, **more: object):
        return create(name, **more, **({"patch_size": 4} if name == "test_vit" else {}))

    monkeypatch.setattr(timm, "create_model", patched)


@pytest.mark.parametrize("name", PRETEXTS)
def test_it_learns_and_validation_chooses(tmp_path, name):
    short = run(tmp_path / "short", name, epochs=1)
    long = run(tmp_path / "long", name, epochs=10)
    assert long.best_value < 0.95 * short.best_value
    assert long.best_epoch > 0


@pytest.mark.parametrize("name", PRETEXTS)
def test_a_killed_stage_ends_with_the_same_bytes(tmp_path, name):
    whole = run(tmp_path / "whole", name)
    often = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", name, data=KilledFilms(5, batch_size=16), options=often)
    assert run(tmp_path / "cut", name, options=often).sha256 == whole.sha256


@pytest.mark.parametrize("name", PRETEXTS)
def test_what_is_kept_is_an_ordinary_network_without_findings(tmp_path, name):
    result = run(tmp_path, name, epochs=2)
    stored = read_stored(result.weights)
    network = NETWORKS[name]()
    assert set(stored.state) == set(network.state_dict()), "neither projection nor decoder is kept"
    before = {key: value.clone() for key, value in network.trunk.state_dict().items()}
    load_weights(network, result.weights)
    moved = [key for key, value in network.trunk.state_dict().items() if not torch.equal(value, before[key])]
    assert len(moved) > len(before) / 2
    assert (network.findings, network.trained) == ((), ())
    network.set_findings(["tuberculosis"], seed=0)
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 1)
    assert network.trained == ()


def test_first_weights_depend_on_the_seed_alone():
    def first(seed: int) -> Tensor:
        return next(SimCLR(width=8).build(small_network(), seed=seed).parameters())

    torch.manual_seed(5)
    one = first(1)
    assert torch.equal(first(1), one)
    assert not torch.equal(first(2), one)


def test_validation_hides_the_same_patches_and_touches_no_generator():
    network, films = vit().eval(), [torch.randn(2, 1, 16, 16)]
    task = MAE.build(network, seed=0).eval()
    before = torch.random.get_rng_state()
    assert torch.equal(task(network, films), task(network, films))
    assert torch.equal(before, torch.random.get_rng_state())
    task.train()
    assert not torch.equal(task(network, films), task(network, films))
    assert not {id(one) for one in task.parameters()} & {id(one) for one in network.parameters()}


def test_a_masked_autoencoder_needs_a_plain_vit():
    with pytest.raises(ConfigError, match="cannot hide patches of a Sequential"):
        MAE.build(cnn(), seed=0)


@pytest.mark.parametrize("make", [SimCLR, MaskedAutoencoder])
def test_without_lightly_the_install_line_is_named(make, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lightly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightly", None)
    with pytest.raises(ResourceError, match=r"medsetu\[ssl\]"):
        make().build(vit(), seed=0)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SimCLR(temperature=0),
        lambda: SimCLR(width=0),
        lambda: MaskedAutoencoder(mask=1.0),
        lambda: MaskedAutoencoder(decoder_width=10, decoder_heads=3),
        lambda: MaskedAutoencoder(decoder_depth=0),
        lambda: StagePlan(side="local", findings=("tuberculosis",), pretext=SimCLR()),
        lambda: StagePlan(side="local", findings=()),
        lambda: StagePlan(side="local", findings=(), pretext=SimCLR(), monitor="auroc"),
    ],
)
def test_values_out_of_range_are_refused(build):
    with pytest.raises(ConfigError):
        build()
