# SPDX-License-Identifier: Apache-2.0
"""The frame of an image: where its pixels lie after every resize, crop, padding and flip, for boxes and masks, there and back.

Coordinates are edges of pixels: x grows to the right and y down, the first pixel reaches from 0 to 1, and a box that covers the columns
3, 4 and 5 has x_min 3 and x_max 6. So a box scales with its image, and no half pixels have to be remembered.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Edges = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max."""


def resized_shape(shape: tuple[int, int], size: tuple[int, int], *, fit: str) -> tuple[int, int]:
    """Find the shape an image is resized to before padding or cropping.

    Args:
        shape: Height and width of the image.
        size: Height and width wanted.
        fit: ``pad``, ``crop`` or ``stretch``.

    Returns:
        Height and width, each at least 1 pixel.

    Example:
        >>> resized_shape((200, 100), (64, 64), fit="pad"), resized_shape((200, 100), (64, 64), fit="crop")
        ((64, 32), (128, 64))
    """
    if fit == "stretch":
        return size
    ratios = [wanted / given for wanted, given in zip(size, shape, strict=True)]
    ratio = min(ratios) if fit == "pad" else max(ratios)
    return max(1, round(shape[0] * ratio)), max(1, round(shape[1] * ratio))


def centred(have: int, want: int) -> tuple[int, int, int]:
    """Cut or pad a side about its middle, as ``monai.transforms.ResizeWithPadOrCrop`` does.

    Args:
        have: Pixels of the side.
        want: Pixels wanted.

    Returns:
        First pixel kept, where it is put, and how many are kept.

    Example:
        >>> centred(8, 5), centred(4, 7)
        ((2, 0, 5), (0, 1, 4))
    """
    return (have // 2 - want // 2, 0, want) if have > want else (0, (want - have) // 2, have)


@dataclass(frozen=True)
class Frame:
    """A picture of an image, and the affine map from the image to it.

    Attributes:
        height: Rows of the picture.
        width: Columns of the picture.
        x: a, b, c of x' = a x + b y + c.
        y: The same of y'.
    """

    height: int
    width: int
    x: tuple[float, float, float] = (1.0, 0.0, 0.0)
    y: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def resized(self, height: int, width: int) -> "Frame":
        """Give the picture another size.

        Example:
            >>> Frame(10, 20).resized(5, 40).box((2, 2, 4, 4))
            (4.0, 1.0, 8.0, 2.0)
        """
        right, down = width / self.width, height / self.height
        return Frame(height, width, _scaled(self.x, right), _scaled(self.y, down))

    def centred(self, height: int, width: int) -> "Frame":
        """Pad with black, or cut, about the middle.

        Example:
            >>> Frame(4, 4).centred(8, 2).box((0, 0, 4, 4))
            (0.0, 2.0, 2.0, 6.0)
        """
        first_row, row, _ = centred(self.height, height)
        first_column, column, _ = centred(self.width, width)
        return Frame(height, width, _shifted(self.x, column - first_column), _shifted(self.y, row - first_row))

    def cut(self, top: int, left: int, bottom: int, right: int) -> "Frame":
        """Keep a rectangle of the picture: rows and columns from the first to before the last.

        Example:
            >>> Frame(10, 20).cut(2, 5, 8, 15).box((0, 0, 7, 4))
            (0.0, 0.0, 2.0, 2.0)
        """
        return Frame(bottom - top, right - left, _shifted(self.x, -left), _shifted(self.y, -top))

    def fitted(self, height: int, width: int, *, fit: str) -> "Frame":
        """Do what the data pipeline does up to a network's input: resize by ``pad``, ``crop`` or ``stretch``, then pad or cut.

        Example:
            >>> Frame(200, 100).fitted(64, 64, fit="pad").box((0, 0, 100, 200))
            (16.0, 0.0, 48.0, 64.0)
        """
        return self.resized(*resized_shape((self.height, self.width), (height, width), fit=fit)).centred(height, width)

    def mirrored(self) -> "Frame":
        """Swap left and right.

        Example:
            >>> Frame(4, 10).mirrored().box((0, 0, 3, 4))
            (7.0, 0.0, 10.0, 4.0)
        """
        return Frame(self.height, self.width, _shifted(_scaled(self.x, -1.0), self.width), self.y)

    def upended(self) -> "Frame":
        """Swap top and bottom: coordinates that count from the bottom count from the top afterwards.

        Example:
            >>> Frame(10, 4).upended().box((0, 0, 4, 3))
            (0.0, 7.0, 4.0, 10.0)
        """
        return Frame(self.height, self.width, self.x, _shifted(_scaled(self.y, -1.0), self.height))

    def transposed(self) -> "Frame":
        """Swap rows and columns.

        Example:
            >>> Frame(10, 4).transposed().box((0, 1, 2, 5))
            (1.0, 0.0, 5.0, 2.0)
        """
        return Frame(self.width, self.height, self.y, self.x)

    def back(self, height: int, width: int) -> "Frame":
        """Turn round: from the picture to the image.

        Args:
            height: Rows of the image.
            width: Columns of the image.

        Example:
            >>> Frame(10, 20).resized(5, 40).back(10, 20).box((4, 1, 8, 2))
            (2.0, 2.0, 4.0, 4.0)
        """
        inverse = np.linalg.inv(np.array([self.x, self.y, (0.0, 0.0, 1.0)]))
        x, y = (tuple(float(value) for value in row) for row in inverse[:2])
        return Frame(height, width, (x[0], x[1], x[2]), (y[0], y[1], y[2]))

    def box(self, edges: Edges) -> Edges | None:
        """Map a box of the image; what lies outside the picture is cut off.

        Args:
            edges: x_min, y_min, x_max, y_max in the image.

        Returns:
            The same in the picture; None when nothing of it is seen.

        Example:
            >>> Frame(4, 4).centred(2, 2).box((0, 0, 1, 4)) is None
            True
        """
        x_min, y_min, x_max, y_max = edges
        corners = [(x, y) for x in (x_min, x_max) for y in (y_min, y_max)]
        across = [min(max(_apply(self.x, x, y), 0.0), float(self.width)) for x, y in corners]
        down = [min(max(_apply(self.y, x, y), 0.0), float(self.height)) for x, y in corners]
        seen = (min(across), min(down), max(across), max(down))
        return seen if seen[0] < seen[2] and seen[1] < seen[3] else None

    def mask(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Map a mask or label map of the image: each pixel of the picture takes the value under its centre, and 0 where there is none.

        Args:
            pixels: (H, W) of the image; whole numbers or booleans, never intensities.

        Returns:
            (height, width), same dtype.

        Example:
            >>> Frame(1, 3).mirrored().mask(np.array([[1, 2, 0]])).tolist()
            [[0, 2, 1]]
        """
        source = self.back(pixels.shape[0], pixels.shape[1])
        x, y = np.arange(self.width) + 0.5, (np.arange(self.height) + 0.5)[:, None]
        columns = np.floor(source.x[0] * x + source.x[1] * y + source.x[2]).astype(np.int64)
        rows = np.floor(source.y[0] * x + source.y[1] * y + source.y[2]).astype(np.int64)
        inside = (columns >= 0) & (columns < pixels.shape[1]) & (rows >= 0) & (rows < pixels.shape[0])
        taken = pixels[np.where(inside, rows, 0), np.where(inside, columns, 0)]
        return np.where(inside, taken, np.zeros((), pixels.dtype)).astype(pixels.dtype)


def _scaled(row: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return row[0] * factor, row[1] * factor, row[2] * factor


def _shifted(row: tuple[float, float, float], shift: float) -> tuple[float, float, float]:
    return row[0], row[1], row[2] + shift


def _apply(row: tuple[float, float, float], x: float, y: float) -> float:
    return float(row[0] * x + row[1] * y + row[2])
