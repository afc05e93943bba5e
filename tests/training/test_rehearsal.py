# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal leaves behind: nothing."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from medsetu.training.plan import StagePlan
from medsetu.training.rehearsal import rehearse
from training.conftest import CPU, OPTIONS, ToyData, small_network


class Count(pl.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.updates, self.first, self.moved = 0, "", 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: object, batch: Any, batch_idx: int) -> None:
        self.first = self.first or batch["sample_id"][0]
        self.updates = trainer.global_step
        self.moved = float(pl_module.network.head.weight.detach().sum())


class Unseen(ToyData):
    def val_dataloader(self) -> list[Any]:
        pytest.fail("validation was read")


@pytest.mark.parametrize("accumulate", [1, 3])
def test_weights_and_generators_stay_and_validation_is_not_read(plan: StagePlan, accumulate: int) -> None:
    network, data, count = small_network(), Unseen(), Count()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = network.trained
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - libraries still use it
    random.seed(5)
    wanted = (torch.rand(2).tolist(), np.random.rand(), random.random())  # noqa: NPY002, S311
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    changed = replace(plan, accumulate=accumulate)
    rehearse(network, data, plan=changed, seed=0, hardware=CPU, options=OPTIONS, updates=20, callbacks=[count])
    assert count.updates == 20, "more than the loader has: it begins again"
    assert (torch.rand(2).tolist(), np.random.rand(), random.random()) == wanted  # noqa: NPY002, S311
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.trained == trained
    assert count.moved != float(before["head.weight"].sum()), "the copy has learned"


def test_a_rehearsal_that_breaks_gives_the_generators_back(plan: StagePlan) -> None:
    class Break(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            raise torch.OutOfMemoryError

    state = torch.get_rng_state()
    with pytest.raises(torch.OutOfMemoryError):
        rehearse(small_network(), ToyData(), plan=plan, seed=0, hardware=CPU, options=OPTIONS, updates=2, callbacks=[Break()])
    assert torch.equal(torch.get_rng_state(), state)
