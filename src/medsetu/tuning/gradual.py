# SPDX-License-Identifier: Apache-2.0
"""What moves depends on the epoch: gradual unfreezing, and a linear probe followed by fine-tuning."""

import logging
import math
from dataclasses import dataclass
from typing import Any

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.group import blocks
from medsetu.tuning.strategy import Phase, Strategy, parameter_groups, require_rate, rest_frozen

log = logging.getLogger(__name__)
ORDERS = ("first_to_last", "last_to_first")


@dataclass(frozen=True)
class GradualUnfreezing(Strategy):
    """The head moves from the start, the blocks of the trunk join one after another (Davila et al. 2024: G-FL and G-LF).

    A block that has not joined yet keeps its weights and batch statistics and drops nothing. Learning rates do not start anew.

    Attributes:
        order: ``first_to_last`` begins on the side of the image, ``last_to_first`` below the head.
        share: Share of the epochs that is divided evenly between the head alone and each further block, in (0, 1]; afterwards all move.

    Raises:
        ConfigError: A value is outside its range.
    """

    order: str = "last_to_first"
    share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        if self.order not in ORDERS:
            raise ConfigError(what=f"There is no order '{self.order}'", where="tuning.order", value=self.order, allowed=ORDERS)
        if not 0 < self.share <= 1:
            raise ConfigError(what=f"A share cannot be {self.share}", where="tuning.share", remedy="Give a number above 0, at most 1")

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def set_epoch(self, network: Network, *, epoch: int, epochs: int) -> None:
        """Free the head and the blocks that have joined; say so at the start when the stage ends before all have."""
        *trunk, _ = blocks(network)
        joined = count_joined(epoch, epochs=epochs, blocks=len(trunk), share=self.share)
        left = len(trunk) - count_joined(epochs - 1, epochs=epochs, blocks=len(trunk), share=self.share)
        if epoch == 0 and left:
            log.warning("%d of %d blocks never move: %d epochs are too few to unfreeze all", left, len(trunk), epochs)
        ordered = trunk if self.order == "first_to_last" else trunk[::-1]
        moving = {name for block in ordered[:joined] for name in block.parameters}
        for name, parameter in network.named_parameters():
            parameter.requires_grad = name.startswith("head.") or name in moving

    def train_mode(self, network: Network) -> None:
        """Train what moves; the rest stays in evaluation mode."""
        network.train()
        rest_frozen(network)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay)


@dataclass(frozen=True)
class ProbeThenTune(Strategy):
    """LP-FT: a linear probe, then everything at a smaller rate from the head the probe has found (Kumar et al. 2022).

    Both phases have their own warm-up and decay. The optimizer's memory of the head goes on; that of the trunk begins with the second
    phase. Validation chooses among the epochs of both, and early stopping may end the stage before the second: leave ``patience`` at 0.

    Attributes:
        share: Share of the epochs spent on the probe, in (0, 1); at least one epoch, and all but one at most.
        tune_lr: Learning rate of the second phase, times that of the probe; 0 or more.

    Raises:
        ConfigError: A value is outside its range.
    """

    share: float = 0.5
    tune_lr: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.tune_lr, key="tune_lr")
        if not 0 < self.share < 1:
            raise ConfigError(what=f"A share cannot be {self.share}", where="tuning.share", remedy="Give a number between 0 and 1")

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Probe, then tune; a stage of one epoch is a probe only.

        Example:
            >>> ProbeThenTune(share=0.25).phases(8)
            (Phase(epochs=2, rate=1.0), Phase(epochs=6, rate=0.1))
        """
        probe = max(1, min(round(self.share * epochs), epochs - 1))
        return tuple(phase for phase in (Phase(probe, 1.0), Phase(epochs - probe, self.tune_lr)) if phase.epochs)

    def free(self, network: Network) -> None:
        """Let every parameter move."""
        network.requires_grad_(requires_grad=True)

    def set_epoch(self, network: Network, *, epoch: int, epochs: int) -> None:
        """Freeze the trunk while the head is probed."""
        probe, *later = self.phases(epochs)
        if epoch == 0 and not later:
            log.warning("A stage of one epoch is a linear probe only: the trunk never moves")
        network.trunk.requires_grad_(requires_grad=epoch >= probe.epochs)

    def train_mode(self, network: Network) -> None:
        """Train what moves; while the head is probed, the trunk stays in evaluation mode."""
        network.train()
        rest_frozen(network)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay)


def count_joined(epoch: int, *, epochs: int, blocks: int, share: float) -> int:
    """Count the blocks of the trunk that move in an epoch.

    Args:
        epoch: Zero-based.
        epochs: Of the whole stage.
        blocks: Of the trunk.
        share: Share of the epochs divided evenly into ``blocks`` + 1 periods: the head alone, then with one more block each.

    Returns:
        Number in [0, ``blocks``], never falling with the epoch.

    Example:
        >>> [count_joined(epoch, epochs=8, blocks=3, share=0.5) for epoch in range(8)]
        [0, 1, 2, 3, 3, 3, 3, 3]
    """
    return min(blocks, math.floor(epoch * (blocks + 1) / (share * epochs) + 1e-9))
