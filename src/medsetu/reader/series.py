# SPDX-License-Identifier: Apache-2.0
"""A folder of DICOM slices to one volume: Hounsfield units of a CT, values as stored of an MR, in the order of the patient."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medsetu.reader import header as element
from medsetu.reader.decoder import decode, look_up
from medsetu.reader.dicom import is_dicom, open_header
from medsetu.reader.grey import Coding, coding_of, measured_table, unit_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import Facts, check_size
from medsetu.reader.stack import Plane, Stack, plane_of, stack
from medsetu.reader.volume import Volume, check_voxels, orient, spacing_of

MAX_FILES = 8192
"""Files above which a folder is no series."""

_NOT_A_SLICE: Final = ("LOCALIZER", "SCOUT", "SCREEN SAVE", "DOSE_INFO", "REPORT")


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str
    plane: Plane
    digest: bytes


@guarded("DICOM series")
def read_series(folder: Path, *, gaps: str = "refuse", sample_id: str = "") -> Volume:
    """Read the one series of a folder.

    Localizers, reports and files that are no DICOM are left out and counted. Byte-identical slices count once. Values are rescaled slice
    by slice (PS3.3 C.11.1); no window is applied.

    Args:
        folder: Holds the slices of one series; folders below it are not searched.
        gaps: About missing slices and uneven distances: ``refuse``, or ``tell`` them in the steps.
        sample_id: Named in errors.

    Returns:
        The volume: unit ``HU`` for a CT whose rescale is in Hounsfield units, else no unit.

    Raises:
        DataError: For mixed series, missing, doubled or uneven slices, broken files, and CT values that cannot be Hounsfield units.
    """
    del sample_id  # used by the guard
    slices, left_out = _slices(_files(folder))
    kinds = Counter(found.series for found in slices)
    if len(kinds) > 1:
        raise Unreadable(
            expected="one series",
            found=f"{len(kinds)} of {', '.join(str(count) for _, count in kinds.most_common())} slices",
            remedy="Give each series a folder of its own",
        )
    unique = list({found.digest: found for found in slices}.values())
    if len(unique) < len(slices):
        left_out = (*left_out, f"{len(slices) - len(unique)} duplicate slices left out")
    placed = stack([found.plane for found in unique], gaps=gaps)
    volume = _assemble([unique[number].path for number in placed.order], placed)
    return replace(volume, facts=replace(volume.facts, steps=(*left_out, *volume.facts.steps)))


def _files(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not 0 < len(paths) <= MAX_FILES:
        raise Unreadable(expected=f"1 to {MAX_FILES} slices in the folder", found=f"{len(paths)} files")
    return paths


def _slices(paths: Sequence[Path]) -> tuple[list[_Slice], tuple[str, ...]]:
    """Where every slice lies, and how many files are none."""
    found, other, strangers = [], 0, 0
    for path in paths:
        data = path.read_bytes()
        if not is_dicom(data):
            strangers += 1
            continue
        header = open_header(data)
        if _is_slice(header):
            check_size(element.whole(header, "Rows"), element.whole(header, "Columns"))
            plane = plane_of(header, position=header, orientation=header, measures=header)
            content = hashlib.sha256(header.PixelData + repr(plane.position).encode())
            found.append(_Slice(path, str(header.get("SeriesInstanceUID", "")), plane, content.digest()))
        else:
            other += 1
    if not found:
        raise Unreadable(expected="a DICOM slice in the folder", found=f"{other} other DICOM objects and {strangers} other files")
    told = {"localizers, reports or other objects left out": other, "files that are no DICOM left out": strangers}
    return found, tuple(f"{count} {what}" for what, count in told.items() if count)


def _is_slice(header: Dataset) -> bool:
    kinds = {str(value).strip().upper() for value in element.values(header, "ImageType")}
    return "PixelData" in header and not kinds & set(_NOT_A_SLICE)


def _assemble(paths: Sequence[Path], placed: Stack) -> Volume:
    """Decode the slices in order into one array."""
    voxels: NDArray[np.float32] | None = None
    size, units, steps, first = 0, Counter[str](), Counter[str](), Dataset()
    for depth, path in enumerate(paths):
        data = path.read_bytes()
        header = open_header(data)
        coding = check_slice(header)
        table, done = measured_table(header, coding)
        if voxels is None:
            first = header
            shape = (len(paths), element.whole(header, "Rows"), element.whole(header, "Columns"))
            check_voxels(shape)
            voxels = np.empty(shape, np.float32)
        voxels[depth] = look_up(table, decode(header, coding), coding)
        units[unit_of(header, header)] += 1
        steps.update(done)
        size += len(data)
    if voxels is None or len(units) > 1:
        raise Unreadable(expected="slices of one unit", found="several")
    return finish(voxels, placed, first, unit=next(iter(units)), file_bytes=size, steps=tuple(steps))


def check_slice(header: Dataset) -> Coding:
    """Refuse what is no grey slice.

    Args:
        header: The data set.

    Returns:
        How its values are coded.

    Raises:
        Unreadable: For colour, and for codings that contradict themselves.
    """
    grey = element.word(header, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    if element.whole(header, "SamplesPerPixel") != 1 or not grey:
        raise Unreadable(expected="one grey sample per pixel", found="a colour image or none declared")
    return coding_of(header)


def finish(voxels: NDArray[np.float32], placed: Stack, header: Dataset, *, unit: str, file_bytes: int, steps: tuple[str, ...]) -> Volume:
    """Turn stacked slices to RAS+ and add the facts of their header.

    Args:
        voxels: (depth, rows, columns).
        placed: Where they lie.
        header: Of any slice.
        unit: Of the values.
        file_bytes: Of all files.
        steps: What was done to the values.

    Returns:
        The volume.
    """
    affine, spacing = placed.affine, (math.nan, math.nan, math.nan)
    turned: tuple[str, ...] = ()
    if np.isfinite(affine).all():
        voxels, affine, turned = orient(voxels.transpose(2, 1, 0), affine)
        spacing = spacing_of(affine)
    depth, height, width = voxels.shape
    facts = Facts(
        file_format="dicom",
        color_mode=element.word(header, "PhotometricInterpretation"),
        height=height,
        width=width,
        bits=element.whole(header, "BitsStored"),
        file_bytes=file_bytes,
        spacing_mm=math.sqrt(spacing[1] * spacing[2]),
        modality=element.word(header, "Modality"),
        sex=element.sex(header),
        age_years=element.age(header),
        device=element.device(header),
        depth=depth,
        slice_mm=spacing[0],
        steps=(*placed.steps, *steps, *turned),
    )
    return Volume(voxels, affine, spacing, unit, facts)
