# SPDX-License-Identifier: Apache-2.0
"""Everything moves, but each block at its own rate: decaying with depth, or following its relative gradient."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.group import blocks
from medsetu.tuning.strategy import Strategy, parameter_groups, require_rate


@dataclass(frozen=True)
class LayerwiseDecay(Strategy):
    """The learning rate falls by a factor from block to block, from the head to the image (Howard and Ruder 2018; Bao et al. 2022).

    Attributes:
        decay: Factor per block, in (0, 1]; the last block of the trunk has ``decay`` times the configured rate, the head all of it.
        head_lr: Learning rate of the head, times the configured one; 0 or more.

    Raises:
        ConfigError: A value is outside its range.
    """

    decay: float = 0.75
    head_lr: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")
        if not 0 < self.decay <= 1:
            raise ConfigError(what=f"A decay cannot be {self.decay}", where="tuning.decay", remedy="Give a number above 0, at most 1")

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """One or two groups per block; see ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        *trunk, _ = blocks(network)
        rates = {block.name: self.decay**depth for depth, block in enumerate(reversed(trunk), start=1)}
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr, rates=rates)


@dataclass(frozen=True)
class AutoRGN(Strategy):
    """At each update the rate of each block is scaled by its relative gradient norm, the largest being 1 (Lee et al. 2023).

    Lee et al. measure it once per epoch and tensor; here it is measured at each update and per block, on the gradient of that update:
    summed over accumulated batches, unscaled from half precision, and not yet clipped. Clipping shrinks all blocks alike and would not
    change the ratios.
    """

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """One or two groups per block; see ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, rates={})

    def before_step(self, network: Network, optimizer: Optimizer) -> None:
        """Scale the rates of the blocks for one update."""
        groups = [(str(group["name"]).rpartition("/")[0], group) for group in optimizer.param_groups]
        moving: dict[str, list[nn.Parameter]] = {}
        for block, group in groups:
            if block:  # a group of something beside the network has no place in it
                moving.setdefault(block, []).extend(each for each in group["params"] if each.grad is not None)
        moving = {block: members for block, members in moving.items() if members}
        scales = dict(zip(moving, relative_gradients(list(moving.values())).tolist(), strict=True))
        for block, group in groups:
            group["lr"] *= scales.get(block, 1.0)


def relative_gradients(members: list[list[nn.Parameter]]) -> Tensor:
    """Norm of the gradient over norm of the weights, of several blocks, divided by the largest.

    Args:
        members: Parameters of each of B blocks, each with a gradient.

    Returns:
        (B,) float32 in [0, 1], the largest 1. All 1 where a gradient is not finite (half precision skips such an update) or all are 0.

    Example:
        >>> one, two = nn.Parameter(torch.tensor([3.0, 4.0])), nn.Parameter(torch.tensor([2.0]))
        >>> one.grad, two.grad = torch.tensor([0.0, 1.0]), torch.tensor([0.8])
        >>> relative_gradients([[one], [two]])
        tensor([0.5000, 1.0000])
    """
    gradient = torch.stack([_norm([each.grad for each in block if each.grad is not None]) for block in members])
    weight = torch.stack([_norm([each.detach() for each in block]) for block in members])
    ratio = gradient / weight.clamp_min(torch.finfo(torch.float32).tiny)
    scaled = ratio / ratio.max()
    return scaled if bool(torch.isfinite(scaled).all()) else torch.ones_like(scaled)


def _norm(tensors: list[Tensor]) -> Tensor:
    total: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(tensor.float()) for tensor in tensors]))
    return total
