# SPDX-License-Identifier: Apache-2.0
"""Multi-frame DICOM: enhanced CT and MR by their functional groups (PS3.3 C.7.6.16), and films in time such as ultrasound."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medsetu.reader import header as element
from medsetu.reader.colour import decode_colour, is_colour, luma
from medsetu.reader.decoder import decode, look_up
from medsetu.reader.dicom import open_header
from medsetu.reader.grey import measured_table, unit_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import Facts, check_size
from medsetu.reader.series import check_slice, finish
from medsetu.reader.stack import plane_of, stack
from medsetu.reader.volume import RELATIVE, Volume, check_voxels

MAX_FRAMES = 1 << 16
_GROUPS: Final = {
    "position": "PlanePositionSequence",
    "orientation": "PlaneOrientationSequence",
    "measures": "PixelMeasuresSequence",
    "rescale": "PixelValueTransformationSequence",
}


def frame_count(header: Dataset) -> int:
    """Frames of a data set; 1 when it does not say.

    Raises:
        Unreadable: For no frame, a fraction of one, or more than ``MAX_FRAMES``.

    Example:
        >>> frame_count(Dataset())
        1
    """
    count = 1 if element.number(header, "NumberOfFrames") is None else element.whole(header, "NumberOfFrames")
    if not 1 <= count <= MAX_FRAMES:
        raise Unreadable(expected=f"1 to {MAX_FRAMES} frames", found=str(count))
    return count


@guarded("DICOM frames")
def read_frames(data: bytes, *, gaps: str = "refuse", sample_id: str = "") -> Volume:
    """Read all frames of one file.

    Frames with a plane position of their own become a volume, in the order of the patient and rescaled frame by frame. Frames without one
    are a film in time: (frames, rows, columns) as stored, scaled to [0, 1], colour reduced to luma.

    Args:
        data: The whole file.
        gaps: About missing or uneven frames: ``refuse``, or ``tell`` them in the steps.
        sample_id: Named in errors.

    Returns:
        The volume, or the film with ``frame_seconds`` where the file says it.

    Raises:
        DataError: For lying counts, several volumes in one file, missing, doubled or uneven frames, and broken pixels.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    if "PixelData" not in header:
        raise Unreadable(expected="pixel data", found="a DICOM object without it")
    frames = frame_count(header)
    rows, columns = element.whole(header, "Rows"), element.whole(header, "Columns")
    check_size(rows, columns)
    check_voxels((frames, rows, columns))
    if "PerFrameFunctionalGroupsSequence" in header:
        return _volume(header, frames, gaps=gaps, file_bytes=len(data))
    return _film(header, frames, file_bytes=len(data))


def _volume(header: Dataset, frames: int, *, gaps: str, file_bytes: int) -> Volume:
    """Place every frame by its own functional group, else by the shared one."""
    own = list(header.PerFrameFunctionalGroupsSequence)
    if len(own) != frames:
        raise Unreadable(expected=f"{frames} functional groups, one per frame", found=str(len(own)))
    groups = [{name: group_of(keyword, frame, header) for name, keyword in _GROUPS.items()} for frame in own]
    planes = [
        plane_of(header, position=group["position"], orientation=group["orientation"], measures=group["measures"]) for group in groups
    ]
    placed = stack(planes, gaps=gaps)
    coding = check_slice(header)
    voxels = np.empty((frames, *planes[0].shape), np.float32)
    units, steps = set(), dict[str, None]()
    for depth, number in enumerate(placed.order):
        rescale = groups[number]["rescale"]
        table, done = measured_table(rescale, coding)
        voxels[depth] = look_up(table, decode(header, coding, index=number, frames=frames), coding)
        units.add(unit_of(header, rescale))
        steps |= dict.fromkeys(done)
    if len(units) > 1:
        raise Unreadable(expected="frames of one unit", found="several")
    return finish(voxels, placed, header, unit=units.pop(), file_bytes=file_bytes, steps=tuple(steps))


def group_of(keyword: str, frame: Dataset, header: Dataset) -> Dataset:
    """First item of a functional group: that of the frame, else the shared one, else the data set itself (PS3.3 C.7.6.16.1).

    Args:
        keyword: Of the sequence.
        frame: Functional groups of the frame.
        header: The data set.

    Returns:
        The item.

    Example:
        >>> header = Dataset()
        >>> group_of("PixelMeasuresSequence", Dataset(), header) is header
        True
    """
    for place in (frame, *(header.get("SharedFunctionalGroupsSequence") or ())[:1]):
        items = place.get(keyword)
        if items:
            return items[0]  # type: ignore[no-any-return]  # pydicom is not typed
    return header


def _film(header: Dataset, frames: int, *, file_bytes: int) -> Volume:
    """Frames in time."""
    if is_colour(header):
        shown: list[NDArray[np.float32]] = [luma(decode_colour(header, index=index, frames=frames)) for index in range(frames)]
        steps: tuple[str, ...] = ("colour to grey by luma",)
        bits = 8
    else:
        coding = check_slice(header)
        low, high = coding.span
        shown = [
            ((decode(header, coding, index=index, frames=frames).astype(np.float32) - low) / (high - low)).astype(np.float32)
            for index in range(frames)
        ]
        steps, bits = (f"scaled by stored range {low} to {high}",), coding.bits
    if element.word(header, "PhotometricInterpretation") == "MONOCHROME1":
        shown = [1 - picture for picture in shown]
        steps += ("inverted (MONOCHROME1)",)
    spacing, told = element.spacing(header)
    milliseconds, rate = element.number(header, "FrameTime"), element.number(header, "CineRate")
    seconds = milliseconds / 1000 if milliseconds else 1 / rate if rate else math.nan
    voxels = np.stack(shown)
    facts = Facts(
        file_format="dicom",
        color_mode=element.word(header, "PhotometricInterpretation"),
        height=voxels.shape[1],
        width=voxels.shape[2],
        bits=bits,
        file_bytes=file_bytes,
        spacing_mm=spacing,
        modality=element.word(header, "Modality"),
        laterality=element.laterality(header),
        sex=element.sex(header),
        age_years=element.age(header),
        device=element.device(header),
        depth=frames,
        steps=(*steps, *told, "frames in time"),
    )
    return Volume(voxels, np.full((4, 4), math.nan), (math.nan, spacing, spacing), RELATIVE, facts, frame_seconds=seconds)
