# SPDX-License-Identifier: Apache-2.0
"""Which modules a trunk calls, with what, and what they answer: found by showing it one image of noise."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from medsetu.backbone.network import Network


class Call(NamedTuple):
    """The first call of a module.

    Attributes:
        given: Its positional arguments.
        answer: What it gave back.
    """

    given: tuple[Any, ...]
    answer: Any


def called_modules(network: Network, candidates: Iterable[nn.Module]) -> dict[nn.Module, Call]:
    """Find the modules that the trunk calls: of others, a parent reads the weights itself, or nobody does.

    Args:
        network: Unchanged, modes and statistics too; one image of noise is shown to its trunk.
        candidates: Modules of the trunk.

    Returns:
        The called ones, in the order of their first call's end.
    """
    found: dict[nn.Module, Call] = {}

    def note(module: nn.Module, given: tuple[Any, ...], answer: Any) -> None:  # noqa: ANN401 - whatever a module gives
        found.setdefault(module, Call(given, answer))

    hooks = [module.register_forward_hook(note) for module in candidates]
    training = {module: module.training for module in network.modules()}
    network.eval()
    image = torch.rand(1, network.spec.channels, *network.spec.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.features(image.to(network.head.weight.device))
    for module, mode in training.items():
        module.training = mode
    for hook in hooks:
        hook.remove()
    return found
