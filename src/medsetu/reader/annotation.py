# SPDX-License-Identifier: Apache-2.0
"""What somebody drew on an image: boxes, circles and masks with a finding and a reader, whatever the file they came in.

Boxes are edges of pixels, see ``reader.frame``. Every reader of annotations turns its own convention into this one.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.frame import Edges, Frame
from medsetu.reader.guard import Unreadable, guarded

FORMS: Final = ("edges", "corner", "centre", "voc")
"""How four numbers are a box: edges; corner with width and height; centre with width and height; first and last pixel from 1 (VOC)."""

MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Shape:
    """One thing drawn on one image.

    Attributes:
        finding: Its name, as the file writes it.
        box: Edges of the smallest box around it.
        mask: (H, W) bool of the whole image, or None where only a box was drawn.
        reader: Who drew it; empty when the file does not say.
    """

    finding: str
    box: Edges
    mask: NDArray[np.bool_] | None = None
    reader: str = ""


@dataclass(frozen=True)
class Drawing:
    """All that is drawn on one image.

    Attributes:
        height: Rows of the image that was drawn on.
        width: Columns of it.
        shapes: In the order of the file.
    """

    height: int
    width: int
    shapes: tuple[Shape, ...] = ()

    def through(self, frame: Frame) -> "Drawing":
        """Carry everything into a picture of the image; shapes of which nothing is seen are left out.

        Args:
            frame: The picture, made from ``Frame(height, width)``.

        Returns:
            The drawing on the picture.
        """
        carried = []
        for shape in self.shapes:
            box = frame.box(shape.box)
            mask = None if shape.mask is None else frame.mask(shape.mask).astype(bool)
            if box is not None and (mask is None or mask.any()):
                carried.append(replace(shape, box=box, mask=mask))
        return Drawing(frame.height, frame.width, tuple(carried))


def edges_of(numbers: Sequence[float], *, form: str, height: int = 1, width: int = 1, relative: bool = False) -> Edges:
    """Turn four numbers into edges of pixels.

    Args:
        numbers: As the file has them.
        form: One of ``FORMS``.
        height: Rows of the image, where the numbers are shares of it.
        width: Columns of it.
        relative: Whether the numbers are shares of the image.

    Returns:
        x_min, y_min, x_max, y_max.

    Raises:
        Unreadable: For numbers that are no finite box.

    Example:
        >>> edges_of([2, 3, 4, 6], form="corner"), edges_of([1, 1, 10, 20], form="voc")
        ((2.0, 3.0, 6.0, 9.0), (0.0, 0.0, 10.0, 20.0))
        >>> edges_of([0.5, 0.5, 0.2, 0.5], form="centre", height=100, width=10, relative=True)
        (4.0, 25.0, 6.0, 75.0)
    """
    if form not in FORMS or len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise Unreadable(expected=f"four finite numbers in the form {', '.join(FORMS)}", found="others")
    sides = [width, height, width, height] if relative else [1, 1, 1, 1]
    edges = bare_edges([float(number) * side for number, side in zip(numbers, sides, strict=True)], form=form)
    if not edges[0] < edges[2] or not edges[1] < edges[3]:
        raise Unreadable(expected="a box with an area", found="one without, or corners the wrong way round")
    return edges


def bare_edges(numbers: Sequence[float], *, form: str) -> Edges:
    """Turn four numbers into edges of pixels whatever they are, for a caller who looks at them later.

    Args:
        numbers: As the file has them; NaN stays NaN.
        form: One of ``FORMS``.

    Returns:
        x_min, y_min, x_max, y_max.

    Example:
        >>> bare_edges([3, 3, -1, 2], form="corner")
        (3, 3, 2, 5)
    """
    a, b, c, d = numbers
    return {
        "edges": (a, b, c, d),
        "corner": (a, b, a + c, b + d),
        "centre": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
        "voc": (a - 1, b - 1, c, d),
    }[form]


def box_of(mask: NDArray[np.bool_]) -> Edges:
    """Smallest box around a mask.

    Raises:
        Unreadable: When the mask is empty.

    Example:
        >>> box_of(np.array([[False, False], [False, True]]))
        (1.0, 1.0, 2.0, 2.0)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise Unreadable(expected="a mask that shows something", found="an empty one")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def circle(x: float, y: float, radius: float, *, height: int, width: int, from_bottom: bool = False) -> tuple[Edges, NDArray[np.bool_]]:
    """Draw a circle, such as the lesions of mini-MIAS, whose y counts from the bottom of the film.

    Args:
        x: Centre, pixels from the left.
        y: Centre, pixels from the top, or from the bottom.
        radius: Pixels, above 0.
        height: Rows of the image.
        width: Columns of it.
        from_bottom: Whether y counts from the bottom.

    Returns:
        Box around the circle, cut at the borders of the image, and its (H, W) mask.

    Raises:
        Unreadable: When nothing of the circle lies on the image.

    Example:
        >>> box, mask = circle(5, 2, 2, height=10, width=10, from_bottom=True)
        >>> box, int(mask.sum())
        ((3.0, 6.0, 7.0, 10.0), 12)
    """
    if not radius > 0 or not math.isfinite(x + y + radius):
        raise Unreadable(expected="a circle with a radius", found="another one")
    down = height - y if from_bottom else y
    rows, columns = np.ogrid[:height, :width]
    mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - down) ** 2 <= radius**2
    box = Frame(height, width).box((x - radius, down - radius, x + radius, down + radius))
    if box is None or not mask.any():
        raise Unreadable(expected="a circle on the image", found="one beside it")
    return box, mask


def draw(rows: Iterable[Mapping[str, str]], *, columns: Mapping[str, Any], form: str, finding: str = "") -> dict[str, list[Shape]]:
    """Read boxes from the rows of a table.

    Args:
        rows: Cells by column, such as ``reader.sheet.read_sheet`` gives them.
        columns: ``image`` to a column, ``box`` to four columns in the order of the form, and where there are such, ``finding`` and
            ``reader`` to a column each.
        form: One of ``FORMS``.
        finding: Name of the finding, where no column tells it.

    Returns:
        Shapes by image; an image whose four cells are all empty has none, so that films without finding stay in.

    Raises:
        Unreadable: For cells that are no numbers, and boxes without area.

    Example:
        >>> rows = [{"id": "a", "x": "1", "y": "2", "w": "3", "h": "4"}, {"id": "b", "x": "", "y": "", "w": "", "h": ""}]
        >>> found = draw(rows, columns={"image": "id", "box": ["x", "y", "w", "h"]}, form="corner", finding="opacity")
        >>> found["a"][0].box, found["b"]
        ((1.0, 2.0, 4.0, 6.0), [])
    """
    found: dict[str, list[Shape]] = {}
    for row in rows:
        shapes = found.setdefault(row[columns["image"]], [])
        cells = [row[name].strip() for name in columns["box"]]
        if not any(cells):
            continue
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = [math.nan]
        name = row[columns["finding"]] if "finding" in columns else finding
        shapes.append(Shape(name, edges_of(numbers, form=form), reader=row[columns["reader"]] if "reader" in columns else ""))
    return found


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - whatever the file holds
    """Parse JSON as the standard has it: no NaN, no infinity, no name twice.

    Args:
        data: The file, UTF-8 with or without byte order mark.

    Raises:
        Unreadable: For more than ``MAX_BYTES``, and what the standard forbids. Syntax errors pass through to the guard.

    Example:
        >>> parse_json(b'{"a": [1, 2]}')
        {'a': [1, 2]}
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(expected=f"at most {MAX_BYTES} bytes of JSON", found=f"{len(data)}")
    return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_once)


def _refuse_constant(name: str) -> float:
    raise Unreadable(expected="numbers in JSON", found=name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(expected="each name once in a JSON object", found="one twice")
    return found


@guarded("JSON of boxes")
def read_json(
    data: bytes, *, keys: Mapping[str, str], form: str, items: str = "", finding: str = "", sample_id: str = ""
) -> dict[str, list[Shape]]:
    """Read boxes from JSON of one's own: a list of objects, one per box.

    Args:
        data: The file.
        keys: ``image`` and ``box`` to a key each (the box a list of four numbers); where there are such, ``finding`` and ``reader``.
        form: One of ``FORMS``.
        items: Key of the list, where the file is an object; empty where it is the list itself.
        finding: Name of the finding, where no key tells it.
        sample_id: Named in errors.

    Returns:
        Shapes by image.

    Raises:
        DataError: For broken JSON, missing keys, and boxes without area.
    """
    del sample_id  # used by the guard
    content = parse_json(data)
    listed = content[items] if items else content
    if not isinstance(listed, list):
        raise Unreadable(expected="a list of boxes", found="something else")
    found: dict[str, list[Shape]] = {}
    for item in listed:
        name = str(item[keys["finding"]]) if "finding" in keys else finding
        reader = str(item[keys["reader"]]) if "reader" in keys else ""
        numbers = [float(number) for number in item[keys["box"]]]
        found.setdefault(str(item[keys["image"]]), []).append(Shape(name, edges_of(numbers, form=form), reader=reader))
    return found
