# SPDX-License-Identifier: Apache-2.0
"""The contract of a backbone: what it wants to see, and where its weights come from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from medsetu.core.errors import ConfigError, DataError


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see.

    Attributes:
        size: Height and width, pixels; or depth, height and width, voxels.
        channels: 1 (grey) or 3.
        mean: Per channel, of intensities in [0, 1].
        std: Per channel, of intensities in [0, 1]; above 0.

    Raises:
        ConfigError: A size is not positive, or mean and std do not have one value per channel.
    """

    size: tuple[int, ...]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        sizes_fit = len(self.mean) == len(self.std) == self.channels and len(self.size) in (2, 3)
        if not sizes_fit or min(self.size) < 1 or self.channels not in (1, 3) or min(self.std) <= 0:
            raise ConfigError(
                what=f"An input of size {self.size}, {self.channels} channels, mean {self.mean} and std {self.std} is impossible",
                where="InputSpec of the backbone",
                remedy="Give size (H, W) or (D, H, W), channels 1 or 3, and one mean and one positive std per channel",
            )

    def normalise(self, image: Tensor) -> Tensor:
        """Turn intensities into what the network was taught on: ``(image - mean) / std``.

        Args:
            image: (..., C, H, W) or (..., 1, H, W) float, intensities in [0, 1]; a single channel is repeated to ``channels``. Of a network
                of volumes (..., C, D, H, W) likewise.

        Returns:
            (..., ``channels``, H, W), same dtype.

        Raises:
            DataError: The image has neither 1 nor ``channels`` channels.

        Example:
            >>> InputSpec((2, 2), 1, (0.5,), (0.25,)).normalise(torch.ones(1, 2, 2)).unique().tolist()
            [2.0]
        """
        sides = len(self.size)
        if image.ndim <= sides or image.shape[-1 - sides] not in (1, self.channels):
            raise DataError(
                what=f"An image of shape {tuple(image.shape)} does not have {self.channels} channels",
                where="Normalisation to the backbone's InputSpec",
                remedy="Read grey images as (1, H, W)",
            )
        mean, std = (torch.tensor(values, dtype=image.dtype, device=image.device) for values in (self.mean, self.std))
        return (image - mean.view(-1, *[1] * sides)) / std.view(-1, *[1] * sides)

    def with_channels(self, channels: int) -> Self:
        """Describe the same input with 1 channel (average mean and std) or 3 (repeated).

        Example:
            >>> InputSpec((8, 8), 3, (0.25, 0.5, 0.75), (0.5, 0.5, 0.5)).with_channels(1).mean
            (0.5,)
        """
        if channels == self.channels:
            return self
        mean, std = (sum(values) / self.channels for values in (self.mean, self.std))
        return replace(self, channels=channels, mean=(mean,) * channels, std=(std,) * channels)

    def to_dict(self) -> dict[str, Any]:
        """Write as plain data, for the header of a weights file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Example:
            >>> spec = InputSpec((8, 8), 1, (0.5,), (0.25,))
            >>> InputSpec.from_dict(spec.to_dict()) == spec
            True
        """
        return cls(size=tuple(data["size"]), channels=data["channels"], mean=tuple(data["mean"]), std=tuple(data["std"]))


@dataclass(frozen=True)
class WeightSpec:
    """Where weights come from, so that a report can say it and a licence check can refuse.

    Attributes:
        origin: ``scratch``, a hub id, an address, or the path of a file.
        revision: Version within the origin; empty when it has none.
        sha256: Of the file that was read; empty for ``scratch``.
        licence: As its publisher names it (SPDX where possible); empty means unknown, and unknown is not permission.
        trained_on: Names of the releases the weights have seen, so that a test on one of them can be marked.
        permits: Use -> yes, no or ask, for weights made here: the terms of all they were made from, joined; empty where nobody joined them.
        clauses: Clauses of licences that stay with weights made here.
    """

    origin: str
    revision: str = ""
    sha256: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    permits: Mapping[str, str] = field(default_factory=dict)
    clauses: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Write as plain data, for the header of a weights file."""
        return asdict(self)

    def terms(self) -> dict[str, Any]:
        """Write the terms alone as plain data, for a provenance.

        Example:
            >>> WeightSpec("scratch", permits={"commercial": "no"}).terms()
            {'permits': {'commercial': 'no'}, 'clauses': []}
        """
        return {"permits": dict(self.permits), "clauses": list(self.clauses)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Example:
            >>> WeightSpec.from_dict(WeightSpec("scratch").to_dict())
            WeightSpec(origin='scratch', revision='', sha256='', licence='', trained_on=(), permits={}, clauses=())
        """
        return cls(**{**data, "trained_on": tuple(data["trained_on"]), "clauses": tuple(data.get("clauses", ()))})


SCRATCH = WeightSpec(origin="scratch", licence="Apache-2.0")
