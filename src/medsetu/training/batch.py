# SPDX-License-Identifier: Apache-2.0
"""The largest batch that fits into the memory of a GPU, with gradients summed so that an update sees as many images as the recipe says."""

import copy
import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError, ResourceError
from medsetu.core.run import write_json
from medsetu.training.fit import TrainerOptions
from medsetu.training.hardware import Hardware
from medsetu.training.loss import AucMargin
from medsetu.training.module import StageModule
from medsetu.training.plan import StagePlan
from medsetu.training.rehearsal import rehearse

FILE = "batch.json"
_SHARE = 0.9  # of the memory: what training keeps beside a step, and fragments, take the rest


def fit_batch(
    network: Network,
    data: Any,  # noqa: ANN401 - as in complete_stage
    *,
    plan: StagePlan,
    folder: Path,
    seed: int,
    hardware: Hardware,
    options: TrainerOptions,
) -> StagePlan:
    """Split the images of an update into the largest equal batches that fit; a stage that has begun keeps its split, on any machine.

    Two updates of a copy of the network are made with the largest images and all that ever moves. Batch normalisation sees the images of
    its batch, so another split gives slightly other weights from the same number of images per update.

    Args:
        network: Stays as it is.
        data: As in ``fit_stage``; also ``batched``.
        plan: The stage, as the recipe has it.
        folder: Folder of the stage, where the split is written down before anything is trained.
        seed: Seed of the run.
        hardware: One GPU.
        options: Trainer options.

    Returns:
        The plan with another ``batch_size`` and ``accumulate``, of the same product.

    Raises:
        ConfigError: There is no GPU, or several, or what is minimised depends on the batch.
        ResourceError: Not even two images fit.
    """
    path = folder / FILE
    if path.is_file():
        kept = read_batch(folder)
        return replace(plan, batch_size=int(kept["batch_size"]), accumulate=int(kept["accumulate"]))
    _refuse(plan, hardware)
    whole = plan.batch_size * plan.accumulate

    def fits(size: int) -> bool:
        return _fits(network, data, plan=replace(plan, batch_size=size, accumulate=1), seed=seed, hardware=hardware, options=options)

    size = largest_batch(whole, fits=fits)
    found = {"batch_size": size, "accumulate": whole // size, "images_per_update": whole, "recipe": [plan.batch_size, plan.accumulate]}
    about = torch.cuda.get_device_properties(hardware.device)
    write_json(path, {**found, "device": about.name, "memory_bytes": int(about.total_memory), "share": _SHARE})
    return replace(plan, batch_size=size, accumulate=whole // size)


def read_batch(folder: Path) -> dict[str, Any]:
    """Read how a stage splits its updates, and which device decided so."""
    found: dict[str, Any] = json.loads((folder / FILE).read_text())
    return found


def largest_batch(whole: int, *, fits: Callable[[int], bool]) -> int:
    """Find the largest divisor of a number of images that fits, by bisection.

    Args:
        whole: Images of an update.
        fits: Whether a batch of a size does; what fits also fits in smaller batches.

    Returns:
        At least 2.

    Raises:
        ResourceError: None fits.

    Example:
        >>> largest_batch(24, fits=lambda size: size <= 9)
        8
    """
    sizes = [size for size in range(2, whole + 1) if whole % size == 0]
    if fits(sizes[-1]):  # the usual case
        return sizes[-1]
    low, high = -1, len(sizes) - 1  # the place of one that fits, and of one that does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
    if low < 0:
        raise ResourceError(
            what=f"Not even {sizes[0]} images fit into the memory of the GPU",
            where="trainer.auto_batch",
            remedy="Use trainer.checkpoint_gradients=true, a smaller backbone.size, or a smaller network",
        )
    return sizes[low]


def _refuse(plan: StagePlan, hardware: Hardware) -> None:
    if hardware.accelerator != "gpu":
        raise ConfigError(
            what=f"On {hardware.accelerator} there is no memory of a GPU to fill; larger batches gain nothing there",
            where="trainer.auto_batch",
            remedy="Set trainer.auto_batch=false",
        )
    if hardware.devices > 1:
        raise ConfigError(what="The batch is found on one device", where="trainer.auto_batch", remedy="Set it false, or trainer.devices=1")
    contrast = plan.pretext is not None and plan.pretext.views > 1
    if contrast or plan.loss.groups or isinstance(plan.loss, AucMargin) or plan.alignment is not None:
        raise ConfigError(
            what="What this stage minimises compares the films of a batch, so another batch would be another loss",
            where="trainer.auto_batch",
            remedy="Set trainer.auto_batch=false and choose batch_size by hand",
        )


class _All(pl.Callback):
    """Let everything move that ever will in the stage."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        if isinstance(pl_module, StageModule):
            pl_module.plan.tuning.free(pl_module.network)


def _fits(network: Network, data: Any, *, plan: StagePlan, seed: int, hardware: Hardware, options: TrainerOptions) -> bool:  # noqa: ANN401
    """Try two updates, the second of which has the optimizer's own memory beside it."""
    full, enough = replace(plan, resize=None), True
    torch.cuda.set_per_process_memory_fraction(_SHARE)
    try:
        average = copy.deepcopy(network).to(hardware.device) if plan.ema or plan.swa else None  # is held beside the weights
        ready = data.batched(plan.batch_size)
        rehearse(network, ready, plan=full, seed=seed, hardware=hardware, options=options, updates=2, callbacks=[_All()])
        del average
    except torch.OutOfMemoryError:
        enough = False
    gc.collect()  # only now: an error that is being handled holds what it has met
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)
    return enough
