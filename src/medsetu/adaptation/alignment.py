# SPDX-License-Identifier: Apache-2.0
"""Penalties that make the features of two sides alike while a stage trains: CORAL and DANN. Off by default.

Both want images of the other side and never its labels.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsetu.backbone.network import seeded
from medsetu.core.errors import ConfigError
from medsetu.core.sample import DOMAINS, LOCAL


class Penalty(Protocol):
    """What a stage adds to its loss; a torch module whose parameters are trained along."""

    def __call__(self, own: Tensor, other: Tensor, *, progress: float) -> Tensor:
        """Penalise (B, D) and (B', D) features of the two sides; ``progress`` in [0, 1] through the stage."""


class Alignment(Protocol):
    """What a stage may be given as ``alignment``."""

    side: str
    weight: float

    def build(self, width: int, *, seed: int) -> nn.Module:
        """Make the penalty for features of a width."""


@dataclass(frozen=True)
class Coral:
    """Pull the covariances of the two sides together (Sun and Saenko 2016, Deep CORAL).

    Attributes:
        weight: Factor of the penalty, at least 0.
        side: Side whose images are aligned to, without labels.
    """

    weight: float = 1.0
    side: str = LOCAL

    def __post_init__(self) -> None:
        _check(self.weight, self.side)

    def build(self, width: int, *, seed: int) -> nn.Module:
        """Make the penalty; it has no parameters."""
        return CoralPenalty()


@dataclass(frozen=True)
class Dann:
    """Train features that a classifier of the side cannot read (Ganin et al. 2016, domain-adversarial training).

    Attributes:
        weight: Factor of the penalty, at least 0.
        side: Side whose images are aligned to, without labels.
        hidden: Width of the classifier of the side, at least 1.
        gamma: Steepness with which the reversal grows from 0 to 1 over the stage; 10 in the paper.
    """

    weight: float = 1.0
    side: str = LOCAL
    hidden: int = 64
    gamma: float = 10.0

    def __post_init__(self) -> None:
        _check(self.weight, self.side)
        if self.hidden < 1:
            raise ConfigError(what=f"A classifier of width {self.hidden} is impossible", where="alignment.hidden", remedy="Give at least 1")

    def build(self, width: int, *, seed: int) -> nn.Module:
        """Make the penalty with a classifier of its own; no global generator is touched."""
        with seeded(seed):
            return DannPenalty(width, hidden=self.hidden, gamma=self.gamma)


def coral_loss(own: Tensor, other: Tensor) -> Tensor:
    """Squared Frobenius distance of two covariances over 4 D².

    Args:
        own: (B, D) features, B of at least 2.
        other: (B', D) features, B' of at least 2.

    Returns:
        Scalar float32, 0 for equal covariances.

    Example:
        >>> float(coral_loss(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [0.0]])))
        1.0
    """
    difference = _covariance(own.float()) - _covariance(other.float())
    return (difference**2).sum() / (4 * own.shape[1] ** 2)


class CoralPenalty(nn.Module):
    """``coral_loss`` as a module."""

    def forward(self, own: Tensor, other: Tensor, *, progress: float) -> Tensor:
        """Compare the covariances; ``progress`` changes nothing."""
        return coral_loss(own, other)


class DannPenalty(nn.Module):
    """Cross-entropy of a classifier of the side behind a gradient reversal.

    Args:
        width: Number of features D.
        hidden: Width of the hidden layer.
        gamma: Steepness of the reversal.
    """

    def __init__(self, width: int, *, hidden: int, gamma: float) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.gamma = gamma

    def forward(self, own: Tensor, other: Tensor, *, progress: float) -> Tensor:
        """Cross-entropy of the side, both sides with the same weight; the features receive its gradient reversed."""
        factor = reversal(progress, gamma=self.gamma)
        losses = []
        for features, side in ((own, 0.0), (other, 1.0)):
            logit = self.classifier(reverse_gradient(features.float(), factor))
            losses.append(functional.binary_cross_entropy_with_logits(logit, torch.full_like(logit, side)))
        return (losses[0] + losses[1]) / 2


def reversal(progress: float, *, gamma: float = 10.0) -> float:
    """Strength of the reversal, from 0 at the start to nearly 1 at the end of a stage.

    Example:
        >>> reversal(0.0), round(reversal(1.0), 4)
        (0.0, 0.9999)
    """
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def reverse_gradient(features: Tensor, factor: float) -> Tensor:
    """Pass features on as they are, and their gradient back times ``-factor``.

    Example:
        >>> x = torch.ones(1, requires_grad=True)
        >>> (reverse_gradient(x, 0.5) * 3).sum().backward()
        >>> x.grad.tolist()
        [-1.5]
    """
    reversed_: Tensor = _Reversal.apply(features, factor)
    return reversed_


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, factor: float) -> Tensor:  # noqa: ANN401 - torch's own context
        ctx.factor = factor
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return -ctx.factor * grad_outputs[0], None


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(0, keepdim=True)
    return centred.T @ centred / max(1, len(features) - 1)


def _check(weight: float, side: str) -> None:
    if not weight >= 0:
        raise ConfigError(what=f"A penalty cannot weigh {weight}", where="alignment.weight", remedy="Give 0 or more")
    if side not in DOMAINS:
        raise ConfigError(what=f"'{side}' is not a side", where="alignment.side", value=side, allowed=DOMAINS)
