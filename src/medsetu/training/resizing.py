# SPDX-License-Identifier: Apache-2.0
"""Progressive resizing: small pictures first, the full size from some epoch on; validation always sees the full size."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError


@dataclass(frozen=True)
class Resizing:
    """Size of the training images, as a function of the epoch alone (Howard 2018, fast.ai's DAWNBench entry).

    Attributes:
        start: Side in the first epoch, as a share of the full one, in (0, 1).
        full_from: Share of the epochs after which the size is full, in (0, 1].
        multiple: Sides are rounded to multiples of this, pixels; a patch size, or the total stride of a trunk.

    Raises:
        ConfigError: A number is out of its range.
    """

    start: float = 0.5
    full_from: float = 0.6
    multiple: int = 32

    def __post_init__(self) -> None:
        if not (0 < self.start < 1 and 0 < self.full_from <= 1 and self.multiple >= 1):
            raise ConfigError(
                what=f"Sizes from {self.start} on, full after {self.full_from}, by {self.multiple} pixels are impossible",
                where="Key stages.*.resize",
                remedy="Give shares above 0 and below 1, and 1 pixel or more",
            )

    def size(self, epoch: int, *, epochs: int, full: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the training images of an epoch.

        Args:
            epoch: Zero-based epoch.
            epochs: Epochs of the stage.
            full: Height and width that the network is made for, pixels.

        Returns:
            Height and width, at least ``multiple`` and at most full.

        Example:
            >>> [Resizing(multiple=8).size(epoch, epochs=10, full=(64, 64))[0] for epoch in (0, 3, 6, 9)]
            [32, 48, 64, 64]
        """
        share = min(1.0, self.start + (1 - self.start) * epoch / (self.full_from * epochs))
        if share >= 1:
            return full
        height, width = (min(side, max(self.multiple, math.floor(side * share / self.multiple + 0.5) * self.multiple)) for side in full)
        return height, width

    def apply(self, image: Tensor, *, epoch: int, epochs: int) -> Tensor:
        """Shrink (B, C, H, W) images to the size of an epoch, with a low-pass filter."""
        full = (image.shape[-2], image.shape[-1])
        size = self.size(epoch, epochs=epochs, full=full)
        return image if size == full else functional.interpolate(image, size=size, mode="bilinear", antialias=True)

    @torch.no_grad()
    def require_accepted(self, network: Network, *, epochs: int) -> None:
        """Refuse a network that is made for one size only, before the first batch.

        Raises:
            ConfigError: The network does not accept the smallest size.
        """
        if len(network.spec.size) != 2:
            raise ConfigError(what="Volumes are not resized while training", where="Key stages.*.resize", remedy="Leave the key out")
        height, width = self.size(0, epochs=epochs, full=(network.spec.size[0], network.spec.size[1]))
        was = network.training
        network.eval()
        try:
            network(torch.zeros(1, network.spec.channels, height, width))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ConfigError(
                what=f"This network does not accept images of {height} x {width} pixels",
                where="Key stages.*.resize",
                remedy="Leave the key out, or choose a convolutional backbone",
            ) from error
        finally:
            network.train(was)
