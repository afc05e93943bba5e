# SPDX-License-Identifier: Apache-2.0
"""Heads beside that of the findings, which make the trunk see more and are dropped when it is handed on (Caruana 1997)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsetu.backbone.network import seeded
from medsetu.core.errors import ConfigError
from medsetu.core.run import content_key


class AuxiliaryHeads(nn.Module):
    """One linear head for each fact, beside the network and never in it: weights of a stage hold none.

    A number is regressed in standard deviations with the Huber loss, a class is told by cross-entropy. A film whose fact is unknown takes
    no part in that fact's loss, and a batch without any gives 0.

    Args:
        width: Features D of the trunk.
        classes: Number of classes of each fact, 0 for a number.
        weights: Weight of the loss of each fact, above 0.
        seed: Of the heads; a head depends on it and on its own name alone.
    """

    def __init__(self, width: int, *, classes: Mapping[str, int], weights: Mapping[str, float], seed: int) -> None:
        super().__init__()
        self.weights = {name: float(weights[name]) for name in classes}
        self.heads = nn.ModuleDict()
        for name, count in classes.items():
            with seeded(int(content_key(["auxiliary", seed, name], length=15), 16)):
                self.heads[name] = nn.Linear(width, count or 1)

    def forward(self, feature: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute the loss of each fact.

        Args:
            feature: (B, D).
            target: (B, K) in the order of the facts: number of the class, or standardised number; NaN unknown.

        Returns:
            Scalar float32 by name, not weighted yet.

        Example:
            >>> heads = AuxiliaryHeads(2, classes={"sex": 2}, weights={"sex": 0.5}, seed=0)
            >>> round(heads(torch.zeros(3, 2), torch.full((3, 1), torch.nan))["sex"].item(), 3)
            0.0
        """
        losses = {}
        for column, (name, head) in enumerate(self.heads.items()):
            answer, wanted = head(feature).float(), target[:, column]
            known = torch.isfinite(wanted)
            filled = torch.where(known, wanted, 0.0)  # a masked mean instead of a selection keeps shapes and the graph the same
            if answer.shape[1] == 1:
                each = functional.huber_loss(answer[:, 0], filled, reduction="none")
            else:
                each = functional.cross_entropy(answer, filled.long(), reduction="none")
            losses[name] = (each * known).sum() / known.sum().clamp(min=1)
        return losses

    def weigh(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Sum the losses of all facts, each times its weight."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()


def auxiliary_heads(width: int, *, classes: Mapping[str, int], weights: Mapping[str, float], seed: int) -> AuxiliaryHeads:
    """Build the heads of a stage for the facts that its batches hold; arguments as of ``AuxiliaryHeads``.

    Raises:
        ConfigError: The batches hold other facts than the stage asks for.
    """
    if set(classes) != set(weights):
        raise ConfigError(
            what=f"The batches hold the facts {sorted(classes)}, and the stage asks for {sorted(weights)}",
            where="stages.*.auxiliary",
            remedy="Give a data module that was told them",
        )
    return AuxiliaryHeads(width, classes=classes, weights=weights, seed=seed)
