# SPDX-License-Identifier: Apache-2.0
"""Some updates of a stage on a copy of its network, to learn something of it; weights and generators stay as they were."""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from medsetu.backbone.network import Network
from medsetu.training.checkpointing import checkpoint_blocks
from medsetu.training.fit import TrainerOptions, quiet
from medsetu.training.hardware import Hardware
from medsetu.training.module import Batch, stage_module
from medsetu.training.plan import StagePlan
from medsetu.training.resume import random_state, restore_random


def rehearse(
    network: Network,
    data: Any,  # noqa: ANN401 - as in fit_stage
    *,
    plan: StagePlan,
    seed: int,
    hardware: Hardware,
    options: TrainerOptions,
    updates: int,
    callbacks: Sequence[pl.Callback] = (),
) -> None:
    """Train a copy as the first epoch of a stage would, training images being shown again where they do not suffice. Nothing is validated.

    Args:
        network: Stays as it is.
        data: As in ``fit_stage``; only its training loader is asked.
        plan: The stage.
        seed: Seed of the run.
        hardware: Where to run, on one device.
        options: Trainer options; the network is not compiled.
        updates: Optimizer steps.
        callbacks: What is to be learned.
    """
    before = random_state()
    try:
        pl.seed_everything(seed, workers=False, verbose=False)
        loader = data.train_dataloader()
        steps = plan.epochs * math.ceil(len(loader) / plan.accumulate)
        module = stage_module(copy.deepcopy(network), data, plan=plan, steps=steps, seed=seed, hardware=hardware)
        if options.checkpoint_gradients:
            checkpoint_blocks(module.network)
        with quiet():
            trainer = pl.Trainer(
                accelerator=hardware.accelerator,
                devices=1,
                precision=hardware.precision,  # type: ignore[arg-type]  # names checked in hardware.py
                max_epochs=1,
                accumulate_grad_batches=plan.accumulate,
                gradient_clip_val=plan.clip or None,
                deterministic=options.deterministic,
                limit_val_batches=0,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                logger=False,
                callbacks=list(callbacks),
                plugins=[LightningEnvironment()],
            )
            trainer.fit(module, train_dataloaders=_Again(loader, updates * plan.accumulate), val_dataloaders=[])
    finally:
        restore_random(before)


class _Again:
    """A number of batches of a loader, which begins again at its end."""

    def __init__(self, loader: Iterable[Batch], count: int) -> None:
        self.loader, self.count = loader, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        left = self.count
        while left:
            for batch in self.loader:
                yield batch
                left -= 1
                if not left:
                    return
