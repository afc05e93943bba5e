# SPDX-License-Identifier: Apache-2.0
"""What a release says was drawn on its images: one row per drawing, boxes as numbers, masks named and not opened."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pandas as pd

from medsetu.reader.annotation import bare_edges
from medsetu.reader.drawn import BOX, CIRCLE, MASK, POLYGON, RUNS, SHARE
from medsetu.reader.frame import Edges

DRAWN_COLUMNS: Final = {
    "sample_id": "str",
    "finding": "str",  # finding column that it speaks for, or the name of a structure such as left_lung
    "reader": "str",  # as the release names them; "" when it does not say
    "kind": "str",  # one of medsetu.reader.drawn.KINDS
    "x_min": "float64",  # edges of pixels, shares of the image for kind share; NaN where the content says it
    "y_min": "float64",
    "x_max": "float64",
    "y_max": "float64",
    "content": "str",  # run lengths, points, or the path of a mask below the root
    "height": "float64",  # of the image that was drawn on; NaN where the release does not say
    "width": "float64",
}
_EDGES = ("x_min", "y_min", "x_max", "y_max")
_TEXT = pd.StringDtype(na_value=math.nan)
_SILENT = (math.nan, math.nan)

Row = Mapping[str, object]


def no_drawings() -> pd.DataFrame:
    """An empty table of drawings.

    Example:
        >>> no_drawings().columns[:4].tolist()
        ['sample_id', 'finding', 'reader', 'kind']
    """
    return pd.DataFrame({name: pd.Series(dtype=_TEXT if kind == "str" else kind) for name, kind in DRAWN_COLUMNS.items()})


def drawn_box(
    path: str, finding: str, numbers: Sequence[object], *, form: str = "edges", reader: str = "", size: tuple[float, float] = _SILENT
) -> Row:
    """Write down a box as the release has it, right or wrong; whether it lies on its image is looked at when the image is known.

    Args:
        path: Image below the root.
        finding: What is in it.
        numbers: Four; cells that are no numbers become NaN.
        form: How they are a box, one of ``reader.annotation.FORMS``.
        reader: Who drew it.
        size: Height and width of the image that was drawn on, where the release says.

    Returns:
        A row for ``complete_drawings``.

    Example:
        >>> drawn_box("a.png", "mass", ["1", "2", "3", "4"], form="corner")["x_max"]
        4.0
    """
    return _row(path, finding, BOX, box=bare_edges([_number(number) for number in numbers], form=form), reader=reader, size=size)


def drawn_share(path: str, finding: str, box: Edges) -> Row:
    """Write down a box whose edges are shares of the image."""
    return _row(path, finding, SHARE, box=box)


def drawn_circle(path: str, finding: str, *, x: float, y: float, radius: float, size: tuple[float, float] = _SILENT) -> Row:
    """Write down a circle about x (pixels from the left) and y (pixels from the top)."""
    return _row(path, finding, CIRCLE, box=(x - radius, y - radius, x + radius, y + radius), size=size)


def drawn_mask(path: str, finding: str, file: str) -> Row:
    """Write down that a file, or one of the files in a folder, holds a mask."""
    return _row(path, finding, MASK, content=file)


def drawn_runs(path: str, finding: str, runs: str) -> Row:
    """Write down run lengths as SIIM has them."""
    return _row(path, finding, RUNS, content=runs)


def drawn_polygon(path: str, finding: str, points: Sequence[tuple[float, float]]) -> Row:
    """Write down a closed line through points (x, y) in edges of pixels; of one or two points the pixels that hold them."""
    if len(points) > 2:
        return _row(path, finding, POLYGON, content=" ".join(f"{value:g}" for point in points for value in point))
    x, y = ([math.floor(point[place]) for point in points] for place in (0, 1))
    return _row(path, finding, BOX, box=(min(x), min(y), max(x) + 1, max(y) + 1))


def drawn_twice(row: Row, finding: str) -> Row:
    """The same drawing, speaking for another finding as well."""
    return {**row, "finding": finding}


def complete_drawings(rows: Iterable[Row], paths: "pd.Series[str]", *, release: str) -> tuple[pd.DataFrame, int]:
    """Join drawings and samples.

    Args:
        rows: What the functions above give.
        paths: Paths of the samples.
        release: Name of the release.

    Returns:
        A table with ``DRAWN_COLUMNS``, sorted by sample, finding and reader; and how many drawings are on no sample.

    Example:
        >>> rows = [drawn_mask("a.png", "mass", "a_mask.png"), drawn_mask("gone.png", "mass", "gone_mask.png")]
        >>> table, strangers = complete_drawings(rows, pd.Series(["a.png"]), release="demo")
        >>> table["sample_id"].tolist(), strangers
        (['demo/a.png'], 1)
    """
    found = pd.DataFrame([*rows], columns=["path", *list(DRAWN_COLUMNS)[1:]])
    kept = found[found["path"].isin(paths)]
    if kept.empty:
        return no_drawings(), len(found)
    table = kept.assign(sample_id=release + "/" + kept["path"].astype(_TEXT))[list(DRAWN_COLUMNS)]
    table = table.astype({name: _TEXT if kind == "str" else kind for name, kind in DRAWN_COLUMNS.items()})
    return table.sort_values(["sample_id", "finding", "reader"], ignore_index=True, kind="stable"), len(found) - len(kept)


def _row(
    path: str,
    finding: str,
    kind: str,
    *,
    box: Edges = (math.nan, math.nan, math.nan, math.nan),
    content: str = "",
    reader: str = "",
    size: tuple[float, float] = _SILENT,
) -> Row:
    told: dict[str, object] = {"path": path, "finding": finding, "reader": reader, "kind": kind, "content": content}
    return told | dict(zip(_EDGES, box, strict=True)) | {"height": size[0], "width": size[1]}


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan
