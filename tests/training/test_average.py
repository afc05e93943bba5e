# SPDX-License-Identifier: Apache-2.0
"""The mean of the weights at the ends of the last epochs: which, when measured, and exact after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from medsetu.core.errors import ConfigError
from medsetu.training import fit
from medsetu.training.average import StochasticWeightAveraging
from medsetu.training.plan import StagePlan
from training.conftest import CPU, OPTIONS, ToyData, resumed_like_whole, run, small_network


class Watcher(pl.Callback):
    """Note the weights at the end of each epoch's updates, what validation sees, and the learning rate of each update."""

    def __init__(self) -> None:
        self.ends: list[torch.Tensor] = []
        self.seen: list[torch.Tensor] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[-1]["lr"])
        if batch_idx + 1 == trainer.num_training_batches:
            self.ends.append(pl_module.network.trunk[1].running_mean.clone())

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0) -> None:
        if batch_idx == dataloader_idx == 0:
            self.seen.append(pl_module.network.trunk[1].running_mean.clone())


def watched(folder: Path, plan: StagePlan, monkeypatch) -> tuple[Watcher, torch.Tensor]:
    watcher, optional, network = Watcher(), fit._optional, small_network()
    monkeypatch.setattr(fit, "_optional", lambda *args, **more: [*optional(*args, **more), watcher])
    fit.fit_stage(network, ToyData(), plan=plan, folder=folder, seed=0, hardware=CPU, options=OPTIONS)
    return watcher, network.trunk[1].running_mean


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_last_epochs_are_averaged_equally(tmp_path: Path, plan: StagePlan, monkeypatch, accumulate: int) -> None:
    watcher, last = watched(tmp_path, replace(plan, epochs=4, swa=0.5, accumulate=accumulate), monkeypatch)
    assert torch.equal(watcher.seen[0], watcher.ends[0]), "before averaging begins the weights are measured as they are"
    assert torch.equal(watcher.seen[1], watcher.ends[1])
    assert torch.equal(watcher.seen[2], watcher.ends[2]), "a mean of one"
    mean = (watcher.ends[2] + watcher.ends[3]) / 2
    assert torch.allclose(watcher.seen[3], mean, atol=1e-6)
    assert torch.allclose(last, mean, atol=1e-6)
    assert not torch.allclose(watcher.ends[3], mean, atol=1e-4)


def test_the_learning_rate_stays_while_weights_are_averaged(tmp_path: Path, plan: StagePlan, monkeypatch) -> None:
    watcher, _ = watched(tmp_path, replace(plan, epochs=4, swa=0.5), monkeypatch)
    held, plain = watcher.rates[11:], 6 * 2
    assert len(watcher.rates) == 24
    assert len(set(held)) == 1, held
    assert 0 < held[0] < watcher.rates[plain - 2]


@pytest.mark.parametrize("after", [3, 8, 15])
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path: Path, plan: StagePlan, after: int) -> None:
    whole = resumed_like_whole(tmp_path, plan=replace(plan, swa=0.7), after=after)
    assert whole.sha256 != run(tmp_path / "plain", plan=plan).sha256


def test_what_was_measured_is_what_is_kept(tmp_path: Path, plan: StagePlan) -> None:
    from medsetu.backbone.weights import load_weights
    from medsetu.training.candidate import measure

    plan = replace(plan, swa=1.0)
    result, network = run(tmp_path, plan=plan), small_network()
    load_weights(network, result.weights)
    assert measure(network, ToyData(), plan=plan, hardware=CPU) == pytest.approx(result.best_value, abs=1e-6)


def test_two_averages_at_once_are_refused(plan: StagePlan) -> None:
    for wrong in ({"swa": 0.5, "ema": 0.9}, {"swa": 1.5}, {"swa": -0.1}):
        with pytest.raises(ConfigError, match="swa"):
            replace(plan, **wrong)


def test_only_the_last_update_of_an_epoch_that_counts() -> None:
    callback = StochasticWeightAveraging(steps_per_epoch=3, first_epoch=1)
    assert [step for step in range(9) if callback.should_update(step_idx=step)] == [5, 8]
    assert not callback.should_update(epoch_idx=5)
