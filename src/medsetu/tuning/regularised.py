# SPDX-License-Identifier: Apache-2.0
"""Everything moves, and the trunk is pulled back to its starting weights: L1-SP and L2-SP."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.strategy import Strategy, parameter_groups, require_rate

NORMS = ("l1", "l2")


@dataclass(frozen=True)
class StartingPoint(Strategy):
    """The loss grows with the distance of the trunk from its starting weights (Xuhong et al. 2018: L1-SP, L2-SP).

    The pull takes the place of the decay of the trunk; the head, which has no meaningful start, is decayed as configured.

    Attributes:
        norm: ``l1`` adds strength * sum of absolute differences, ``l2`` strength / 2 * sum of squared differences.
        strength: Weight of the term, 0 or more; every parameter of the trunk takes part.
        head_lr: Learning rate of the head, times that of the trunk; 0 or more.

    Raises:
        ConfigError: A value is outside its range.
    """

    norm: str = "l2"
    strength: float = 0.01
    head_lr: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")
        if self.norm not in NORMS:
            raise ConfigError(what=f"There is no norm '{self.norm}'", where="tuning.norm", value=self.norm, allowed=NORMS)
        if not self.strength >= 0:
            raise ConfigError(what=f"A pull cannot be {self.strength}", where="tuning.strength", remedy="Give 0 or more")

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``; nothing in the trunk decays to zero."""
        groups = parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)
        return [{**group, "weight_decay": 0.0} if group["name"].startswith("trunk/") else group for group in groups]

    def penalty(self, network: Network) -> nn.Module:
        """Remember where the trunk starts."""
        return Pull(list(network.trunk.parameters()), norm=self.norm, strength=self.strength)


class Pull(nn.Module):
    """Distance of parameters from where they were when this was built.

    A module, so that the starting weights follow the network to its device; they are not part of a checkpoint, since a stage that is
    continued is built from the same weights.

    Args:
        parameters: What is pulled.
        norm: ``l1`` or ``l2``.
        strength: See ``StartingPoint``.
    """

    def __init__(self, parameters: list[nn.Parameter], *, norm: str, strength: float) -> None:
        super().__init__()
        self.pulled, self.norm, self.strength = parameters, norm, strength  # a plain list: they are the network's, not this module's
        for number, parameter in enumerate(parameters):
            self.register_buffer(f"start{number}", parameter.detach().clone(), persistent=False)

    def forward(self) -> Tensor:
        """Compute the term.

        Returns:
            Scalar float32, 0 at the start.
        """
        moved = [parameter - start for parameter, start in zip(self.pulled, self.buffers(), strict=True)]
        if self.norm == "l1":
            return self.strength * torch.stack([each.abs().sum() for each in moved]).sum()
        return self.strength / 2 * torch.stack([each.square().sum() for each in moved]).sum()
