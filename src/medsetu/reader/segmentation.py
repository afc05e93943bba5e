# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentation objects (PS3.3 A.51): one mask per segment, in the patient."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from medsetu.reader import header as element
from medsetu.reader.decoder import PLUGINS
from medsetu.reader.dicom import open_header
from medsetu.reader.frames import frame_count, group_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.stack import Plane, plane_of, stack
from medsetu.reader.volume import check_voxels, orient

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
HALF = 0.5
"""Share of its maximum above which a fractional voxel belongs to the segment."""


@dataclass(frozen=True)
class Segmentation:
    """Masks of one object.

    Attributes:
        masks: (D, H, W) bool by label of the segment, oriented as ``reader.volume.Volume``.
        affine: (4, 4) from (w, h, d, 1) to mm in RAS+.
        steps: What was done.
    """

    masks: dict[str, NDArray[np.bool_]]
    affine: NDArray[np.float64]
    steps: tuple[str, ...]


@guarded("DICOM segmentation")
def read_segmentation(data: bytes, *, sample_id: str = "") -> Segmentation:
    """Read all segments.

    Frames are placed by their plane position; planes without frame of a segment are empty. Fractional segments are cut at half of their
    declared maximum.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        The masks.

    Raises:
        DataError: For other objects, counts that lie, segments without label or twice, and frames of unknown segments.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    if str(header.get("SOPClassUID")) != SEGMENTATION:
        raise Unreadable(expected="a DICOM segmentation", found="another object")
    labels = _labels(header)
    frames = frame_count(header)
    groups = list(header.PerFrameFunctionalGroupsSequence)
    if len(groups) != frames:
        raise Unreadable(expected=f"{frames} functional groups, one per frame", found=str(len(groups)))
    planes = [_plane(header, group) for group in groups]
    depth_of, affine, steps = _depths(planes)
    shape = (max(depth_of) + 1, *planes[0].shape)
    check_voxels((len(labels), *shape))
    masks = {label: np.zeros(shape, np.float32) for label in labels.values()}
    stored = _decode(header, frames)
    level = HALF * (element.number(header, "MaximumFractionalValue") or 1.0)
    fractional = element.word(header, "SegmentationType") == "FRACTIONAL"
    for number, group in enumerate(groups):
        segment = element.whole(group_of("SegmentIdentificationSequence", group, header), "ReferencedSegmentNumber")
        if segment not in labels:
            raise Unreadable(expected="frames of listed segments", found="one of another")
        mask = masks[labels[segment]]
        if mask[depth_of[number]].any():
            raise Unreadable(expected="one frame of a segment at each place", found="two")
        mask[depth_of[number]] = stored[number] > level if fractional else stored[number] != 0
    steps += (f"fractions cut at {level:g}",) if fractional else ()
    turned = {label: orient(mask.transpose(2, 1, 0), affine) for label, mask in masks.items()}
    first = next(iter(turned.values()))
    return Segmentation({label: found[0] > HALF for label, found in turned.items()}, first[1], steps + first[2])


def _labels(header: Dataset) -> dict[int, str]:
    listed = [(element.whole(item, "SegmentNumber"), str(item.get("SegmentLabel", "")).strip()) for item in header.SegmentSequence]
    labels = dict(listed)
    if not labels or len(labels) < len(listed) or len(set(labels.values())) < len(labels) or not all(labels.values()):
        raise Unreadable(expected="segments with a number and a label each", found="some without, or twice")
    return labels


def _plane(header: Dataset, group: Dataset) -> Plane:
    position, orientation, measures = (
        group_of(keyword, group, header) for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    )
    return plane_of(header, position=position, orientation=orientation, measures=measures)


def _depths(planes: list[Plane]) -> tuple[list[int], NDArray[np.float64], tuple[str, ...]]:
    """Depth of each frame, and where the stack of distinct planes lies; planes that no segment needs may be left out of a file."""
    distinct = list({tuple(round(value, 2) for value in plane.position): plane for plane in planes}.values())
    placed = stack(distinct, gaps="tell")
    if not np.isfinite(placed.affine).all():
        raise Unreadable(expected="a thickness of the only plane", found="none")
    step = placed.affine[:3, 2]
    if len(distinct) > 1:  # planes may be missing where nothing was drawn: count depths in the smallest distance
        along = step / np.linalg.norm(step)
        heights = np.sort([float(np.array(plane.position) @ (along * [-1, -1, 1])) for plane in distinct])
        usual = float(np.diff(heights).min())
        places = [(float(np.array(plane.position) @ (along * [-1, -1, 1])) - heights[0]) / usual for plane in planes]
        if max(abs(place - round(place)) for place in places) > 0.1:
            raise Unreadable(expected="planes on an even grid", found="others")
        affine = placed.affine.copy()
        affine[:3, 2] = along * usual
        depths = [round(place) for place in places]
        return depths, affine, () if max(depths) + 1 == len(distinct) else ("planes without frame are empty",)
    return [0] * len(planes), placed.affine, ()


def _decode(header: Dataset, frames: int) -> NDArray[np.uint8]:
    """(frames, H, W) of 1 or 8 bits."""
    allocated, rows, columns = (element.whole(header, name) for name in ("BitsAllocated", "Rows", "Columns"))
    check_voxels((frames, rows, columns))
    syntax = uid.UID(header.file_meta.TransferSyntaxUID)
    if allocated not in (1, 8) or syntax not in PLUGINS:
        raise Unreadable(expected="1 or 8 bits per voxel in a known transfer syntax", found="others")
    if allocated == 1 and len(header.PixelData) < math.ceil(frames * rows * columns / 8):
        raise Unreadable(expected="a bit per voxel", found="fewer")
    decoded, _ = get_decoder(syntax).as_array(header, decoding_plugin=PLUGINS[syntax])
    return np.asarray(decoded, dtype=np.uint8).reshape(frames, rows, columns)
