# SPDX-License-Identifier: Apache-2.0
"""The Lightning module of one stage: network, strategy, loss, optimizer."""

from typing import Any, TypedDict

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from medsetu.backbone.network import Network
from medsetu.training.loss import MaskedBCE
from medsetu.training.plan import StagePlan
from medsetu.training.schedule import warmup_cosine


class Batch(TypedDict):
    """What data and training share: nothing that could name a patient.

    ``image`` (B, C, H, W) float32 at the backbone's InputSpec, ``label`` (B, L) float32 with NaN unknown, ``sample_id`` B strings,
    ``domain`` (B,) int64.
    """

    image: Tensor
    label: Tensor
    sample_id: list[str]
    domain: Tensor


class StageModule(pl.LightningModule):
    """Train one network for one stage.

    Args:
        network: Trunk and head; changed in place.
        plan: The stage.
        positive_weight: (L,) weight of positives of each finding.
        steps: Optimizer steps of the whole stage. Lightning's own estimate would set up the training loader before a checkpoint is
            restored, and its place in the epoch would be lost.
    """

    def __init__(self, network: Network, *, plan: StagePlan, positive_weight: Tensor, steps: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.plan = plan
        self.steps = steps
        self.loss = MaskedBCE(positive_weight)
        plan.tuning.apply(network)

    def on_train_epoch_start(self) -> None:
        """Set train and eval modes as the strategy wants them (a probe keeps its trunk in eval)."""
        self.plan.tuning.train_mode(self.network)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One forward pass and its loss."""
        loss: Tensor = self.loss(self.network(_channels_last(batch["image"])), batch["label"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Logits and labels of one batch; the selection callback turns them into metrics."""
        return {"logit": self.network(_channels_last(batch["image"])).float(), "label": batch["label"]}

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union of types
        """AdamW with warm-up and cosine, stepped at every update."""
        groups = self.plan.tuning.parameter_groups(self.network, lr=self.plan.lr, weight_decay=self.plan.weight_decay)
        optimizer = AdamW(groups, lr=self.plan.lr, weight_decay=self.plan.weight_decay)
        schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, total=self.steps, warmup=self.plan.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _channels_last(image: Tensor) -> Tensor:
    """Order 2-D images as convolutions like them; volumes stay as they are."""
    return image.contiguous(memory_format=torch.channels_last) if image.ndim == 4 else image
