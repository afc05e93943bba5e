# SPDX-License-Identifier: Apache-2.0
"""What becomes of the running statistics of batch normalisation while a network is fine-tuned: local, frozen or mixed."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medsetu.core.errors import ConfigError

log = logging.getLogger(__name__)
POLICIES = ("local", "frozen", "mixed")
_MEAN, _VAR, _PULL = "starting_mean", "starting_var", "starting_pull"


def check_statistics(policy: str, *, starting_share: float) -> None:
    """Refuse a policy that does not exist.

    Args:
        policy: ``local``, ``frozen`` or ``mixed``.
        starting_share: Weight of the starting statistics under ``mixed``, in [0, 1].

    Raises:
        ConfigError: The policy has another name, or the share is outside its range.

    Example:
        >>> check_statistics("mixed", starting_share=0.5)
    """
    if policy not in POLICIES:
        raise ConfigError(what=f"There is no policy '{policy}'", where="tuning.statistics", value=policy, allowed=POLICIES)
    if not 0 <= starting_share <= 1:
        raise ConfigError(what=f"A share cannot be {starting_share}", where="tuning.starting_share", remedy="Give a number in [0, 1]")


def batch_norms(network: nn.Module) -> Iterator[_BatchNorm]:
    """Yield the layers that keep running statistics of batches.

    Example:
        >>> len(list(batch_norms(nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1, track_running_stats=False), nn.LayerNorm(1)))))
        1
    """
    return (module for module in network.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None)


def prepare_statistics(network: nn.Module, policy: str, *, starting_share: float) -> None:
    """Make the running statistics follow a policy; called once per stage, on the starting weights.

    ``local``: running statistics become those of the batches trained on. ``frozen``: they stay, batches are normalised by them in training
    too, and scale and shift still move (see ``hold_statistics``). ``mixed``: running statistics r = a s + (1 - a) l at every update, with
    s the starting and l what ``local`` would hold, means and variances alike (Schneider et al. 2020); batches are normalised by
    their own statistics while training.

    Args:
        network: Changed in place under ``mixed``: starting statistics are kept beside the running ones, but not saved with the weights.
        policy: ``local``, ``frozen`` or ``mixed``. A network without batch statistics is left alone, and the log says so.
        starting_share: The weight a, in [0, 1].

    Raises:
        ConfigError: The policy does not exist, or is ``mixed`` for a layer that averages over all batches alike (momentum None).
    """
    check_statistics(policy, starting_share=starting_share)
    layers = list(batch_norms(network))
    if not layers:
        log.info("The network has no batch statistics, so statistics=%s changes nothing", policy)
    for layer in layers if policy == "mixed" else ():
        _mix(layer, starting_share)


def hold_statistics(network: nn.Module, policy: str) -> None:
    """Put batch normalisation into evaluation mode where its statistics are frozen; called whenever the network is put into training mode.

    Example:
        >>> layer = nn.BatchNorm1d(1)
        >>> hold_statistics(layer, "frozen"), layer.training
        (None, False)
    """
    if policy == "frozen":
        for layer in batch_norms(network):
            layer.eval()


def _mix(layer: _BatchNorm, share: float) -> None:
    """Split the update of r so that the layer's own code does the last step of it.

    With momentum m the wanted r' = (1 - m) r + m (a s + (1 - a) b) for batch statistics b. A pull of r towards s by
    c = m a / (1 - m (1 - a)), followed by the layer's own update with momentum m (1 - a), is exactly that.
    """
    momentum, mean, var = layer.momentum, layer.running_mean, layer.running_var
    if momentum is None or mean is None or var is None:
        raise ConfigError(
            what="Statistics that average over all batches alike cannot be mixed",
            where="tuning.statistics=mixed",
            remedy="Use statistics=local or statistics=frozen with this backbone",
        )
    own = momentum * (1 - share)
    layer.register_buffer(_MEAN, mean.detach().clone(), persistent=False)
    layer.register_buffer(_VAR, var.detach().clone(), persistent=False)
    layer.register_buffer(_PULL, torch.tensor(0.0 if own == 1 else momentum * share / (1 - own)), persistent=False)
    layer.momentum = own
    layer.register_forward_pre_hook(_pull)


def _pull(layer: nn.Module, _: tuple[Tensor, ...]) -> None:
    if layer.training:
        pull = layer.get_buffer(_PULL)
        layer.get_buffer("running_mean").lerp_(layer.get_buffer(_MEAN), pull)
        layer.get_buffer("running_var").lerp_(layer.get_buffer(_VAR), pull)
