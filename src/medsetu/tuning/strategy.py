# SPDX-License-Identifier: Apache-2.0
"""Which parameters move in a stage, how fast, and which layers keep their statistics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError


class Strategy(ABC):
    """A way of fine-tuning: what training asks of it, and what is done where it answers nothing.

    A strategy is configuration and holds no state: whatever it needs of the starting weights it takes when a stage is built, which happens
    anew, from the same weights, when a killed stage is continued. Only ``set_epoch`` knows where training stands.
    """

    def install(self, network: Network) -> None:  # noqa: B027 - most strategies have nothing to do here
        """Change the architecture before anything else, in place; called once, on the starting weights."""

    @abstractmethod
    def free(self, network: Network) -> None:
        """Set ``requires_grad`` of every parameter: True for all that move at any time of the stage."""

    def set_epoch(self, network: Network, *, epoch: int, epochs: int) -> None:  # noqa: B027 - most strategies have nothing to do here
        """Set ``requires_grad`` for one epoch, from nothing but its number; called at its start, after a resume inside it too."""

    def train_mode(self, network: Network) -> None:
        """Put every module into training or evaluation mode; called at the start of each training epoch and after each validation."""
        network.train()

    @abstractmethod
    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """Group the parameters that ``free`` has freed for an optimizer: the groups stay as they are for the whole stage."""

    def penalty(self, network: Network) -> Callable[[], Tensor] | None:  # noqa: B027 - most strategies have nothing to do here
        """Give a term of the loss that depends on the weights alone, or None; called once, on the starting weights."""

    def before_step(self, network: Network, optimizer: Optimizer) -> None:  # noqa: B027 - most strategies have nothing to do here
        """Change learning rates from the gradients of an update; the schedule sets them anew after it."""

    def export(self, network: Network) -> Network:
        """Give the network in the form in which its weights are kept: ``network`` itself, or a copy without what can be merged."""
        return network


@dataclass(frozen=True)
class Full(Strategy):
    """Everything moves.

    Attributes:
        head_lr: Learning rate of the head, times that of the trunk; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0

    def __post_init__(self) -> None:
        _require_rate(self.head_lr)

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of this module."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


@dataclass(frozen=True)
class LinearProbe(Strategy):
    """Only the head moves; the trunk keeps its weights and its batch statistics, and drops nothing.

    Attributes:
        head_lr: Learning rate of the head, times the configured one; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0

    def __post_init__(self) -> None:
        _require_rate(self.head_lr)

    def free(self, network: Network) -> None:
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
