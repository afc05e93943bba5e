# SPDX-License-Identifier: Apache-2.0
"""Repairs of a network by local films without labels: batch statistics taken anew, and entropy minimisation of norm parameters.

Both return a changed copy and read nothing of a batch but its images.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from medsetu.core.errors import ConfigError, DataError

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)
MINIMUM = 2  # films that have a variance
N = TypeVar("N", bound=nn.Module)
Batches = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Adapted(Generic[N]):
    """A repaired copy of a network.

    Attributes:
        network: The copy, in eval mode; the original is untouched.
        images: Local films it has seen; labels used are always 0.
        note: Remarks.
    """

    network: N
    images: int
    note: str = ""


@runtime_checkable
class NetworkRepair(Protocol):
    """A repair of a network without labels."""

    def adapt(self, network: N, batches: Batches, *, device: torch.device) -> Adapted[N]:
        """Adapt a copy of a network to the images of batches."""


@dataclass(frozen=True)
class BatchNorm:
    """Take the batch statistics anew on local films (Li et al. 2017, AdaBN; moments pooled over all films, Wu and Johnson 2021).

    Attributes:
        mix: Share of the local statistics in [0, 1]; the rest is that of the global ones (Schneider et al. 2020). 1 replaces them.

    Raises:
        ConfigError: ``mix`` is outside [0, 1].
    """

    mix: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.mix <= 1.0:
            raise ConfigError(what=f"A share of {self.mix} is impossible", where="adaptation.mix", remedy="Give a number in [0, 1]")

    def adapt(self, network: N, batches: Batches, *, device: torch.device) -> Adapted[N]:
        """Show the films once, in the order of ``batches``: shuffle with a seed where films are sorted by class or site.

        Args:
            network: Network with batch norms that keep running statistics.
            batches: Mappings with ``image`` (B, C, H, W); a last batch of one film is joined to none and left out.
            device: Where to run.

        Returns:
            The copy; batch by batch moments of each norm, pooled, variance unbiased.

        Raises:
            ConfigError: The network has no batch norm.
            DataError: Fewer than two films.
        """
        changed = copy.deepcopy(network).to(device).eval()
        norms = [part for part in changed.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
        if not norms:
            raise ConfigError(
                what="The network has no batch norm with running statistics",
                where="Repair batchnorm",
                remedy="Choose another repair, or backbone",
            )
        moments = [_Moments() for _ in norms]
        hooks = [norm.register_forward_pre_hook(moment) for norm, moment in zip(norms, moments, strict=True)]
        for norm in norms:
            norm.train()  # each layer sees its batch normalised by the batch, as in training
        kept = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0  # running statistics stand still meanwhile
        try:
            images = _show(changed, batches, device=device)
        finally:
            for hook in hooks:
                hook.remove()
        for norm, moment, momentum in zip(norms, moments, kept, strict=True):
            norm.momentum = momentum
            moment.write(norm, mix=self.mix)
        return Adapted(changed.eval(), images)


@dataclass(frozen=True)
class Entropy:
    """Sharpen the predictions of local films by moving scales and shifts of norms only (Wang et al. 2021, TENT, offline).

    Off unless asked for: on few films it may call everybody by one class, and then the note says so.

    Attributes:
        lr: Learning rate of Adam.
        epochs: Passes over the films, at least 1.
        mix: Share of local batch statistics that the adapted network keeps, in [0, 1].

    Raises:
        ConfigError: A value is out of range.
    """

    lr: float = 1e-3
    epochs: int = 1
    mix: float = 1.0

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.epochs >= 1):
            raise ConfigError(
                what=f"Entropy with lr={self.lr} and epochs={self.epochs} is impossible",
                where="adaptation",
                remedy="Give lr > 0, epochs >= 1",
            )

    def adapt(self, network: N, batches: Batches, *, device: torch.device) -> Adapted[N]:
        """Minimise the mean binary entropy of the findings; batch norms use the statistics of their batch meanwhile.

        Args:
            network: Maps ``image`` to logits (B, L).
            batches: Iterated once per epoch, in order; only ``image`` is read.
            device: Where to run.

        Returns:
            The copy, its batch statistics taken anew at the end.

        Raises:
            ConfigError: The network has no norm with scale and shift.
            DataError: Fewer than two films.
        """
        changed = copy.deepcopy(network).to(device).eval().requires_grad_(requires_grad=False)
        norms = [part for part in changed.modules() if isinstance(part, NORMS)]
        moving = [parameter for norm in norms for parameter in norm.parameters(recurse=False)]
        if not moving:
            raise ConfigError(
                what="The network has no norm with scale and shift", where="Repair tent", remedy="Choose another repair, or backbone"
            )
        batched = [norm for norm in norms if isinstance(norm, _BatchNorm) and norm.running_mean is not None]
        kept = [norm.momentum for norm in batched]
        for norm in batched:
            norm.train()
            norm.momentum = 0.0
        for parameter in moving:
            parameter.requires_grad = True
        optimizer = torch.optim.Adam(moving, lr=self.lr)
        images = 0
        for _ in range(self.epochs):
            images = 0
            for image in _images(batches):
                optimizer.zero_grad()
                binary_entropy(changed(image.to(device))).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                images += len(image)
        _require(images)
        for norm, momentum in zip(batched, kept, strict=True):
            norm.momentum = momentum
        for parameter, old in zip(changed.parameters(), network.parameters(), strict=True):
            parameter.grad = None
            parameter.requires_grad = old.requires_grad
        final = BatchNorm(self.mix).adapt(changed, batches, device=device).network if batched else changed.eval()
        return Adapted(final, images, _collapsed(final, batches, device=device))


def binary_entropy(logit: Tensor) -> Tensor:
    """Mean entropy of independent findings, in nats.

    Args:
        logit: (B, L).

    Returns:
        Scalar in [0, ln 2].

    Example:
        >>> round(float(binary_entropy(torch.zeros(2, 1))), 4)
        0.6931
    """
    probability = torch.sigmoid(logit.float())
    return (functional.softplus(logit.float()) - probability * logit.float()).mean()


class _Moments:
    """Pool the inputs of one norm over all films: sum, sum of squares and count per channel, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | None = None
        self.square: Tensor | None = None

    def __call__(self, norm: nn.Module, given: Sequence[Any]) -> None:
        x = given[0].detach().to("cpu", torch.float64).transpose(0, 1).flatten(1)
        total, square = x.sum(1), (x**2).sum(1)
        self.total = total if self.total is None else self.total + total
        self.square = square if self.square is None else self.square + square
        self.count += x.shape[1]

    def write(self, norm: _BatchNorm, *, mix: float) -> None:
        if self.total is None or self.square is None or norm.running_mean is None or norm.running_var is None:
            return  # a branch the films never went through
        mean = self.total / self.count
        variance = (self.square / self.count - mean**2).clamp(min=0) * self.count / max(1, self.count - 1)
        norm.running_mean.lerp_(mean.to(norm.running_mean), mix)
        norm.running_var.lerp_(variance.to(norm.running_var), mix)


def _images(batches: Batches) -> Iterable[Tensor]:
    """Images of batches with at least two films; a batch of one has no variance."""
    for batch in batches:
        image: Tensor = batch["image"]
        if len(image) >= MINIMUM:
            yield image


@torch.no_grad()
def _show(network: nn.Module, batches: Batches, *, device: torch.device) -> int:
    count = 0
    for image in _images(batches):
        network(image.to(device))
        count += len(image)
    _require(count)
    return count


@torch.no_grad()
def _collapsed(network: nn.Module, batches: Batches, *, device: torch.device) -> str:
    positive = torch.cat([network(image.to(device)).cpu() > 0 for image in _images(batches)]).float().mean(0)
    return "collapsed: a finding is called one way in every film" if bool(((positive == 0) | (positive == 1)).any()) else ""


def _require(count: int) -> None:
    if count < MINIMUM:
        raise DataError(
            what=f"{count} local films cannot repair a network", where="Batches of the repair", remedy="Give at least two films a batch"
        )
