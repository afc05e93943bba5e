# SPDX-License-Identifier: Apache-2.0
"""COCO JSON (cocodataset.org/#format-data): boxes, polygons, run lengths; joined by id, named by category."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.annotation import Drawing, Shape, box_of, edges_of, parse_json
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import check_size
from medsetu.reader.rle import decode_counts, decode_text


@guarded("COCO")
def read_coco(data: bytes, *, sample_id: str = "") -> dict[str, Drawing]:
    """Read all drawings of a file.

    A box of COCO is a corner with width and height in pixels from 0, which are edges already. Categories are found by their id, never by
    their place in the list.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        Drawing by file name; images without annotation have an empty one. Shapes whose annotation has a segmentation have a mask.

    Raises:
        DataError: For broken JSON, ids that are used twice or point nowhere, and boxes or run lengths that contradict their image.
    """
    del sample_id  # used by the guard
    content = parse_json(data)
    kinds = _by_id(content["categories"], "categories")
    images = _by_id(content["images"], "images")
    shapes: dict[int, list[Shape]] = {number: [] for number in images}
    for item in content["annotations"]:
        if item["image_id"] not in images or item["category_id"] not in kinds:
            raise Unreadable(expected="annotations of listed images and categories", found="one that points nowhere")
        image = images[item["image_id"]]
        shapes[item["image_id"]].append(_shape(item, str(kinds[item["category_id"]]["name"]), _size(image)))
    drawings = {str(image["file_name"]): Drawing(*_size(image), tuple(shapes[number])) for number, image in images.items()}
    if len(drawings) < len(images):
        raise Unreadable(expected="one entry per file name", found="one twice")
    return drawings


def _by_id(items: list[Mapping[str, Any]], what: str) -> dict[int, Mapping[str, Any]]:
    found = {item["id"]: item for item in items}
    if len(found) < len(items):
        raise Unreadable(expected=f"each id once in {what}", found="one twice")
    return found


def _size(image: Mapping[str, Any]) -> tuple[int, int]:
    height, width = int(image["height"]), int(image["width"])
    check_size(height, width)
    return height, width


def _shape(item: Mapping[str, Any], finding: str, size: tuple[int, int]) -> Shape:
    drawn = item.get("segmentation")
    mask = _mask(drawn, *size) if drawn else None
    if "bbox" not in item and mask is None:
        raise Unreadable(expected="a box or a segmentation", found="neither")
    box = edges_of([float(number) for number in item["bbox"]], form="corner") if "bbox" in item else None
    return Shape(finding, box_of(mask) if box is None and mask is not None else box or (0.0, 0.0, 0.0, 0.0), mask)


def _mask(drawn: Any, height: int, width: int) -> NDArray[np.bool_]:  # noqa: ANN401 - JSON
    if isinstance(drawn, list):
        return fill(drawn, height=height, width=width)
    if tuple(drawn["size"]) != (height, width):
        raise Unreadable(expected="run lengths of the size of their image", found="another size")
    counts = drawn["counts"]
    return decode_text(counts, height=height, width=width) if isinstance(counts, str) else decode_counts(counts, height=height, width=width)


def fill(polygons: list[list[float]], *, height: int, width: int) -> NDArray[np.bool_]:
    """Fill polygons given as x, y, x, y, ... in edges of pixels; several are one shape.

    Args:
        polygons: At least three points each.
        height: Rows of the image.
        width: Columns of it.

    Returns:
        (H, W) bool: pixels whose centre lies inside.

    Raises:
        Unreadable: For fewer than three points.

    Example:
        >>> int(fill([[1, 1, 3, 1, 3, 4, 1, 4]], height=5, width=5).sum())
        6
    """
    filled = np.zeros((height, width), dtype=bool)
    for points in polygons:
        if len(points) < 6 or len(points) % 2:
            raise Unreadable(expected="three points or more of a polygon", found=f"{len(points)} numbers")
        corners = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        if not np.isfinite(corners).all():
            raise Unreadable(expected="finite points", found="others")
        filled |= _inside(corners, height, width)
    return filled


def _inside(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Centres of pixels inside one polygon, by the even-odd rule: a side changes what lies to the right of it."""
    odd = np.zeros((height, width + 1), dtype=bool)
    for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, last = (int(np.ceil(np.clip(value, 0, height + 1) - 0.5)) for value in sorted((y, next_y)))
        rows = np.arange(max(first, 0), min(last, height))
        if len(rows):
            crossing = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            odd[rows, np.floor(np.clip(crossing, 0, width) + 0.5).astype(np.intp)] ^= True
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(odd[:, :width], axis=1)
    return inside
