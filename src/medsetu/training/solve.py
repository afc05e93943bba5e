# SPDX-License-Identifier: Apache-2.0
"""A stage without epochs: features are seen once, heads are computed from them, validation chooses one."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from medsetu.backbone.network import Network
from medsetu.backbone.weights import save_weights
from medsetu.training.candidate import best_first, metrics_of, see
from medsetu.training.fit import BEST, StageResult, close_loggers, quiet
from medsetu.training.hardware import Hardware, forget_peak, peak_memory
from medsetu.training.loss import prevalence_weight
from medsetu.training.plan import StagePlan
from medsetu.training.prediction import predict
from medsetu.tuning.frozen import Frozen


def solve_stage(
    network: Network,
    data: Any,  # noqa: ANN401 - a data module with validation loaders and ``plain_train_dataloader``
    *,
    plan: StagePlan,
    strategy: Frozen,
    folder: Path,
    hardware: Hardware,
    listeners: Sequence[Logger | pl.Callback] = (),
) -> StageResult:
    """Compute heads on the frozen features of the training images and keep the one that validation chooses.

    Nothing is drawn, so a killed stage is simply done again, with the same bytes.

    Args:
        network: Its trunk is not changed; afterwards it has the chosen head.
        data: Data module.
        plan: The stage.
        strategy: What computes the heads.
        folder: Where the weights go.
        hardware: Where to run, in float32.
        listeners: Loggers get the metrics of the chosen head; callbacks have nothing to hear.

    Returns:
        The chosen weights; ``best_epoch`` is -1, ``epochs_run`` 0, and ``details`` name all candidates with their monitored values.

    Raises:
        DataError: A monitored value is not a number.
    """
    loggers = [one for one in listeners if isinstance(one, Logger)]
    forget_peak(hardware)
    began = time.perf_counter()
    strategy.free(network)
    network.mark_trained(plan.findings)
    train = predict(network, data.plain_train_dataloader(), device=hardware.device)
    seen = {side: see(network, data, hardware=hardware, side=side) for side in data.val_names}
    weight = prevalence_weight(torch.from_numpy(train.label), limit=plan.prevalence_limit)
    found, values = [], []
    for facts, head in strategy.heads(torch.from_numpy(train.feature), torch.from_numpy(train.label), weight=weight):
        network.head = head.to(hardware.device)
        values.append(float(metrics_of(network, seen[plan.selecting_side])[plan.monitor]))
        found.append((facts, head))
    chosen = best_first(values, monitor=plan.monitor)[0]
    network.head = found[chosen][1]
    told = {f"val/{side}/{key}": value for side, scores in seen.items() for key, value in metrics_of(network, scores).items()}
    with quiet():
        for logger in loggers:
            logger.log_metrics(told, 0)
            logger.save()
    close_loggers(loggers)
    sha256 = save_weights(network, folder / BEST)
    moved = sum(parameter.numel() for parameter in network.head.parameters())
    seconds = time.perf_counter() - began
    return StageResult(
        weights=folder / BEST,
        sha256=sha256,
        best_epoch=-1,
        best_value=values[chosen],
        epochs_run=0,
        seconds=seconds,
        images_per_s=len(train.label) / seconds,
        parameters_trained=moved,
        parameters_total=sum(parameter.numel() for parameter in network.parameters()),
        peak_memory_bytes=peak_memory(hardware),
        details={
            "chosen": found[chosen][0],
            "candidates": [{**facts, plan.monitor: value} for (facts, _), value in zip(found, values, strict=True)],
        },
    )
