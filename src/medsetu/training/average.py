# SPDX-License-Identifier: Apache-2.0
"""Averages of the weights: exponential over the updates, or the plain mean at the ends of the last epochs (Izmailov et al. 2018)."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging


class ExponentialAverage(EMAWeightAveraging):
    """Exponential moving average of the weights after each update; validation measures it.

    It is left in the network when the fit ends, not when training does: Lightning trains nothing, and says nothing of an end of training,
    where a run was killed after its last save and is started again.
    """

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for the end of the fit."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the network."""
        self._copy_average_to_current(pl_module)


class StochasticWeightAveraging(WeightAveraging):
    """Average the weights after the last update of each epoch from a first one on, all equally.

    Validation of an epoch before the first one measures the weights as they are; from the first one on it measures the average, that epoch
    included, so that either may be chosen. Running statistics of batch normalisation are averaged like weights: to estimate them anew, as
    the paper does, would take a further pass over the training images at every validation and would undo frozen statistics. The learning
    rate keeps the value it has when averaging begins.

    Args:
        steps_per_epoch: Updates of an epoch.
        first_epoch: Zero-based epoch whose end is the first to be averaged.
    """

    def __init__(self, *, steps_per_epoch: int, first_epoch: int) -> None:
        super().__init__()
        self._steps, self._first = steps_per_epoch, first_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Tell whether an update was the last of an epoch that counts."""
        return step_idx is not None and (step_idx + 1) % self._steps == 0 and step_idx // self._steps >= self._first

    @property
    def _begun(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap the average in, once there is one."""
        if self._begun:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap the weights back."""
        if self._begun:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for the end of the fit, as ``ExponentialAverage`` does."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the network, once there is one."""
        if self._begun:
            self._copy_average_to_current(pl_module)


def first_averaged(epochs: int, *, share: float) -> int:
    """Name the first of the epochs whose weights are averaged.

    Args:
        epochs: Of the stage.
        share: Share of them, at the end; at least one epoch is averaged.

    Returns:
        Zero-based epoch.

    Example:
        >>> first_averaged(20, share=0.25), first_averaged(3, share=0.01), first_averaged(3, share=1.0)
        (15, 2, 0)
    """
    return epochs - max(1, round(epochs * share))
