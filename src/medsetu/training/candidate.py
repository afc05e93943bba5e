# SPDX-License-Identifier: Apache-2.0
"""Candidates beside those of the epochs: measured on the selecting side's validation rows, never on test, and the best one named."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from medsetu.backbone.network import Network
from medsetu.core.errors import DivergedError
from medsetu.training.hardware import Hardware
from medsetu.training.plan import MONITORS, StagePlan
from medsetu.training.prediction import Scores, predict
from medsetu.training.selection import side_metrics


class ValidationData(Protocol):
    """What measuring needs of a data module."""

    @property
    def val_names(self) -> Sequence[str]:
        """Side of each validation loader."""

    def val_dataloader(self) -> Sequence[Any]:
        """One loader per side."""


def see(network: Network, data: ValidationData, *, hardware: Hardware, side: str) -> Scores:
    """Show a network the validation images of a side, in float32.

    Args:
        network: Left in eval mode on the device.
        data: Has a validation loader for the side.
        hardware: Where to run.
        side: Name of the side.

    Returns:
        Features and labels; scores as the network stands.
    """
    return predict(network, data.val_dataloader()[list(data.val_names).index(side)], device=hardware.device)


def metrics_of(network: Network, seen: Scores) -> Mapping[str, float]:
    """Measure the head of a network on features that were seen before; see ``side_metrics``."""
    device = network.head.weight.device
    with torch.inference_mode():
        logit = network.head(torch.from_numpy(seen.feature).to(device)).float().cpu()
    return side_metrics(logit, torch.from_numpy(seen.label), findings=network.findings)


def measure(network: Network, data: ValidationData, *, plan: StagePlan, hardware: Hardware) -> float:
    """Measure a network by the stage's monitor on the stage's selecting side."""
    return float(metrics_of(network, see(network, data, hardware=hardware, side=plan.selecting_side))[plan.monitor])


def best_first(values: Sequence[float], *, monitor: str) -> list[int]:
    """Order candidates from best to worst; of equal ones the earlier comes first.

    Args:
        values: Monitored value of each candidate.
        monitor: ``loss`` or ``auroc``.

    Returns:
        Positions in ``values``.

    Raises:
        DivergedError: A value is not a number.

    Example:
        >>> best_first([0.7, 0.9, 0.9], monitor="auroc"), best_first([0.7, 0.9, 0.9], monitor="loss")
        ([1, 2, 0], [0, 1, 2])
    """
    if not all(math.isfinite(value) for value in values):
        raise DivergedError(
            what=f"The {monitor} of a candidate is not a number",
            where="Validation of the selecting side",
            remedy="Check that its validation rows hold both classes, or use monitor=loss",
        )
    sign = -1 if MONITORS[monitor] == "max" else 1
    return sorted(range(len(values)), key=lambda index: (sign * values[index], index))
