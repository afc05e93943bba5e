# SPDX-License-Identifier: Apache-2.0
"""Validation metrics of each side, and the weights they choose."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from medsetu.backbone.weights import save_weights
from medsetu.core.errors import DataError, DivergedError
from medsetu.core.run import sha256_file
from medsetu.evaluation.metric import auroc_value
from medsetu.training.loss import MaskedBCE
from medsetu.training.module import StageModule
from medsetu.training.plan import MONITORS

_KEPT = ("best_value", "best_epoch", "sha256", "epochs_run")


class Selection(pl.Callback):
    """Log ``val/<side>/...`` every epoch and keep the weights that are best on the selecting side.

    Runs before the callback that swaps averaged weights back, so that what was measured is what is kept.

    Args:
        sides: Name of each validation loader, in loader order.
        path: Where the best weights go (safetensors).
        patience: Epochs without an improvement after which training stops; 0 never stops it. Lightning's own callback counts after the
            place of a run was saved, so that a resumed run would be more patient.
    """

    def __init__(self, sides: tuple[str, ...], path: Path, *, patience: int = 0) -> None:
        super().__init__()
        self.sides, self.path, self.patience = sides, path, patience
        self.best_value, self.best_epoch, self.sha256 = math.nan, -1, ""
        self.epochs_run = 0
        self._seen: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where the run that is resumed had lost its patience."""
        trainer.should_stop = self._out_of_patience

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch."""
        self._seen = {index: [] for index in range(len(self.sides))}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect logits and labels, or losses and counts of a stage without labels."""
        first, second = ("loss", "count") if "count" in outputs else ("logit", "label")
        self._seen[dataloader_idx].append((outputs[first].cpu(), outputs[second].cpu()))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the metrics and save the weights when they are the best so far.

        Every process has seen every row, and takes the first one's numbers: the last bits may differ between devices, the decision may not.
        """
        if trainer.sanity_checking or not isinstance(pl_module, StageModule):
            return
        own = {side: self._metrics(index, pl_module) for index, side in enumerate(self.sides)}
        for side, metrics in trainer.strategy.broadcast(own).items():
            if metrics is None:
                raise _not_a_number(trainer.current_epoch, side=side)
            for key, value in metrics.items():
                pl_module.log(f"val/{side}/{key}", value)
        value = float(trainer.callback_metrics[pl_module.plan.monitor_key])
        self._keep_best(value, trainer.current_epoch, pl_module, writes=trainer.is_global_zero)

    def _metrics(self, index: int, module: StageModule) -> Mapping[str, float] | None:
        if module.task is not None:
            losses, counts = (torch.stack([pair[k] for pair in self._seen[index]]) for k in (0, 1))
            return {"loss": float((losses * counts).sum() / counts.sum())} if bool(torch.isfinite(losses).all()) else None
        logit, label = (torch.cat([pair[k] for pair in self._seen[index]]) for k in (0, 1))
        return side_metrics(logit, label, findings=module.network.findings) if bool(torch.isfinite(logit).all()) else None

    def _keep_best(self, value: float, epoch: int, module: StageModule, *, writes: bool) -> None:
        if not math.isfinite(value):
            raise _not_a_number(epoch, side=module.plan.selecting_side)
        sign = 1 if MONITORS[module.plan.monitor] == "max" else -1
        if self.best_epoch < 0 or sign * value > sign * self.best_value:
            self.best_value, self.best_epoch = value, epoch
            if writes:
                self.sha256 = save_weights(module.plan.tuning.export(module.network), self.path)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epoch, and stop when patience is lost."""
        self.epochs_run = trainer.current_epoch + 1
        trainer.should_stop = trainer.should_stop or self._out_of_patience

    @property
    def _out_of_patience(self) -> bool:
        return 0 < self.patience < self.epochs_run - self.best_epoch

    def require_kept(self) -> None:
        """Compare the file of the best weights with what was written.

        Raises:
            DataError: It is missing or damaged.
        """
        if not self.path.is_file() or sha256_file(self.path) != self.sha256:
            raise DataError(
                what="The chosen weights are missing or were changed while the stage went on",
                where=str(self.path),
                remedy="Start the same command again: the stage is trained anew",
            )

    def state_dict(self) -> dict[str, Any]:
        """Plain values, so that a checkpoint loads with ``weights_only=True``."""
        return {name: getattr(self, name) for name in _KEPT}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the values of a checkpoint."""
        for name in _KEPT:
            setattr(self, name, state_dict[name])


def _not_a_number(epoch: int, *, side: str) -> DivergedError:
    return DivergedError(
        what=f"An output or metric is not a number in epoch {epoch}",
        where=f"Validation of val/{side}",
        remedy="Lower the learning rate, use trainer.precision=fp32, or check that the validation rows hold both classes",
    )


def side_metrics(logit: Tensor, label: Tensor, *, findings: tuple[str, ...]) -> Mapping[str, float]:
    """Metrics of one side: unweighted loss, AUROC of each finding, and their mean.

    Args:
        logit: (N, L).
        label: (N, L), NaN unknown.
        findings: The L names.

    Returns:
        ``loss``, ``<finding>/auroc`` and ``auroc`` (mean over findings that have both classes; NaN when none has).
    """
    result = {"loss": float(MaskedBCE(torch.ones(len(findings)))(logit, label))}
    values = []
    for column, finding in enumerate(findings):
        known = ~torch.isnan(label[:, column])
        value = auroc_value(label[known, column].numpy(), logit[known, column].numpy())
        result[f"{finding}/auroc"] = value
        values.append(value)
    usable = [value for value in values if np.isfinite(value)]
    result["auroc"] = float(np.mean(usable)) if usable else math.nan
    return result
