# SPDX-License-Identifier: Apache-2.0
"""Which parameters move in a stage, how fast, and which layers keep their statistics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.group import block_of
from medsetu.tuning.statistics import batch_norms, check_statistics


class Phase(NamedTuple):
    """A part of a stage with a warm-up and a decay of its own.

    Attributes:
        epochs: Its length.
        rate: Peak of its learning rates, times those of the parameter groups.
    """

    epochs: int
    rate: float


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """A way of fine-tuning: what training asks of it, and what is done where it answers nothing.

    A strategy is configuration and holds no state: whatever it needs of the starting weights it takes when a stage is built, which happens
    anew, from the same weights, when a killed stage is continued. Only ``set_epoch`` knows where training stands.

    Attributes:
        statistics: What becomes of the running statistics of batch normalisation in the layers that train: ``local``, ``frozen`` or
            ``mixed``; see ``medsetu.tuning.statistics``.
        starting_share: Weight of the starting statistics under ``mixed``, in [0, 1].

    Raises:
        ConfigError: A value is outside its range.
    """

    statistics: str = "local"
    starting_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values outside their range; a strategy that adds its own calls this one too."""
        check_statistics(self.statistics, starting_share=self.starting_share)

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Split the epochs of a stage into phases; together they are as long as the stage."""
        return (Phase(epochs, 1.0),)

    def install(self, network: Network) -> None:  # noqa: B027 - most strategies have nothing to do here
        """Change the architecture before anything else, in place; called once, on the starting weights."""

    @abstractmethod
    def free(self, network: Network) -> None:
        """Set ``requires_grad`` of every parameter: True for all that move at any time of the stage."""

    def set_epoch(self, network: Network, *, epoch: int, epochs: int) -> None:  # noqa: B027 - most strategies have nothing to do here
        """Set ``requires_grad`` for one epoch, from nothing but its number; called at its start, after a resume inside it too."""

    def train_mode(self, network: Network) -> None:
        """Put every module into training or evaluation mode; called whenever ``set_epoch`` was. Frozen statistics are held afterwards."""
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
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of this module."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


@dataclass(frozen=True)
class LinearProbe(Strategy):
    """Only the head moves; the trunk keeps its weights and, unless ``statistics`` says otherwise, its batch statistics, and drops nothing.

    Attributes:
        head_lr: Learning rate of the head, times the configured one; 0 or more.
        statistics: ``frozen``; ``local`` or ``mixed`` let only the statistics of the trunk follow the local images (Li et al. 2016).

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0
    statistics: str = field(default="frozen", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")

    def free(self, network: Network) -> None:
        """Freeze the trunk and free the head."""
        network.requires_grad_(requires_grad=False)
        network.head.requires_grad_(requires_grad=True)

    def train_mode(self, network: Network) -> None:
        """Train the head on the features the trunk gives in evaluation mode; batch normalisation trains where its statistics may move."""
        network.train()
        network.trunk.eval()
        if self.statistics != "frozen":
            for layer in batch_norms(network.trunk):
                layer.train()

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of this module."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


def parameter_groups(
    network: Network, *, lr: float, weight_decay: float, head_lr: float = 1.0, rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Group the trainable parameters by name: trunk or head, or block; decayed or not.

    Biases, scales of normalisation layers (everything with at most one dimension) and what the trunk itself exempts (position embeddings)
    are not decayed.

    Args:
        network: Every trainable parameter is in exactly one group.
        lr: Learning rate of the trunk.
        weight_decay: Of the decayed groups.
        head_lr: Learning rate of the head, times ``lr``.
        rates: Learning rate of each block of the trunk, times ``lr``, by the names of ``medsetu.tuning.group.blocks``; the trunk is one
            group where None.

    Returns:
        Groups for a torch optimizer with ``name`` (place / decay), ``params``, ``lr`` and ``weight_decay``; empty groups are left out.
    """
    exempt = _exempt(network.trunk)
    places = {} if rates is None else block_of(network)
    multiplier = {"head": head_lr, **(rates or {})}
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        place = "head" if name.startswith("head.") else places.get(name, "trunk")
        decayed = parameter.ndim > 1 and name not in exempt
        group = groups.setdefault(
            f"{place}/{'decay' if decayed else 'no_decay'}",
            {"params": [], "lr": lr * multiplier.get(place, 1.0), "weight_decay": weight_decay if decayed else 0.0},
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


def require_rate(rate: float, *, key: str) -> None:
    """Refuse a learning rate that is a negative multiple of another.

    Raises:
        ConfigError: It is below 0 or not a number.
    """
    if not rate >= 0:
        raise ConfigError(what=f"A learning rate cannot be {rate} times another", where=f"tuning.{key}", remedy="Give 0 or more")


def rest_frozen(network: nn.Module) -> None:
    """Put every module into evaluation mode in which no parameter moves: a frozen layer keeps its statistics and drops nothing.

    Args:
        network: In training mode, with ``requires_grad`` set.

    Example:
        >>> network = nn.Sequential(nn.Sequential(nn.BatchNorm1d(1).requires_grad_(False), nn.Dropout()), nn.Linear(1, 1))
        >>> rest_frozen(network)
        >>> [module.training for module in network.modules()]
        [True, False, False, False, True]
    """
    for module in network.modules():
        moving = [parameter.requires_grad for parameter in module.parameters()]
        if moving and not any(moving):
            module.eval()
