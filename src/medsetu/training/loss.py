# SPDX-License-Identifier: Apache-2.0
"""Losses over findings: unknown labels are left out, everything is computed in float32, no loss grows with the batch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsetu.core.errors import ConfigError
from medsetu.core.sample import DOMAINS

GROUPINGS = ("site", "domain", "class")


def prevalence_weight(label: Tensor, *, limit: float) -> Tensor:
    """Weigh positives by negatives / positives of each finding, within bounds.

    Args:
        label: (N, L), 1 / 0 / NaN unknown; a soft label counts on both sides.
        limit: Bound b; weights are kept in [1/b, b].

    Returns:
        (L,) float32; 1 for a finding without positives or without negatives.

    Example:
        >>> prevalence_weight(torch.tensor([[1.0], [0.0], [0.0], [float("nan")]]), limit=10.0)
        tensor([2.])
    """
    positive = torch.nansum(label, 0).float()
    negative = torch.nansum(1 - label, 0).float()
    usable = (positive > 0) & (negative > 0)
    weight = torch.where(usable, negative / positive.clamp(min=1), torch.ones_like(positive))
    return weight.clamp(1 / limit, limit)


class _Masked(nn.Module, ABC):
    """Mean of a loss of each entry over the known labels of a batch.

    Args:
        positive_weight: (L,) weight of the positive term of each finding.
    """

    positive_weight: Tensor

    def __init__(self, positive_weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("positive_weight", positive_weight.float())

    def forward(self, logit: Tensor, label: Tensor, group: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            logit: (B, L), any float type; computed in float32.
            label: (B, L), in [0, 1], or NaN unknown.
            group: Not used.

        Returns:
            Scalar float32; 0 with zero gradient when nothing is known.
        """
        known = ~torch.isnan(label)
        target = torch.where(known, label, torch.zeros_like(label))
        return (self.each(logit.float(), target) * known).sum() / known.sum().clamp(min=1)

    @abstractmethod
    def each(self, logit: Tensor, target: Tensor) -> Tensor:
        """Loss (B, L) of each entry for logits and targets without NaN."""


class MaskedBCE(_Masked):
    """Mean binary cross-entropy over the known labels of a batch.

    The loss is a mean over known entries, so it depends neither on the batch size nor on how many labels are unknown.

    Args:
        positive_weight: (L,) weight of the positive term of each finding.
        smoothing: Labels become 1 - smoothing / 2 and smoothing / 2.
    """

    def __init__(self, positive_weight: Tensor, *, smoothing: float = 0.0) -> None:
        super().__init__(positive_weight)
        self.smoothing = smoothing

    def each(self, logit: Tensor, target: Tensor) -> Tensor:
        """Loss of each entry."""
        target = target * (1 - self.smoothing) + self.smoothing / 2
        return functional.binary_cross_entropy_with_logits(logit, target, pos_weight=self.positive_weight, reduction="none")


class Loss(ABC):
    """What a stage may be given as ``loss``: configuration; ``build`` makes the module that computes it."""

    @property
    def groups(self) -> str:
        """What parts the films of a batch: "" for nothing, or ``site``, ``domain`` or ``class``."""
        return ""

    @abstractmethod
    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """Make the loss.

        Args:
            positive_weight: (L,) weight of the positive term of each finding.
            groups: Number of groups that batches name; read where ``by`` is ``site``.

        Returns:
            A module called with logits (B, L), labels (B, L) in [0, 1] or NaN, and group numbers (B,) or None; it gives a scalar.
        """


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Weighted binary cross-entropy, with label smoothing where asked (Szegedy et al. 2016).

    Attributes:
        smoothing: s in [0, 1): labels become 1 - s/2 and s/2; 0 smooths nothing.

    Raises:
        ConfigError: ``smoothing`` is out of its range.
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.smoothing < 1, "smoothing", self.smoothing, "at least 0 and below 1")

    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """See ``Loss``."""
        return MaskedBCE(positive_weight, smoothing=self.smoothing)


@dataclass(frozen=True)
class Focal(Loss):
    """Cross-entropy that well-classified films hardly move (Lin et al. 2017); the weight of positives stands for its alpha.

    Attributes:
        gamma: Exponent of 1 minus the probability of the true class, at least 0; 0 is cross-entropy.

    Raises:
        ConfigError: ``gamma`` is negative.
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        _require(self.gamma >= 0, "gamma", self.gamma, "at least 0")

    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """See ``Loss``."""
        return _Focused(positive_weight, positive=self.gamma, negative=self.gamma, shift=0.0)


@dataclass(frozen=True)
class Asymmetric(Loss):
    """Cross-entropy that forgets easy negatives faster than easy positives (Ridnik et al. 2021, ASL).

    The asymmetry takes the place of the weight of positives, which is not used.

    Attributes:
        gamma_positive: Exponent for positives, at least 0.
        gamma_negative: Exponent for negatives, at least 0.
        shift: Probability below which a negative counts nothing, in [0, 1).

    Raises:
        ConfigError: A number is out of its range.
    """

    gamma_positive: float = 0.0
    gamma_negative: float = 4.0
    shift: float = 0.05

    def __post_init__(self) -> None:
        _require(self.gamma_positive >= 0, "gamma_positive", self.gamma_positive, "at least 0")
        _require(self.gamma_negative >= 0, "gamma_negative", self.gamma_negative, "at least 0")
        _require(0 <= self.shift < 1, "shift", self.shift, "at least 0 and below 1")

    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """See ``Loss``."""
        even = torch.ones_like(positive_weight)
        return _Focused(even, positive=self.gamma_positive, negative=self.gamma_negative, shift=self.shift)


@dataclass(frozen=True)
class AucMargin(Loss):
    """Squared hinge on the score differences of positive and negative films: a smooth stand-in for the AUROC.

    Yuan et al. 2021 (deep AUC maximisation) write the margin loss as a min-max problem with running means, so that it can be updated from
    one film at a time. Here the pairs of a batch are formed outright: the mean over pairs does not depend on how large a batch is in
    expectation, whereas the square of a difference of two batch means grows with their noise, and with 16 films that noise is not small. A
    batch without both classes of a finding says nothing about it. Choose the weights by ``monitor: auroc``; scores are not calibrated.

    Attributes:
        margin: Difference of probabilities from which a pair counts nothing, in (0, 1].

    Raises:
        ConfigError: ``margin`` is out of its range.
    """

    margin: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.margin <= 1, "margin", self.margin, "above 0 and at most 1")

    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """See ``Loss``."""
        return _Pairs(self.margin)


@dataclass(frozen=True)
class GroupDro(Loss):
    """Cross-entropy of the groups, the worse a group the more it weighs (Sagawa et al. 2020, online group DRO).

    Attributes:
        by: What parts the films: ``site``, ``domain``, or ``class`` (each finding's positives and negatives).
        rate: Step of the weights, q_g grows with exp(rate times loss of g); above 0.

    Raises:
        ConfigError: There is no such grouping, or ``rate`` is not above 0.
    """

    by: str = "site"
    rate: float = 0.01

    def __post_init__(self) -> None:
        _require(self.by in GROUPINGS, "by", self.by, f"one of {', '.join(GROUPINGS)}")
        _require(self.rate > 0, "rate", self.rate, "above 0")

    @property
    def groups(self) -> str:
        """What parts the films."""
        return self.by

    def build(self, positive_weight: Tensor, *, groups: int = 1) -> nn.Module:
        """See ``Loss``."""
        count = {"class": 2 * len(positive_weight), "domain": len(DOMAINS), "site": groups}[self.by]
        return _Worst(positive_weight, count=count, rate=self.rate, by_class=self.by == "class")


class _Focused(_Masked):
    """Cross-entropy with a power of the error in front of each term; 0 and 1 are its only fixed points, soft labels mix the two terms."""

    def __init__(self, positive_weight: Tensor, *, positive: float, negative: float, shift: float) -> None:
        super().__init__(positive_weight)
        self.positive, self.negative, self.shift = positive, negative, shift

    def each(self, logit: Tensor, target: Tensor) -> Tensor:
        """Loss of each entry."""
        present = functional.logsigmoid(logit)
        wrong = torch.sigmoid(logit)
        missed = self.positive_weight * target * -present
        if self.positive > 0:
            missed = missed * (1 - wrong) ** self.positive
        absent = functional.logsigmoid(-logit)
        if self.shift > 0:
            wrong = (wrong - self.shift).clamp(min=0)
            absent = torch.log1p(-wrong)
        alarmed = (1 - target) * -absent
        return missed + (alarmed * wrong**self.negative if self.negative > 0 else alarmed)


class _Pairs(nn.Module):
    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, logit: Tensor, label: Tensor, group: Tensor | None = None) -> Tensor:
        """Mean over findings that show both classes of the mean over pairs; soft labels weigh a film on both sides."""
        known = ~torch.isnan(label)
        present = torch.where(known, label, torch.zeros_like(label))
        absent = torch.where(known, 1 - label, torch.zeros_like(label))
        score = torch.sigmoid(logit.float())
        short = (self.margin - (score[:, None] - score[None])).clamp(min=0) ** 2  # (B, B, L) of film i as the positive, j as the negative
        pairs = present[:, None] * absent[None] * (1 - torch.eye(len(label), device=label.device))[:, :, None]
        total = pairs.sum((0, 1))
        mean = (short * pairs).sum((0, 1)) / total.clamp(min=torch.finfo(torch.float32).tiny)
        both = total > 0
        return (mean * both).sum() / both.sum().clamp(min=1)


class _Worst(MaskedBCE):
    """Group DRO; ``weight`` (G,) is a buffer, so that a checkpoint holds it."""

    weight: Tensor

    def __init__(self, positive_weight: Tensor, *, count: int, rate: float, by_class: bool) -> None:
        super().__init__(positive_weight)
        self.rate, self.by_class = rate, by_class
        self.register_buffer("weight", torch.full((count,), 1 / count))

    def forward(self, logit: Tensor, label: Tensor, group: Tensor | None = None) -> Tensor:
        """Weighted sum of the mean losses of the groups; in training mode the weights move first. An absent group keeps its weight."""
        known = ~torch.isnan(label)
        target = torch.where(known, label, torch.zeros_like(label))
        each = self.each(logit.float(), target) * known
        if self.by_class:
            place = 2 * torch.arange(label.shape[1], device=label.device) + (target > 0.5)
        elif group is None:
            raise ConfigError(what="The films of a batch name no group", where="stages.*.loss", remedy="Give a data module that has groups")
        else:
            place = group[:, None].expand_as(label)
        share = functional.one_hot(place.long(), len(self.weight)).to(each.dtype) * known[..., None]  # (B, L, G)
        count = share.sum((0, 1))
        mean = (each[..., None] * share).sum((0, 1)) / count.clamp(min=1)
        if self.training:
            with torch.no_grad():
                grown = self.weight * torch.exp(self.rate * mean.detach())
                self.weight.copy_(grown / grown.sum())
        there = self.weight * (count > 0)
        return (there * mean).sum() / there.sum().clamp(min=torch.finfo(torch.float32).tiny)


def _require(holds: bool, key: str, value: object, wanted: str) -> None:  # noqa: FBT001 - a check reads best with its condition first
    if not holds:
        raise ConfigError(what=f"A loss cannot have {key}={value}", where=f"stages.*.loss.{key}", remedy=f"It must be {wanted}")
