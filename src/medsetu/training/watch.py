# SPDX-License-Identifier: Apache-2.0
"""Someone who watches the validation of a stage and may give it up."""

from collections.abc import Callable

import pytorch_lightning as pl

from medsetu.training.module import StageModule

Judge = Callable[[int, float], bool]
"""Zero-based epoch and monitored value -> whether the stage is to be given up."""


class GivenUpError(Exception):
    """A stage was given up after a validation; what it has saved stays, so that the same call continues it.

    Args:
        epoch: Zero-based epoch after which it was.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        super().__init__(f"Given up after epoch {epoch}")


class Watch(pl.Callback):
    """Tell a judge the monitored value of every epoch; must come after the choice of the weights.

    Args:
        judge: Is told each epoch once more where a killed stage trains it again.
    """

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask after each validation.

        Raises:
            GivenUpError: The judge has seen enough.
        """
        if isinstance(pl_module, StageModule) and self.judge(
            trainer.current_epoch, float(trainer.callback_metrics[pl_module.plan.monitor_key])
        ):
            raise GivenUpError(trainer.current_epoch)
