# SPDX-License-Identifier: Apache-2.0
"""Regions of an ultrasound picture (PS3.3 C.8.5.5): where the tissue is, where Doppler, and how many millimetres a pixel has."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medsetu.reader import header as element
from medsetu.reader.guard import Unreadable

_FORMATS: Final = {1: "tissue", 2: "motion", 3: "spectrum", 4: "waveform", 5: "graphics"}
_CENTIMETRES: Final = 3


@dataclass(frozen=True)
class Region:
    """One calibrated region.

    Attributes:
        kind: ``tissue`` (2D), ``motion`` (M-mode), ``spectrum`` (Doppler), ``waveform``, ``graphics``, or ``other``.
        box: (x_min, y_min, x_max, y_max), pixel edges: the first pixel is x_min, the last x_max - 1.
        spacing_mm: Between columns and between rows; NaN where the axes are no lengths.
    """

    kind: str
    box: tuple[int, int, int, int]
    spacing_mm: tuple[float, float]


def regions(header: Dataset) -> tuple[Region, ...]:
    """Read the calibrated regions, in the order of the file.

    Args:
        header: The data set.

    Returns:
        The regions; none when the file has none.

    Raises:
        Unreadable: When a region does not lie inside the picture.

    Example:
        >>> regions(Dataset())
        ()
    """
    return tuple(_region(item, header) for item in header.get("SequenceOfUltrasoundRegions") or ())


def _region(item: Dataset, header: Dataset) -> Region:
    left, top, last_column, last_row = (element.whole(item, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
    if not 0 <= left <= last_column < element.whole(header, "Columns") or not 0 <= top <= last_row < element.whole(header, "Rows"):
        raise Unreadable(expected="ultrasound regions inside the picture", found="one beyond it")
    kind = _FORMATS.get(element.whole(item, "RegionSpatialFormat"), "other")
    spacing = (_millimetres(item, "X"), _millimetres(item, "Y"))
    return Region(kind, (left, top, last_column + 1, last_row + 1), spacing)


def _millimetres(item: Dataset, axis: str) -> float:
    delta = element.number(item, f"PhysicalDelta{axis}")
    if delta is None or element.number(item, f"PhysicalUnits{axis}Direction") != _CENTIMETRES or delta == 0:
        return math.nan
    return abs(delta) * 10


def only_tissue(pixels: NDArray[np.float32], found: tuple[Region, ...]) -> NDArray[np.float32]:
    """Cut out the smallest box that holds all tissue regions: what is left has no menus, rulers or names around it.

    Args:
        pixels: (..., H, W).
        found: Regions of the picture.

    Returns:
        (..., h, w), a view; the whole picture when no region is tissue.

    Example:
        >>> only_tissue(np.zeros((9, 9), np.float32), (Region("tissue", (2, 1, 6, 9), (1.0, 1.0)),)).shape
        (8, 4)
    """
    boxes = [region.box for region in found if region.kind == "tissue"]
    if not boxes:
        return pixels
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return pixels[..., top:bottom, left:right]
