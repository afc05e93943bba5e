# SPDX-License-Identifier: Apache-2.0
"""Deterministic intensity steps a recipe may place between resizing and padding; NumPy only."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError

_NO_CONTRAST = 1 / 65535  # one step of 16 bits


class Intensity(Protocol):
    """A frozen dataclass that maps pixels to pixels; its name and fields are part of the cache key."""

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (H, W) intensities in [0, 1] to (H, W) intensities in [0, 1]."""


@dataclass(frozen=True)
class Percentile:
    """Stretch linearly so that two percentiles of the image become 0 and 1; values beyond are clipped.

    Attributes:
        lower: Percentile that becomes 0, in [0, 100).
        upper: Percentile that becomes 1, in (lower, 100].

    Raises:
        ConfigError: The percentiles are out of order or out of range.

    Example:
        >>> Percentile(0, 100)(np.array([[0.25, 0.5, 0.75]], dtype=np.float32)).tolist()
        [[0.0, 0.5, 1.0]]
    """

    lower: float = 0.5
    upper: float = 99.5

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 100:
            raise ConfigError(
                what=f"Percentiles {self.lower} and {self.upper} are impossible",
                where="Key data.intensity",
                remedy="Give 0 <= lower < upper <= 100",
            )

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stretch one image.

        Raises:
            DataError: The image has no contrast between the percentiles.
        """
        low, high = (float(value) for value in np.percentile(pixels, (self.lower, self.upper)))
        if high - low < _NO_CONTRAST:
            raise DataError(
                what=f"An image has no contrast between its percentiles {self.lower} and {self.upper}",
                where="Intensity step Percentile",
                remedy="Look at the image, quarantine it, or leave the step out",
            )
        return np.asarray(np.clip((pixels - low) / (high - low), 0, 1), dtype=np.float32)


@dataclass(frozen=True)
class Equalise:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994).

    Attributes:
        tiles: Tiles per side, at least 1; 1 is global equalisation.
        clip: Bound of a histogram bin as a multiple of the mean bin, at least 1; 1 changes least, large values do not limit.
        bins: Grey levels of the histogram.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> ramp = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64) ** 3
        >>> flat = Equalise(tiles=1, clip=1000)(ramp)
        >>> bool(abs(flat.mean() - 0.5) < 0.02)
        True
    """

    tiles: int = 8
    clip: float = 2.0
    bins: int = 256

    def __post_init__(self) -> None:
        if self.tiles < 1 or self.clip < 1 or self.bins < 2:
            raise ConfigError(
                what=f"Equalisation with {self.tiles} tiles, clip {self.clip} and {self.bins} bins is impossible",
                where="Key data.intensity",
                remedy="Give tiles >= 1, clip >= 1 and bins >= 2",
            )

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Equalise one image."""
        level = np.minimum((pixels * self.bins).astype(np.int64), self.bins - 1)
        curves = self._curves(level)
        above, below, down = self._neighbours(pixels.shape[0])
        left, right, across = self._neighbours(pixels.shape[1])
        down, across = down[:, None], across[None, :]
        top = (1 - across) * curves[above[:, None], left, level] + across * curves[above[:, None], right, level]
        bottom = (1 - across) * curves[below[:, None], left, level] + across * curves[below[:, None], right, level]
        return np.clip((1 - down) * top + down * bottom, 0, 1).astype(np.float32)

    def _curves(self, level: NDArray[np.int64]) -> NDArray[np.float64]:
        """Build the (tiles, tiles, bins) grey curves: the cumulated, clipped histogram of each tile."""
        tile_of = [np.arange(side) * self.tiles // side for side in level.shape]
        tile = tile_of[0][:, None] * self.tiles + tile_of[1][None, :]
        flat = np.bincount((tile * self.bins + level).ravel(), minlength=self.tiles**2 * self.bins)
        counts = flat.reshape(self.tiles, self.tiles, self.bins).astype(np.float64)
        total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        limit = self.clip * total / self.bins
        excess = np.maximum(counts - limit, 0).sum(axis=-1, keepdims=True)
        clipped = np.minimum(counts, limit) + excess / self.bins
        return np.asarray((np.cumsum(clipped, axis=-1) - clipped / 2) / total)

    def _neighbours(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Find for each pixel of a side the two nearest tile centres and the weight of the second."""
        place = (np.arange(side) + 0.5) * self.tiles / side - 0.5
        first = np.floor(place).astype(np.int64)
        weight = place - first
        return np.clip(first, 0, self.tiles - 1), np.clip(first + 1, 0, self.tiles - 1), weight
