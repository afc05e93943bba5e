# SPDX-License-Identifier: Apache-2.0
"""Weights from several networks: between start and end (WiSE-FT), and averages of several fine-tunings of one start (model soups)."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError

Judge = Callable[[Network], float]  # larger is better
_Tensors = dict[str, Tensor]


class Member(NamedTuple):
    """One training of the stage.

    Attributes:
        rate: Learning rate, times that of the stage.
        draw: 0 for the seed of the run, any other number for another seed of order, augmentation and dropout.
    """

    rate: float
    draw: int


class Finish(ABC):
    """What becomes of the weights that training has chosen."""

    @abstractmethod
    def members(self) -> tuple[Member, ...]:
        """Say which trainings are needed; all begin with the same weights."""

    @abstractmethod
    def merge(self, start: Network, tuned: Sequence[Network], *, judge: Judge) -> tuple[Network, dict[str, Any]]:
        """Make one network of several.

        Args:
            start: The network the stage began with, as it was.
            tuned: The chosen network of each member, in the order of ``members``; unchanged.
            judge: Worth of a network on the validation rows of the selecting side; the test is never looked at.

        Returns:
            The network, and how it came about.

        Raises:
            ConfigError: The networks differ in more than their numbers.
        """


@dataclass(frozen=True)
class WiseFT(Finish):
    """The straight line between the starting and the chosen weights (Wortsman et al. 2022, WiSE-FT).

    Every tensor is start + alpha (chosen - start), batch statistics too. A finding that the start was never trained for has no start: its
    row of the head is that of the chosen weights at every alpha, although it was made for the trunk at alpha = 1.

    Attributes:
        alphas: Places on the line, 0 the start and 1 the chosen weights. One is simply taken; among several ``judge`` chooses, and of
            equally good ones the first.

    Raises:
        ConfigError: There is none, or one is outside [0, 1].
    """

    alphas: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise ConfigError(what=f"No weights lie at {list(self.alphas)}", where="stages.*.finish.alphas", remedy="Give values in [0, 1]")

    def members(self) -> tuple[Member, ...]:
        """One ordinary training."""
        return (Member(1.0, 0),)

    def merge(self, start: Network, tuned: Sequence[Network], *, judge: Judge) -> tuple[Network, dict[str, Any]]:
        """Take the best place on the line."""
        (end,) = tuned
        worth = [judge(between(start, end, alpha=alpha)) for alpha in self.alphas]
        best = self.alphas[worth.index(max(worth))]
        new = [name for name in end.findings if name not in start.trained]
        return between(start, end, alpha=best), {"alpha": best, "alphas": list(self.alphas), "worth": worth, "without_start": new}


@dataclass(frozen=True)
class Soup(Finish):
    """The average of several fine-tunings of one start (Wortsman et al. 2022, model soups), batch statistics too.

    All members begin with the same head rows, also for findings the start does not know; else their average would mean nothing.

    Attributes:
        rates: Learning rate of each member, times that of the stage; each member also has its own seed.
        greedy: Add members from best to worst, each only where the average does not get worse on validation; else all are averaged.

    Raises:
        ConfigError: There are fewer than two members, or a rate is not above 0.
    """

    rates: Sequence[float] = (1.0, 1.0, 0.5, 0.5)
    greedy: bool = True

    def __post_init__(self) -> None:
        if len(self.rates) < 2 or not all(rate > 0 for rate in self.rates):
            raise ConfigError(
                what=f"No soup is made of the rates {list(self.rates)}", where="stages.*.finish.rates", remedy="Give at least two above 0"
            )

    def members(self) -> tuple[Member, ...]:
        """One training for each rate."""
        return tuple(Member(rate, draw) for draw, rate in enumerate(self.rates))

    def merge(self, start: Network, tuned: Sequence[Network], *, judge: Judge) -> tuple[Network, dict[str, Any]]:
        """Average all members, or those that help."""
        worth = [judge(network) for network in tuned]
        order = sorted(range(len(tuned)), key=lambda index: (-worth[index], index))
        if not self.greedy:
            return average(tuned), {"used": sorted(order), "worth": worth}
        used, best = order[:1], worth[order[0]]
        for index in order[1:]:
            value = judge(average([tuned[place] for place in [*used, index]]))
            if value >= best:
                used, best = [*used, index], value
        return average([tuned[index] for index in used]), {"used": used, "worth": worth}


def between(start: Network, end: Network, *, alpha: float) -> Network:
    """Make the network at start + alpha (end - start); rows of findings that the start was never trained for are those of the end.

    Args:
        start: Unchanged.
        end: Unchanged, with the same findings.
        alpha: In [0, 1]; 0 and 1 give the very numbers of start and end.

    Returns:
        A network like ``end``; counts are those of the end.

    Raises:
        ConfigError: The networks differ in more than their numbers.
    """
    first, last = _alike([start, end])
    mixed = {name: torch.lerp(first[name], tensor, alpha) if tensor.is_floating_point() else tensor for name, tensor in last.items()}
    for row, finding in enumerate(end.findings):
        if finding not in start.trained:
            mixed["head.weight"][row], mixed["head.bias"][row] = last["head.weight"][row], last["head.bias"][row]
    return _filled(end, mixed)


def average(networks: Sequence[Network]) -> Network:
    """Average networks tensor by tensor, in float64.

    Args:
        networks: At least one, alike but for their numbers; unchanged.

    Returns:
        A network like the first one; counts are those of the first.

    Raises:
        ConfigError: The networks differ in more than their numbers.
    """
    states = _alike(networks)
    mixed = {}
    for name, tensor in states[0].items():
        mean = torch.stack([state[name].double() for state in states]).mean(0)
        mixed[name] = mean.to(tensor.dtype) if tensor.is_floating_point() else tensor
    return _filled(networks[0], mixed)


def _alike(networks: Sequence[Network]) -> list[_Tensors]:
    states = [{name: tensor.detach().cpu() for name, tensor in network.state_dict().items()} for network in networks]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes) or len({network.findings for network in networks}) > 1:
        raise ConfigError(
            what="These networks differ in more than their numbers, so nothing lies between them",
            where="stages.*.finish",
            remedy="Use a strategy whose weights can be merged into the starting architecture, or finish=null",
        )
    return states


def _filled(like: Network, state: Mapping[str, Tensor]) -> Network:
    network = copy.deepcopy(like)
    network.load_state_dict(dict(state))
    return network
