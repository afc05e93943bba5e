# SPDX-License-Identifier: Apache-2.0
"""Every way of tuning, on a convolutional network and a transformer: what moves, what stays, and a kill that leaves no trace."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from medsetu.backbone.network import Network
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.place import config_folder
from medsetu.recipe.instantiate import build
from medsetu.training.fit import StageResult, TrainerOptions, fit_stage
from medsetu.training.plan import StagePlan
from medsetu.tuning.strategy import Strategy, trainable_names
from training.conftest import CPU, OPTIONS, SIZE, KilledData, KilledError, ToyData

SOLVED = ("frozen_logistic", "frozen_neighbours")  # no gradient moves them: tests/training/test_solve.py
FILES = [path for path in sorted((config_folder() / "tuning").glob("*.yaml")) if path.stem not in SOLVED]
NETWORKS = ("test_resnet", "test_vit")
FILMS, BATCH, EPOCHS = 16, 8, 3
HEAD = {"head.weight", "head.bias"}


def in_head(name: str) -> bool:
    return name in HEAD


MOVING: dict[str, dict[str, Callable[[str], bool]]] = {  # what must move, said by name for these two networks
    "linear_probe": dict.fromkeys(NETWORKS, in_head),
    "side_adapters": dict.fromkeys(NETWORKS, in_head),  # of those that a plain network has
    "norm_only": {
        "test_resnet": lambda name: (
            in_head(name) or "bn" in name or name.startswith(("trunk.conv1.1.", "trunk.conv1.4.")) or "sample.2" in name
        ),
        "test_vit": lambda name: in_head(name) or "norm" in name,
    },
    "surgical": {
        "test_resnet": lambda name: in_head(name) or name.startswith(("trunk.conv1.", "trunk.bn1.")),
        "test_vit": lambda name: in_head(name) or name.startswith(("trunk.patch_embed.", "trunk.pos_embed", "trunk.cls_token")),
    },
}
EVERYTHING = ("full", "gradual_first_to_last", "gradual_last_to_first", "lp_ft", "layerwise_decay", "l1_sp", "l2_sp", "auto_rgn")
MOVING |= {name: dict.fromkeys(NETWORKS, lambda _: True) for name in EVERYTHING}


@dataclass(frozen=True)
class Done:
    """A stage run whole, and again with a kill in it."""

    strategy: Strategy
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    whole: StageResult
    resumed: StageResult
    resumed_after: dict[str, Tensor]


def fresh(name: str, weights: str | None = None) -> Network:
    return TimmBackbone(name, weights=weights, size=SIZE).build(["tuberculosis"], seed=0)


def copied(network: Network) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def fit(network: Network, data: ToyData, strategy: Strategy, folder: Path, options: TrainerOptions = OPTIONS) -> StageResult:
    plan = StagePlan(side="local", findings=("tuberculosis",), epochs=EPOCHS, lr=3e-3, batch_size=BATCH, watch=("global",), tuning=strategy)
    return fit_stage(network, data, plan=plan, folder=folder, seed=0, hardware=CPU, options=options)


def trainable(strategy: Strategy, name: str) -> set[str]:
    """Names that move in any epoch, as the strategy says."""
    network = fresh(name)
    strategy.install(network)
    strategy.free(network)
    names: set[str] = set()
    for epoch in range(EPOCHS):
        strategy.set_epoch(network, epoch=epoch, epochs=EPOCHS)
        names |= set(trainable_names(network))
    return names


@pytest.fixture(scope="module", params=[(path, name) for path in FILES for name in NETWORKS], ids=lambda one: f"{one[0].stem}-{one[1]}")
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Done]:
    path, name = request.param
    strategy = build(OmegaConf.to_container(OmegaConf.load(path)), where="tuning")
    folder, often = tmp_path_factory.mktemp(f"{path.stem}-{name}"), replace(OPTIONS, save_every_s=0.0)
    network = fresh(name)
    before = copied(network)
    whole = fit(network, ToyData(n=FILMS, batch_size=BATCH), strategy, folder / "whole")
    with pytest.raises(KilledError):  # inside the second epoch
        fit(fresh(name), KilledData(3, n=FILMS, batch_size=BATCH), strategy, folder / "cut", often)
    again = fresh(name)
    resumed = fit(again, ToyData(n=FILMS, batch_size=BATCH), strategy, folder / "cut", often)
    return path.stem, name, Done(strategy, before, copied(network), whole, resumed, copied(again))


def test_a_kill_leaves_no_trace(done: tuple[str, str, Done]) -> None:
    """T34."""
    *_, stage = done
    assert (stage.resumed.sha256, stage.resumed.best_epoch) == (stage.whole.sha256, stage.whole.best_epoch)
    assert [name for name, tensor in stage.after.items() if not torch.equal(tensor, stage.resumed_after[name])] == []


def test_what_moves_and_what_stays_bit_for_bit(done: tuple[str, str, Done]) -> None:
    file, name, stage = done
    moving = trainable(stage.strategy, name)
    known = [each for each, _ in fresh(name).named_parameters() if each in stage.after]
    moved = {each for each in known if not torch.equal(stage.before[each], stage.after[each])}
    assert moved == moving & set(known)
    if file in MOVING:
        assert moved == {each for each in stage.before if MOVING[file][name](each) and each in known}


def test_the_chosen_weights_are_those_of_a_plain_network(done: tuple[str, str, Done]) -> None:
    *_, name, stage = done
    network = fresh(name, weights=f"file:{stage.whole.weights}")
    assert network.trained == ("tuberculosis",)
    assert set(network.state_dict()) >= HEAD


def test_the_ways_named_here_exist() -> None:
    assert {path.stem for path in FILES} >= set(MOVING)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_way_says_what_it_is_and_what_becomes_of_batch_statistics(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert {"statistics", "starting_share"} <= set(OmegaConf.load(path))
