# SPDX-License-Identifier: Apache-2.0
"""Gradient checkpointing: activations of a block are computed again in the backward pass, for memory, and nothing else changes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError


def checkpoint_blocks(network: Network) -> int:
    """Let every block of the trunk recompute its activations (Chen et al. 2016), in place.

    A block is a compound member of a sequence, the outermost where sequences are nested. timm's own switch, and torch's function as it
    comes, would move the running statistics of batch normalisation twice per step: here the second pass leaves them alone, so that
    training gives the same weights with and without.

    Args:
        network: Names of parameters and buffers stay as they are; copies of the network keep the property.

    Returns:
        How many blocks there are.

    Raises:
        ConfigError: The trunk has no blocks.
    """
    blocks = list(_blocks(network.trunk))
    if not blocks:
        raise ConfigError(
            what="The trunk has no blocks to recompute",
            where="trainer.checkpoint_gradients",
            remedy="Use trainer.checkpoint_gradients=false",
        )
    for block in blocks:
        block.__class__ = _recomputed(type(block))
    return len(blocks)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    sequence = isinstance(module, (nn.Sequential, nn.ModuleList))
    for child in module.children():
        if sequence and any(True for _ in child.children()):
            yield child
        else:
            yield from _blocks(child)


def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    """A class whose forward is recomputed; another class instead of another attribute, as a copied attribute would call the original."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever a block takes and gives
        run = partial(kind.forward, self)
        if not (self.training and torch.is_grad_enabled()):
            return run(*args, **kwargs)
        contexts = cast("Callable[[], tuple[AbstractContextManager[None], AbstractContextManager[None]]]", partial(_passes, self))
        return checkpoint(run, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return cast("type[nn.Module]", type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__}))


def _passes(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_at_rest(block)


@contextmanager
def _statistics_at_rest(block: nn.Module) -> Iterator[None]:
    """With momentum 0 a statistic is replaced by itself; the tensors that are saved must be the same as in the first pass."""
    moving = [part for part in block.modules() if isinstance(part, _NormBase) and part.training and part.track_running_stats]
    before = [(part, part.momentum, part.num_batches_tracked) for part in moving]
    for part, _, seen in before:
        part.momentum = 0.0
        part.num_batches_tracked = None if seen is None else seen.clone()
    try:
        yield
    finally:
        for part, momentum, seen in before:
            part.momentum, part.num_batches_tracked = momentum, seen
