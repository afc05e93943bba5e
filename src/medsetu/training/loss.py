# SPDX-License-Identifier: Apache-2.0
"""Binary cross-entropy over findings that ignores unknown labels and weighs rare findings up."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def prevalence_weight(label: Tensor, *, limit: float) -> Tensor:
    """Weigh positives by negatives / positives of each finding, within bounds.

    Args:
        label: (N, L), 1 / 0 / NaN unknown.
        limit: Bound b; weights are kept in [1/b, b].

    Returns:
        (L,) float32; 1 for a finding without positives or without negatives.

    Example:
        >>> prevalence_weight(torch.tensor([[1.0], [0.0], [0.0], [float("nan")]]), limit=10.0)
        tensor([2.])
    """
    positive = (label == 1).sum(0).float()
    negative = (label == 0).sum(0).float()
    usable = (positive > 0) & (negative > 0)
    weight = torch.where(usable, negative / positive.clamp(min=1), torch.ones_like(positive))
    return weight.clamp(1 / limit, limit)


class MaskedBCE(nn.Module):
    """Mean binary cross-entropy over the known labels of a batch.

    The loss is a mean over known entries, so it depends neither on the batch size nor on how many labels are unknown.

    Args:
        positive_weight: (L,) weight of the positive term of each finding.
    """

    positive_weight: Tensor

    def __init__(self, positive_weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("positive_weight", positive_weight.float())

    def forward(self, logit: Tensor, label: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logit: (B, L), any float type; computed in float32.
            label: (B, L), 1 / 0 / NaN unknown.

        Returns:
            Scalar float32; 0 with zero gradient when nothing is known.
        """
        known = ~torch.isnan(label)
        target = torch.where(known, label, torch.zeros_like(label))
        each = functional.binary_cross_entropy_with_logits(logit.float(), target, pos_weight=self.positive_weight, reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)
