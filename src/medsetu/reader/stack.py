# SPDX-License-Identifier: Apache-2.0
"""Where slices lie in the patient: their order along the normal, what is missing, doubled or uneven, and the tilt of the gantry.

The order is that of Image Position (Patient) projected on the normal of Image Orientation (Patient), PS3.3 C.7.6.2.1.1; never that of
file names or instance numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medsetu.reader import header as element
from medsetu.reader.guard import Unreadable

GAPS = ("refuse", "tell")
_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts to the left and to the back
_SAME_PLACE: Final = 0.01  # mm
_MISSING: Final = 1.5  # times the usual distance
_UNEVEN: Final = 0.05  # share of the usual distance
_ROUNDED: Final = 0.05  # mm: writers round positions
_TILT: Final = 0.5  # degrees
_OFF_LINE: Final = 0.5  # mm
_PARALLEL: Final = 1e-2  # of a direction cosine


@dataclass(frozen=True)
class Plane:
    """One slice in the patient (PS3.3 C.7.6.2).

    Attributes:
        position: Centre of the first voxel, mm, in the coordinates of DICOM (left, back, head).
        directions: Cosines along a row, then along a column: six numbers.
        spacing: Between rows, and between columns, mm.
        shape: Rows and columns.
        thickness: Distance to the next slice where only one is there, mm; NaN unknown.
    """

    position: tuple[float, ...]
    directions: tuple[float, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, int]
    thickness: float = math.nan


@dataclass(frozen=True)
class Stack:
    """Slices in order.

    Attributes:
        order: Number of the slice at each depth.
        affine: (4, 4) from (column, row, depth, 1) to mm in RAS+.
        steps: What to record.
    """

    order: tuple[int, ...]
    affine: NDArray[np.float64]
    steps: tuple[str, ...]


def plane_of(header: Dataset, *, position: Dataset, orientation: Dataset, measures: Dataset) -> Plane:
    """Read where a slice lies.

    Args:
        header: Data set with the size of the picture.
        position: Data set or functional group with ImagePositionPatient.
        orientation: With ImageOrientationPatient.
        measures: With PixelSpacing and the thickness.

    Returns:
        The plane.

    Raises:
        Unreadable: When one of these is absent, impossible, or not orthogonal.
    """
    place = element.numbers(position, "ImagePositionPatient", 3)
    directions = element.numbers(orientation, "ImageOrientationPatient", 6)
    spacing = element.numbers(measures, "PixelSpacing", 2)
    if place is None or directions is None or spacing is None:
        raise Unreadable(expected="position, orientation and pixel spacing of each slice", found="a slice without them")
    along, down = np.array(directions[:3]), np.array(directions[3:])
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    if not np.allclose(lengths, 1, atol=_PARALLEL) or abs(along @ down) > _PARALLEL or min(spacing) <= 0:
        raise Unreadable(expected="orthogonal unit directions and positive pixel spacing", found="others")
    thickness = element.number(measures, "SliceThickness") or element.number(measures, "SpacingBetweenSlices") or math.nan
    return Plane(place, directions, spacing, (element.whole(header, "Rows"), element.whole(header, "Columns")), abs(thickness))


def stack(planes: Sequence[Plane], *, gaps: str = "refuse") -> Stack:
    """Put slices in order and look for what is wrong with them.

    Args:
        planes: At least one slice, in any order.
        gaps: What to do about missing slices and uneven distances: ``refuse``, or ``tell`` and go on with the mean distance.

    Returns:
        The stack.

    Raises:
        Unreadable: For slices of several sizes, spacings or directions, several at one place, off one line; and, unless told otherwise,
            for missing slices and uneven distances.

    Example:
        >>> def slice_at(z):
        ...     return Plane((0.0, 0.0, z), (1, 0, 0, 0, 1, 0), (0.5, 0.5), (4, 4))
        >>> stack([slice_at(5.0), slice_at(0.0), slice_at(10.0)]).order
        (1, 0, 2)
    """
    first = planes[0]
    _refuse_mixture(planes)
    along, down = np.array(first.directions[:3]), np.array(first.directions[3:])
    normal = np.cross(along, down)
    normal = normal / np.linalg.norm(normal)
    positions = np.array([plane.position for plane in planes])
    depths = positions @ normal
    order = np.argsort(depths, kind="stable")
    step: NDArray[np.float64] = normal * first.thickness
    steps: tuple[str, ...] = ()
    if len(planes) > 1:
        steps = _check_distances(np.diff(depths[order]), depths[order], gaps=gaps)
        step, tilt = _step(positions[order], normal)
        steps += tilt
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = along * first.spacing[1], down * first.spacing[0], step
    affine[:3, 3] = positions[order[0]]
    affine = _TO_RAS @ affine
    if not np.isfinite(affine).all():  # one slice that does not say how thick it is
        steps += ("thickness of the only slice is not declared",)
        affine = np.full((4, 4), math.nan)
    return Stack(tuple(int(number) for number in order), affine, steps)


def _refuse_mixture(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for told, differs in {
        "size": [plane.shape != first.shape for plane in planes],
        "direction": [not np.allclose(plane.directions, first.directions, atol=_PARALLEL) for plane in planes],
        "pixel spacing": [not np.allclose(plane.spacing, first.spacing, rtol=1e-3) for plane in planes],
    }.items():
        if any(differs):
            raise Unreadable(
                expected=f"slices of one {told}",
                found=f"{sum(differs)} of {len(planes)} that differ from the first",
                remedy="Give each series a folder of its own",
            )


def _check_distances(distances: NDArray[np.float64], depths: NDArray[np.float64], *, gaps: str) -> tuple[str, ...]:
    doubled = np.flatnonzero(distances < _SAME_PLACE)
    if len(doubled):
        raise Unreadable(
            expected="one slice at each place",
            found=f"{len(doubled)} more, the first at slice {doubled[0] + 1}",
            remedy="Give each phase or echo a folder of its own",
        )
    usual = float(np.median(distances))
    wide = np.flatnonzero(distances > _MISSING * usual)
    uneven = np.abs(distances - usual) > max(_UNEVEN * usual, _ROUNDED)
    if len(wide):
        absent = int(sum(round(float(distances[place]) / usual) - 1 for place in wide))
        what = f"about {absent} missing, the first after slice {wide[0] + 1} of {len(depths)}, where {distances[wide[0]]:.1f} mm are open"
    elif uneven.any():
        what = f"distances from {distances.min():.2f} to {distances.max():.2f} mm"
    else:
        return ()
    if gaps == "refuse":
        raise Unreadable(expected=f"slices every {usual:.2f} mm", found=what, remedy="Obtain the series again, or export it evenly spaced")
    return (f"slices every {usual:.2f} mm: {what}",)


def _step(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Vector from a slice to the next, and the tilt: a tilted gantry moves the table along another line than the normal."""
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(positions) - 1)
    share = (positions - positions[0]) @ normal / ((positions[-1] - positions[0]) @ normal)
    off = np.linalg.norm(positions - positions[0] - share[:, None] * (positions[-1] - positions[0]), axis=1).max()
    if off > _OFF_LINE:
        raise Unreadable(expected="slices on one line", found=f"one {off:.1f} mm beside it")
    tilt = math.degrees(math.acos(min(1.0, float(step @ normal / np.linalg.norm(step)))))
    return step, (f"gantry tilted by {tilt:.1f} degrees: sheared, not resampled",) if tilt > _TILT else ()
