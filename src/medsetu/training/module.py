# SPDX-License-Identifier: Apache-2.0
"""The Lightning module of one stage: network, strategy, loss, optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError, DataError
from medsetu.training.auxiliary import AuxiliaryHeads, auxiliary_heads
from medsetu.training.average import first_averaged
from medsetu.training.hardware import Hardware
from medsetu.training.loss import prevalence_weight
from medsetu.training.plan import StagePlan
from medsetu.training.schedule import phased_cosine
from medsetu.tuning.distil import Teacher
from medsetu.tuning.statistics import hold_statistics, prepare_statistics
from medsetu.tuning.strategy import trainable_names


class Batch(TypedDict):
    """What data and training share: nothing that could name a patient.

    ``image`` (B, C, H, W) float32 at the backbone's InputSpec, ``label`` (B, L) float32 with NaN unknown, ``sample_id`` B strings,
    ``domain`` (B,) int64; while training ``group`` (B,) int64, the number of a film's site among those of the stage, and where the stage
    has auxiliary heads ``auxiliary`` (B, K) float32, what they are taught, NaN unknown.
    """

    image: Tensor
    label: Tensor
    sample_id: list[str]
    domain: Tensor
    group: NotRequired[Tensor]
    auxiliary: NotRequired[Tensor]


class StageModule(pl.LightningModule):
    """Train one network for one stage.

    Attributes:
        teacher: Set by whoever knows which findings the starting network can teach; None for no distillation.
        auxiliary: Set by whoever knows which facts the batches hold; None for no heads beside that of the findings.

    Args:
        network: Trunk and head; changed in place.
        plan: The stage.
        positive_weight: (L,) weight of positives of each finding.
        steps: Optimizer steps of the whole stage. Lightning's own estimate would set up the training loader before a checkpoint is
            restored, and its place in the epoch would be lost.
        seed: Seed of mixed films, and of the penalty's own weights where the plan has an alignment.
        other: Images (B', C, H, W) of the other side for the names of a training batch and the epoch; read only with an alignment.
        view: Another random view (B, C, H, W) for the names of a batch, the epoch and the number of the view; read only with a pretext.
        groups: Number of sites that ``group`` of a batch counts; read only by a loss over sites.
    """

    def __init__(
        self,
        network: Network,
        *,
        plan: StagePlan,
        positive_weight: Tensor,
        steps: int,
        seed: int = 0,
        other: Callable[[Sequence[str], int], Tensor] | None = None,
        view: Callable[[Sequence[str], int, int], Tensor] | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.plan = plan
        self.steps = steps
        self.seed = seed
        self.loss = plan.loss.build(positive_weight, groups=groups)
        if plan.resize is not None:
            plan.resize.require_accepted(network, epochs=plan.epochs)
        self.other = other
        self.penalty = None if plan.alignment is None or other is None else plan.alignment.build(network.head.in_features, seed=seed)
        self.view = view
        self.task = None if plan.pretext is None else plan.pretext.build(network, seed=seed)
        self.teacher: Teacher | None = None
        self.auxiliary: AuxiliaryHeads | None = None
        plan.tuning.install(network)
        prepare_statistics(network, plan.tuning.statistics, starting_share=plan.tuning.starting_share)
        plan.tuning.free(network)
        self.pull = plan.tuning.penalty(network)

    def on_train_start(self) -> None:
        """Enter the epoch that a killed run was in: Lightning does not call ``on_train_epoch_start`` when it resumes inside one."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Set what moves in this epoch, and train and eval modes, as the strategy wants them (a probe keeps its trunk in eval)."""
        self.plan.tuning.set_epoch(self.network, epoch=self.current_epoch, epochs=self.plan.epochs)
        self.plan.tuning.train_mode(self.network)
        hold_statistics(self.network, self.plan.tuning.statistics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what moves, so that a resume which would move something else is refused."""
        checkpoint["trainable"] = list(trainable_names(self.network))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare what moves in the epoch of a checkpoint with what moved when it was written (T34).

        Raises:
            DataError: Other parameters moved when the checkpoint was written.
        """
        self.plan.tuning.set_epoch(self.network, epoch=int(checkpoint["epoch"]), epochs=self.plan.epochs)
        other = set(checkpoint["trainable"]) ^ set(trainable_names(self.network))
        self.plan.tuning.free(self.network)  # the optimizer, whose groups never change, is made only now
        if other:
            raise DataError(
                what=f"{len(other)} parameters would move now and not before the stop, or the other way round (first: {min(other)})",
                where=f"Resume point in epoch {checkpoint['epoch']}",
                remedy="Continue with the recipe and the version of medsetu that began this stage, or remove its folder",
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One forward pass and its loss."""
        loss: Tensor
        if self.task is not None:
            loss = self._pretext_loss(batch, first=batch["image"])
        else:
            batch = self._changed(batch, batch_idx)
            loss = self._taught_loss(batch) if self.penalty is None else self._aligned_loss(batch)
        if self.pull is not None:
            loss = loss + self.pull()
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch["label"]))
        return loss

    def _taught_loss(self, batch: Batch) -> Tensor:
        """Loss of the labels, with those of the auxiliary heads, or mixed with what the teacher says, where there are any."""
        image = _channels_last(batch["image"])
        if self.auxiliary is not None:
            feature = self.network.features(image)
            losses = self.auxiliary(feature, batch["auxiliary"])
            for name, each in losses.items():
                self.log(f"train/{name}", each, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(image))
            return self._loss(self.network.head(feature), batch) + self.auxiliary.weigh(losses)
        logit = self.network(image)
        loss = self._loss(logit, batch)
        if self.teacher is None or self.plan.distil is None:
            return loss
        return self.plan.distil.mix(loss, logit[:, self.teacher.columns], taught=self.teacher.logits(image))

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Let the strategy look at the gradients of an update, which are clipped afterwards."""
        self.plan.tuning.before_step(self.network, optimizer)

    def _changed(self, batch: Batch, batch_idx: int) -> Batch:
        """Shrink and mix the films of a batch, from nothing but the seed, the epoch and the number of the batch."""
        image, label, epoch = batch["image"], batch["label"], self.current_epoch
        if self.plan.resize is not None:
            image = self.plan.resize.apply(image, epoch=epoch, epochs=self.plan.epochs)
        if self.plan.mix is not None:
            image, label = self.plan.mix.mix(image, label, place=(self.seed, epoch, batch_idx))
        return {**batch, "image": image, "label": label}

    def _loss(self, logit: Tensor, batch: Batch) -> Tensor:
        """Loss of a batch, over the groups that the loss asks for."""
        group = {"site": batch.get("group"), "domain": batch["domain"]}.get(self.plan.loss.groups)
        loss: Tensor = self.loss(logit, batch["label"], group)
        return loss

    def _aligned_loss(self, batch: Batch) -> Tensor:
        """Loss of the own side, and the penalty on how its features differ from those of the other side."""
        if self.other is None or self.penalty is None or self.plan.alignment is None:
            raise ConfigError(
                what="No images of the other side were given", where="stages.*.alignment", remedy="Give a data module that has them"
            )
        own = self.network.features(_channels_last(batch["image"]))
        met = self.network.features(_channels_last(self.other(batch["sample_id"], self.current_epoch).to(own.device)))
        penalty: Tensor = self.penalty(own, met, progress=min(1.0, self.global_step / max(1, self.steps)))
        self.log("train/alignment", penalty, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(own))
        return self._loss(self.network.head(own), batch) + self.plan.alignment.weight * penalty

    def _pretext_loss(self, batch: Batch, *, first: Tensor | None) -> Tensor:
        """Loss of the task on random views; in validation (no first view) these are the same each time."""
        if self.task is None or self.plan.pretext is None or self.view is None:
            raise ConfigError(what="No views of the films were given", where="stages.*.pretext", remedy="Give a data module that has them")
        given, epoch = ([], 0) if first is None else ([first], self.current_epoch)
        numbers = range(len(given), self.plan.pretext.views)
        drawn = [self.view(batch["sample_id"], epoch, number).to(batch["image"].device) for number in numbers]
        loss: Tensor = self.task(self.network, [_channels_last(view) for view in (*given, *drawn)])
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Logits and labels of one batch, or its loss without labels; the selection callback turns them into metrics."""
        if self.task is not None:
            count = torch.tensor(len(batch["sample_id"]))
            return {"loss": self._pretext_loss(batch, first=None).float(), "count": count}
        return {"logit": self.network(_channels_last(batch["image"])).float(), "label": batch["label"]}

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union of types
        """AdamW with warm-up and cosine, stepped at every update; the rate stays where it is when stochastic weight averaging begins."""
        epochs = self.plan.epochs
        last = self.steps // epochs * first_averaged(epochs, share=self.plan.swa) if self.plan.swa else self.steps
        groups = self.plan.tuning.parameter_groups(self.network, lr=self.plan.lr, weight_decay=self.plan.weight_decay)
        if self.task is not None:
            moving = [parameter for parameter in self.task.parameters() if parameter.requires_grad]
            groups.append({"name": "pretext", "params": moving, "lr": self.plan.lr, "weight_decay": self.plan.weight_decay})
        if self.penalty is not None and (moving := list(self.penalty.parameters())):
            groups.append({"name": "alignment", "params": moving, "lr": self.plan.lr, "weight_decay": self.plan.weight_decay})
        if self.auxiliary is not None:
            own = list(self.auxiliary.parameters())
            groups.append({"name": "auxiliary", "params": own, "lr": self.plan.lr, "weight_decay": self.plan.weight_decay})
        optimizer = AdamW(groups, lr=self.plan.lr, weight_decay=self.plan.weight_decay)
        phases = [(self.steps * phase.epochs // self.plan.epochs, phase.rate) for phase in self.plan.tuning.phases(self.plan.epochs)]
        schedule = LambdaLR(optimizer, lambda step: phased_cosine(min(step, last), phases=phases, warmup=self.plan.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def stage_module(
    network: Network,
    data: Any,  # noqa: ANN401 - as in fit_stage
    *,
    plan: StagePlan,
    steps: int,
    seed: int,
    hardware: Hardware,
) -> StageModule:
    """Put the module of a stage together from its network and its data.

    Args:
        network: Changed in place.
        data: As in ``fit_stage``.
        plan: The stage.
        steps: Optimizer steps of the whole stage.
        seed: Seed of the run.
        hardware: Where it will run.

    Returns:
        The module, with its teacher where the plan has one.

    Raises:
        ConfigError: Several processes train a loss over groups, each of which would weigh the groups by its own films; or the starting
            network has nothing to teach.
    """
    if plan.loss.groups and hardware.devices > 1:
        raise ConfigError(
            what=f"A loss over groups cannot be trained on {hardware.devices} devices",
            where="stages.*.loss",
            remedy="Set trainer.devices=1",
        )
    teacher = None if plan.distil is None else Teacher(network, known=network.trained, findings=plan.findings)
    network.mark_trained(plan.findings)
    module = StageModule(
        network,
        plan=plan,
        positive_weight=prevalence_weight(data.train_labels, limit=plan.prevalence_limit),
        steps=steps,
        seed=seed,
        other=None if plan.alignment is None else data.unlabelled,
        view=None if plan.pretext is None else data.view,
        groups=data.groups if plan.loss.groups == "site" else 1,
    )
    module.teacher = teacher
    if plan.auxiliary:
        module.auxiliary = auxiliary_heads(network.head.in_features, classes=data.auxiliary, weights=plan.auxiliary, seed=seed)
    return module


def _channels_last(image: Tensor) -> Tensor:
    """Order 2-D images as convolutions like them; volumes stay as they are."""
    return image.contiguous(memory_format=torch.channels_last) if image.ndim == 4 else image
