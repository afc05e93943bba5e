# SPDX-License-Identifier: Apache-2.0
"""Mixup and cutmix: films of a batch blended with one another, drawn from (seed, epoch, batch) and nothing else."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medsetu.core.errors import ConfigError


@dataclass(frozen=True)
class Mixing:
    """How often and how strongly films are mixed; 0 means never.

    Attributes:
        mixup_p: Probability that a film is blended with another one of its batch (Zhang et al. 2018).
        mixup_alpha: Both parameters of the beta distribution of a film's own share in a blend, above 0.
        cutmix_p: Probability that a rectangle of another film is pasted (Yun et al. 2019); with ``mixup_p`` at most 1.
        cutmix_alpha: Both parameters of the beta distribution of the area that stays, above 0.

    Raises:
        ConfigError: A number is out of its range.
    """

    mixup_p: float = 0.0
    mixup_alpha: float = 0.2
    cutmix_p: float = 0.0
    cutmix_alpha: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "mixup_p": 0 <= self.mixup_p <= 1,
            "cutmix_p": 0 <= self.cutmix_p <= 1 - self.mixup_p,
            "mixup_alpha": self.mixup_alpha > 0,
            "cutmix_alpha": self.cutmix_alpha > 0,
        }
        for key, holds in rules.items():
            if not holds:
                raise ConfigError(
                    what=f"{getattr(self, key)} is out of range",
                    where=f"Key stages.*.mix.{key}",
                    remedy="Give probabilities that add up to at most 1, and parameters above 0",
                )

    def mix(self, image: Tensor, label: Tensor, *, place: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """Mix the films of a batch; a film alone in its batch has no other and stays.

        Args:
            image: (B, C, H, W) or (B, C, D, H, W) float; not changed. A rectangle goes through all slices of a volume.
            label: (B, L) in [0, 1], NaN unknown; not changed.
            place: Seed, epoch and number of the batch in the epoch, each at least 0.

        Returns:
            Images and labels; the labels of a mixed film are blended by the shares of the pictures, NaN where either film's is.

        Example:
            >>> image, label = torch.zeros(2, 1, 4, 4), torch.tensor([[1.0], [float("nan")]])
            >>> Mixing(mixup_p=1.0).mix(image, label, place=(0, 0, 0))[1].isnan().all().item()
            True
        """
        count, (height, width) = len(image), image.shape[-2:]
        if count < 2:
            return image, label
        drawn = np.random.Generator(np.random.Philox(np.random.SeedSequence(place)))
        kind, order = drawn.random(count), drawn.permutation(count)
        other = np.empty(count, dtype=np.int64)
        other[order] = np.roll(order, 1)  # one round: nobody is mixed with itself
        blend, area = drawn.beta(self.mixup_alpha, self.mixup_alpha, count), drawn.beta(self.cutmix_alpha, self.cutmix_alpha, count)
        blended, cut = kind < self.mixup_p, (kind >= self.mixup_p) & (kind < self.mixup_p + self.cutmix_p)
        if not (blended | cut).any():
            return image, label
        box = _boxes(1 - area, drawn.random((count, 2)), size=(height, width)) & cut[:, None, None]
        own = np.where(blended, blend, 1 - box.mean(axis=(1, 2)))
        weight = np.where(cut[:, None, None], 1.0 - box, own[:, None, None])
        partner = torch.from_numpy(other).to(image.device)
        shape = (count, *([1] * (image.ndim - 3)), height, width)
        share = torch.from_numpy(weight).to(image).expand(count, height, width).reshape(shape)
        mixed = image * share + image[partner] * (1 - share)
        part = torch.from_numpy(own).to(label)[:, None]
        changed = torch.from_numpy(blended | cut).to(label.device)
        return (
            torch.where(changed.view(-1, *([1] * (image.ndim - 1))), mixed, image),
            torch.where(changed[:, None], label * part + label[partner] * (1 - part), label),
        )


def _boxes(share: NDArray[np.float64], centre: NDArray[np.float64], *, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark (B, H, W) the pixels of rectangles with a share of the area around a centre, cut off at the border."""
    inside = np.ones((len(share), *size), dtype=bool)
    for axis, length in enumerate(size):
        half = np.sqrt(share)[:, None] * length / 2
        near = np.abs(np.arange(length)[None] + 0.5 - centre[:, [axis]] * length) <= half
        inside &= near[:, :, None] if axis == 0 else near[:, None, :]
    return inside
