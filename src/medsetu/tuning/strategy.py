# SPDX-License-Identifier: Apache-2.0
"""Which parameters move in a stage, how fast, and which layers keep their statistics."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError


class Strategy(Protocol):
    """What training asks of a way of fine-tuning."""

    def apply(self, network: Network) -> None:
        """Set ``requires_grad`` of every parameter."""

    def train_mode(self, network: Network) -> None:
        """Put every module into training or evaluation mode; called at the start of each training epoch and after each validation."""

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """Group the trainable parameters for an optimizer."""


@dataclass(frozen=True)
class Full:
    """Everything moves.

    Attributes:
        head_lr: Learning rate of the head, times that of the trunk; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0

    def __post_init__(self) -> None:
        _require_rate(self.head_lr)

    def apply(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def train_mode(self, network: Network) -> None:
        """Put every module into training mode."""
        network.train()

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of this module."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


@dataclass(frozen=True)
class LinearProbe:
    """Only the head moves; the trunk keeps its weights and its batch statistics, and drops nothing.

    Attributes:
        head_lr: Learning rate of the head, times the configured one; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0

    def __post_init__(self) -> None:
        _require_rate(self.head_lr)

    def apply(self, network: Network) -> None:
        """Freeze the trunk and free the head."""
        network.requires_grad_(requires_grad=False)
        network.head.requires_grad_(requires_grad=True)

    def train_mode(self, network: Network) -> None:
        """Train the head on the features the trunk gives in evaluation mode: no running statistic moves."""
        network.train()
        network.trunk.eval()

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of this module."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


def parameter_groups(network: Network, *, lr: float, weight_decay: float, head_lr: float) -> list[dict[str, Any]]:
    """Group the trainable parameters by name: trunk or head, decayed or not.

    Biases, scales of normalisation layers (everything with at most one dimension) and what the trunk itself exempts (position embeddings)
    are not decayed.

    Args:
        network: Every trainable parameter is in exactly one group.
        lr: Learning rate of the trunk.
        weight_decay: Of the decayed groups.
        head_lr: Learning rate of the head, times ``lr``.

    Returns:
        Groups for a torch optimizer with ``name``, ``params``, ``lr`` and ``weight_decay``; empty groups are left out.
    """
    exempt = _exempt(network.trunk)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        place = "head" if name.startswith("head.") else "trunk"
        decayed = parameter.ndim > 1 and name not in exempt
        group = groups.setdefault(
            f"{place}/{'decay' if decayed else 'no_decay'}",
            {"params": [], "lr": lr * head_lr if place == "head" else lr, "weight_decay": weight_decay if decayed else 0.0},
        )
        group["params"].append(parameter)
    return [{"name": name, **group} for name, group in sorted(groups.items())]


def trainable_names(network: nn.Module) -> tuple[str, ...]:
    """Name the parameters that move.

    Example:
        >>> trainable_names(nn.Linear(1, 1))
        ('weight', 'bias')
    """
    return tuple(name for name, parameter in network.named_parameters() if parameter.requires_grad)


def _exempt(trunk: nn.Module) -> set[str]:
    named: Iterable[str] = getattr(trunk, "no_weight_decay", tuple)()  # a convention of timm
    return {f"trunk.{name}" for name in named}


def _require_rate(head_lr: float) -> None:
    if not head_lr >= 0:
        raise ConfigError(what=f"A learning rate cannot be {head_lr} times another", where="tuning.head_lr", remedy="Give 0 or more")
