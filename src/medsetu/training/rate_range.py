# SPDX-License-Identifier: Apache-2.0
"""The learning-rate range test (Smith 2017, arXiv:1506.01186): the rate rises from update to update until the training loss does too."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.optim import Optimizer

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.training.fit import TrainerOptions
from medsetu.training.hardware import Hardware
from medsetu.training.plan import StagePlan
from medsetu.training.rehearsal import rehearse
from medsetu.tuning.frozen import Frozen

_SMOOTH = 0.9  # weight of the past in the smoothed loss
_HOPELESS = 4.0  # times the smallest smoothed loss: the test ends
_LEAST = 10  # updates below which no slope is read


@dataclass(frozen=True)
class RateRange:
    """What a range test has shown.

    Attributes:
        rate: (n,) learning rates, rising; that of the trunk where groups have their own.
        loss: (n,) training loss of the batches after the update with each rate.
        smoothed: (n,) exponential mean of the losses.
        suggested: Rate of the steepest fall of the smoothed loss before its minimum; NaN where it does not fall.
        note: Why there is no suggestion; empty otherwise.
    """

    rate: NDArray[np.float64]
    loss: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggested: float
    note: str = ""


def find_learning_rate(
    network: Network,
    data: Any,  # noqa: ANN401 - as in fit_stage
    *,
    plan: StagePlan,
    seed: int,
    hardware: Hardware,
    options: TrainerOptions,
    bounds: tuple[float, float] = (1e-7, 1.0),
    updates: int = 100,
) -> RateRange:
    """Raise the learning rate of a copy of a network exponentially, on training images alone, as in the first epoch of the stage.

    Ratios between the rates of parameter groups stay. Weights, generators and files stay as they are; no validation or test image is read.

    Args:
        network: The network the stage begins with.
        data: As in ``fit_stage``.
        plan: The stage, whose own rate is not used.
        seed: Seed of the run: equal seeds give equal curves on equal hardware.
        hardware: Accelerator and precision, one device.
        options: Trainer options.
        bounds: Smallest and largest rate, above 0.
        updates: Optimizer steps, at least 10.

    Returns:
        The curve and what it suggests.

    Raises:
        ConfigError: Nothing is trained step by step, there are several devices, or the range is none.
    """
    low, high = bounds
    if isinstance(plan.tuning, Frozen):
        raise ConfigError(what="A head that is solved has no learning rate", where="stages.*.tuning", remedy="Choose a stage that trains")
    if hardware.devices > 1:
        raise ConfigError(what="The range test runs on one device", where="trainer.devices", remedy="Set trainer.devices=1")
    if not 0 < low < high or updates < _LEAST:
        raise ConfigError(
            what=f"No rate can be found between {low:g} and {high:g} in {updates} updates",
            where="Range test",
            remedy=f"Give 0 < low < high and at least {_LEAST} updates",
        )
    ramp = _Ramp(np.geomspace(low, high, updates), peak=plan.lr)
    rehearse(network, data, plan=plan, seed=seed, hardware=hardware, options=options, updates=updates + 1, callbacks=[ramp])
    loss = np.asarray(ramp.losses[1:], dtype=np.float64)  # the first is that of the network before any update
    rate = ramp.rates[: len(loss)]
    smoothed = smooth(loss)
    suggested, note = suggest(rate, smoothed)
    return RateRange(rate, loss, smoothed, suggested, note)


def smooth(loss: ArrayLike) -> NDArray[np.float64]:
    """Exponential mean, corrected for its start (Kingma and Ba 2015).

    Example:
        >>> smooth([2.0, 2.0, 2.0]).round(6).tolist()
        [2.0, 2.0, 2.0]
    """
    mean, result = 0.0, []
    for step, value in enumerate(np.asarray(loss, dtype=np.float64), start=1):
        mean = _SMOOTH * mean + (1 - _SMOOTH) * float(value)
        result.append(mean / (1 - _SMOOTH**step))
    return np.asarray(result, dtype=np.float64)


def suggest(rate: ArrayLike, smoothed: ArrayLike) -> tuple[float, str]:
    """Read the rate of the steepest fall before the minimum.

    Args:
        rate: (n,) rising rates.
        smoothed: (n,) smoothed losses.

    Returns:
        The rate, and an empty note; NaN and the reason where nothing can be read.

    Example:
        >>> rate = np.geomspace(1e-5, 1, 21)
        >>> round(suggest(rate, 1 - np.tanh(np.log10(rate) + 3))[0], 6)
        0.001
    """
    rates, losses = np.asarray(rate, dtype=np.float64), np.asarray(smoothed, dtype=np.float64)
    if losses.size < _LEAST:
        return math.nan, f"the loss was lost after {losses.size} updates: begin with smaller rates"
    lowest = int(losses.argmin())
    if lowest < 2:
        return math.nan, "the loss never fell: begin with smaller rates, or give more updates"
    slope = np.gradient(losses[: lowest + 1], np.log10(rates[: lowest + 1]))
    return float(rates[int(slope.argmin())]), ""


class _Ramp(pl.Callback):
    """Set the rate of each update, and hear the loss of its batches."""

    def __init__(self, rates: NDArray[np.float64], *, peak: float) -> None:
        super().__init__()
        self.rates, self.peak = rates, peak
        self.losses: list[float] = []
        self._batches: list[float] = []
        self._mean, self._best = 0.0, math.inf

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer) -> None:
        """Scale the rates of all groups; the schedule has set its own before."""
        rate = float(self.rates[min(trainer.global_step, len(self.rates) - 1)])
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate / self.peak

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Tensor | Mapping[str, Any] | None, batch: object, batch_idx: int
    ) -> None:
        """Keep the mean loss of an update, and end when it is lost."""
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        self._batches.append(float(torch.as_tensor(loss)))
        if len(self._batches) < trainer.accumulate_grad_batches:
            return
        value = float(np.mean(self._batches))
        self._batches = []
        if not math.isfinite(value):
            trainer.should_stop = True
            return
        self.losses.append(value)
        self._mean = _SMOOTH * self._mean + (1 - _SMOOTH) * value
        now = self._mean / (1 - _SMOOTH ** len(self.losses))
        self._best = min(self._best, now)
        trainer.should_stop = now > _HOPELESS * self._best
