# SPDX-License-Identifier: Apache-2.0
"""Contours in property lists as OsiriX exports them: ``Images``, each with ``ROIs`` of a ``Name`` and points ``(x, y)`` in ``Point_px``."""

import math
import plistlib
from xml.parsers import expat

from medsetu.reader.guard import Unreadable, guarded

MAX_BYTES = 1 << 26
Points = list[tuple[float, float]]


@guarded("contour")
def read_contours(data: bytes, *, sample_id: str = "") -> list[tuple[str, Points]]:
    """Read the contours of one film; declared entities are refused by the parser.

    Args:
        data: The file, a property list in XML.
        sample_id: Named in errors.

    Returns:
        Name and points of each contour, x from the left and y from the top in pixels; contours without a point are left out.

    Raises:
        DataError: For broken XML, other lists, and points that are no two finite numbers.
    """
    del sample_id  # used by the guard
    if len(data) > MAX_BYTES:
        raise Unreadable(expected=f"at most {MAX_BYTES} bytes of contours", found=f"{len(data)}")
    try:
        content = plistlib.loads(data, fmt=plistlib.FMT_XML)
    except expat.ExpatError:
        content = None
    if content is None:
        raise Unreadable(expected="a property list in XML", found="something else")
    listed = [region for image in content["Images"] for region in image["ROIs"]]
    found = [(str(region["Name"]), [_point(str(text)) for text in region["Point_px"]]) for region in listed]
    return [(name, points) for name, points in found if points]


def _point(text: str) -> tuple[float, float]:
    x, y = (float(word) for word in text.strip().strip("()").split(","))
    if not math.isfinite(x + y):
        raise Unreadable(expected="finite points", found="others")
    return x, y
