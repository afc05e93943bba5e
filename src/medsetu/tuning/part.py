# SPDX-License-Identifier: Apache-2.0
"""Only a part of the trunk moves, beside the head: its normalisation layers, or one block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.group import Block, blocks
from medsetu.tuning.strategy import Strategy, parameter_groups, require_rate, rest_frozen

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class NormOnly(Strategy):
    """Scale and shift of the normalisation layers move, and the head (Frankle et al. 2021; of a transformer, Basu et al. 2024).

    Attributes:
        head_lr: Learning rate of the head, times that of the normalisation layers; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    head_lr: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")

    def free(self, network: Network) -> None:
        """Free normalisation layers and head.

        Raises:
            ConfigError: The trunk has no normalisation layer with parameters: this would be a linear probe under another name.
        """
        network.requires_grad_(requires_grad=False)
        network.head.requires_grad_(requires_grad=True)
        count = 0
        for layer in norms(network.trunk):
            layer.requires_grad_(requires_grad=True)
            count += len(list(layer.parameters()))
        if not count:
            raise ConfigError(
                what="The trunk has no normalisation layer that could move",
                where="tuning",
                remedy="Use tuning=linear_probe, or another one",
            )

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


@dataclass(frozen=True)
class Surgical(Strategy):
    """One block of the trunk moves, and the head (Lee et al. 2023); the other blocks keep weights and batch statistics and drop nothing.

    Attributes:
        block: ``first``, ``last``, the name of a block, or its index from the side of the image (0) or from the head (-1).
        head_lr: Learning rate of the head, times that of the block; 0 or more.

    Raises:
        ConfigError: ``head_lr`` is negative.
    """

    block: str | int = "first"
    head_lr: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")

    def free(self, network: Network) -> None:
        """Free the chosen block and the head.

        Raises:
            ConfigError: The network has no such block.
        """
        *trunk, head = blocks(network)
        moving = {*choose_block(tuple(trunk), self.block).parameters, *head.parameters}
        for name, parameter in network.named_parameters():
            parameter.requires_grad = name in moving

    def train_mode(self, network: Network) -> None:
        """Train what moves; the rest stays in evaluation mode."""
        network.train()
        rest_frozen(network)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


def norms(trunk: nn.Module) -> Iterator[nn.Module]:
    """Yield the normalisation layers: those of torch, and leaves with an epsilon whose parameters are all vectors.

    Example:
        >>> [type(layer).__name__ for layer in norms(nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2), nn.PReLU()))]
        ['GroupNorm']
    """
    for module in trunk.modules():
        own = list(module.parameters(recurse=False))
        leaf = next(module.children(), None) is None
        if isinstance(module, _NORMS) or (leaf and own and getattr(module, "eps", None) and all(each.ndim == 1 for each in own)):
            yield module


def choose_block(trunk: tuple[Block, ...], wanted: str | int) -> Block:
    """Find a block of the trunk by name, place or index.

    Args:
        trunk: Blocks without the head.
        wanted: ``first``, ``last``, a name or an index.

    Returns:
        The block.

    Raises:
        ConfigError: There is none.

    Example:
        >>> choose_block((Block("stem", ()), Block("layer1", ())), "last").name
        'layer1'
    """
    index = {"first": 0, "last": -1}.get(str(wanted), wanted)
    if isinstance(index, int) and -len(trunk) <= index < len(trunk):
        return trunk[index]
    found = {block.name: block for block in trunk}
    if wanted not in found:
        allowed = ["first", "last", *found]
        raise ConfigError(what=f"The trunk has no block {wanted!r}", where="tuning.block", value=str(wanted), allowed=allowed)
    return found[str(wanted)]
