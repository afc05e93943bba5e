# SPDX-License-Identifier: Apache-2.0
"""A drawing as a release keeps it, turned into edges or pixels of the image it was drawn on only when somebody asks."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.annotation import box_of, circle
from medsetu.reader.coco import fill
from medsetu.reader.dicom import read_dicom
from medsetu.reader.frame import Edges, Frame
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.mask import read_codes
from medsetu.reader.rle import decode_pairs

BOX, SHARE, CIRCLE, POLYGON, RUNS, MASK = "box", "share", "circle", "polygon", "runs", "mask"
KINDS: Final = (BOX, SHARE, CIRCLE, POLYGON, RUNS, MASK)
"""How a release keeps a drawing: edges in pixels; edges as shares of the image; box around a circle; points; SIIM's run lengths; a file."""

NO_AREA, OUTSIDE, OTHER_SIZE, EMPTY = "no area", "outside the image", "drawn on an image of another shape", "an empty mask"
CUT, SCALED, AS_DRAWN = "cut at the border of the image", "scaled to a reduced copy", ""
_SHAPE = 0.01  # largest relative difference of two aspects that are one shape


@dataclass(frozen=True)
class Drawn:
    """One drawing, not opened yet.

    Attributes:
        kind: One of ``KINDS``.
        box: Edges (x_min, y_min, x_max, y_max), in pixels of the image that was drawn on; of ``share`` in shares of it; NaN where the
            content says it.
        content: Of ``polygon`` x, y, x, y, ... with blanks between; of ``runs`` the run lengths; of ``mask`` a file, or a folder in which
            one file has the size of the image, below the root of the release.
        height: Rows of the image that was drawn on; NaN where the release does not say.
        width: Columns of it.
    """

    kind: str
    box: Edges = (math.nan, math.nan, math.nan, math.nan)
    content: str = ""
    height: float = math.nan
    width: float = math.nan


@guarded("drawing")
def place(drawn: Drawn, *, root: Path, height: int, width: int, sample_id: str = "") -> tuple[Edges, NDArray[np.bool_] | None, str]:
    """Find a drawing on an image.

    Args:
        drawn: The drawing.
        root: Folder of the release.
        height: Rows of the image as decoded.
        width: Columns of it.
        sample_id: Named in errors.

    Returns:
        Edges in pixels of the image, its (height, width) mask where it is no box, and what was done to it: ``CUT`` where it reached over
        the border, ``SCALED`` where the image is a copy of the one that was drawn on, of another size and the same shape, or nothing.

    Raises:
        DataError: For a drawing without area, outside the image, on an image of another shape, or in a file that cannot be read.
    """
    if drawn.kind not in KINDS:
        raise Unreadable(expected=f"a drawing of the kinds {', '.join(KINDS)}", found="another")
    rows, columns = (height, width) if math.isnan(drawn.height) else (int(drawn.height), int(drawn.width))
    if abs(math.log((rows / columns) / (height / width))) > _SHAPE:
        raise Unreadable(expected="the image that was drawn on", found=OTHER_SIZE)
    frame = Frame(rows, columns).resized(height, width)
    done = AS_DRAWN if (rows, columns) == (height, width) else SCALED
    mask = _mask(drawn, root=root, height=rows, width=columns, sample_id=sample_id)
    if mask is not None:
        mask = mask if done == AS_DRAWN else frame.mask(mask).astype(bool)
        if not mask.any():
            raise Unreadable(expected="something drawn", found=EMPTY)
    x_min, y_min, x_max, y_max = _edges(drawn, rows, columns)
    if mask is not None and drawn.kind != CIRCLE:
        return box_of(mask), mask, done
    if not (math.isfinite(x_min + y_min + x_max + y_max) and x_min < x_max and y_min < y_max):
        raise Unreadable(expected="a box", found=NO_AREA)
    seen = frame.box((x_min, y_min, x_max, y_max))
    if seen is None:
        raise Unreadable(expected="a box on the image", found=OUTSIDE)
    cut = x_min < 0 or y_min < 0 or x_max > columns or y_max > rows
    return seen, mask, CUT if cut else done


def _edges(drawn: Drawn, rows: int, columns: int) -> Edges:
    x_min, y_min, x_max, y_max = drawn.box
    return (x_min * columns, y_min * rows, x_max * columns, y_max * rows) if drawn.kind == SHARE else drawn.box


def _mask(drawn: Drawn, *, root: Path, height: int, width: int, sample_id: str) -> NDArray[np.bool_] | None:
    if drawn.kind == RUNS:
        return decode_pairs(drawn.content, height=height, width=width, relative=True)
    if drawn.kind == POLYGON:
        return fill([[float(number) for number in drawn.content.split()]], height=height, width=width)
    if drawn.kind == CIRCLE:
        x_min, y_min, x_max, y_max = drawn.box
        return circle((x_min + x_max) / 2, (y_min + y_max) / 2, (x_max - x_min) / 2, height=height, width=width)[1]
    if drawn.kind == MASK:
        return _stored(root / drawn.content, height=height, width=width, sample_id=sample_id)
    return None


def _stored(path: Path, *, height: int, width: int, sample_id: str) -> NDArray[np.bool_]:
    """The mask in a file; of a folder the file that has the size of the image, for crops lie beside masks under exchanged names."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")) if path.is_dir() else [path]
    masks = [_read(file, sample_id) for file in files]
    found = [mask for mask in masks if mask is not None and mask.shape == (height, width)]
    if len(found) != 1:
        raise Unreadable(expected="one mask of the size of the image", found=OTHER_SIZE if not found else "several")
    return found[0]


def _read(path: Path, sample_id: str) -> NDArray[np.bool_] | None:
    """Pixels that are not 0; None of a DICOM file with more than two values, which is a crop of the film and no mask."""
    data = path.read_bytes()
    if path.suffix.lower() != ".dcm":
        return np.asarray(read_codes(data, sample_id=sample_id) != 0)
    pixels = read_dicom(data, sample_id=sample_id).pixels
    return None if len(np.unique(pixels)) > 2 else np.asarray(pixels > pixels.min())
