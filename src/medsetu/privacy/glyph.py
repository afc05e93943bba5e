# SPDX-License-Identifier: Apache-2.0
"""Strokes of the size of letters, and rows of them: what a line of burned-in text is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

STEPS: Final = (0.08, 0.16, 0.3, 0.5)
"""Contrasts between a stroke and its surroundings at which letters are looked for, of the grey range."""

_STROKE: Final = 9  # pixels: wider structures are no strokes
_LOWEST, _HIGHEST = 5, 30  # pixels: height of a letter at one level of the pyramid
_MOST: Final = 6000  # structures of one level: more of them are noise
_GAP, _OVERLAP = 1.5, 0.35  # heights between neighbours of a row
_ALIKE: Final = 0.55  # smallest ratio of neighbours' heights
_ON_LINE: Final = 0.25  # heights between the feet of neighbours
_FEWEST: Final = 3

_Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Glyphs:
    """Structures of the size of letters, one row each.

    Attributes:
        box: (N, 4) top, bottom, left, right, pixels; bottom and right are exclusive.
        area: (N,) pixels.
        stroke: (N,) largest distance to the border, pixels.
        contrast: (N,) mean difference from the surroundings.
        edge: (N,) mean gradient along the border, per pixel.
    """

    box: NDArray[np.int64]
    area: NDArray[np.int64]
    stroke: NDArray[np.float64]
    contrast: NDArray[np.float64]
    edge: NDArray[np.float64]

    def pick(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Glyphs":
        """Take some of them."""
        return Glyphs(self.box[which], self.area[which], self.stroke[which], self.contrast[which], self.edge[which])

    def __len__(self) -> int:
        return len(self.area)


def find_glyphs(grey: _Grey) -> Iterator[Glyphs]:
    """Find bright structures of the size of letters at every contrast of ``STEPS``.

    Args:
        grey: (H, W) in [0, 1]; invert it for dark letters.

    Yields:
        The structures at one contrast, where there are at least three.
    """
    raised = grey - ndimage.grey_opening(grey, size=(_STROKE, _STROKE))
    slope = ndimage.gaussian_gradient_magnitude(grey, 0.7)
    for step in STEPS:
        mask = raised > step
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        found = _measure(mask, labels, count, raised, slope)
        if found is not None:
            yield found


def _measure(mask: NDArray[np.bool_], labels: NDArray[np.signedinteger], count: int, raised: _Grey, slope: _Grey) -> Glyphs | None:
    slices = ndimage.find_objects(labels)
    box = np.array([(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in slices], np.int64).reshape(-1, 4)
    height, width = box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    sized = (height >= _LOWEST) & (height <= _HIGHEST) & (width <= 3 * height) & (area >= _LOWEST) & (area > 0.15 * height * width)
    chosen = np.flatnonzero(sized)
    if not _FEWEST <= len(chosen) <= _MOST:
        return None
    depth = ndimage.distance_transform_cdt(mask, "chessboard")
    border = mask & (depth == 1)
    names = chosen + 1
    rim = np.bincount(labels[border], minlength=count + 1)[names]
    edge = np.bincount(labels[border], weights=slope[border], minlength=count + 1)[names] / np.maximum(rim, 1)
    contrast = np.bincount(labels[mask], weights=raised[mask], minlength=count + 1)[names] / area[chosen]
    stroke = np.asarray(ndimage.maximum(depth, labels, names), np.float64)
    return Glyphs(box[chosen], area[chosen], stroke, contrast, edge)


def find_rows(glyphs: Glyphs) -> list[Glyphs]:
    """Join neighbours of like height and contrast that stand on a line or hang from one.

    Args:
        glyphs: Structures of one picture.

    Returns:
        Rows of at least three.
    """
    glyphs = glyphs.pick(np.argsort(glyphs.box[:, 2], kind="stable"))
    top, bottom, left, right = glyphs.box.T
    height = bottom - top
    reach = np.searchsorted(left, right + _GAP * height + 1, side="right")
    followers = np.maximum(reach - np.arange(len(left)) - 1, 0)
    first = np.repeat(np.arange(len(left)), followers)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(followers) - followers, followers)
    tall, small = np.maximum(height[first], height[second]), np.minimum(height[first], height[second])
    gap = left[second] - right[first]
    strong = np.maximum(glyphs.contrast[first], glyphs.contrast[second])
    joined = (
        (gap < _GAP * tall)
        & (gap > -_OVERLAP * tall)
        & (small >= _ALIKE * tall)
        & ((np.abs(bottom[first] - bottom[second]) < _ON_LINE * tall) | (np.abs(top[first] - top[second]) < 0.8 * _ON_LINE * tall))
        & (np.abs(glyphs.contrast[first] - glyphs.contrast[second]) < 0.5 * strong)
    )
    graph = coo_matrix((np.ones(int(joined.sum())), (first[joined], second[joined])), shape=(len(left), len(left)))
    count, row = connected_components(graph, directed=False)
    sizes = np.bincount(row, minlength=count)
    return [glyphs.pick(row == number) for number in np.flatnonzero(sizes >= _FEWEST)]


def describe_row(row: Glyphs) -> dict[str, float]:
    """Measure a row of structures.

    Args:
        row: At least three of them.

    Returns:
        ``count``; ``height``, pixels; ``uneven``, deviation of heights, and ``feet``, of the lower edges, both in heights;
        ``tall``, height of the whole row in heights; ``contrast``; ``contrast_cv`` and ``stroke_cv``, their relative spread;
        ``sharp``, gradient at the border in contrasts per pixel; ``fill`` of the boxes; ``pitch``, width per structure in heights.
    """
    top, bottom, left, right = row.box.T
    heights = bottom - top
    height = float(np.median(heights))
    mean = float(row.contrast.mean())
    return {
        "count": float(len(row)),
        "height": height,
        "uneven": float(np.median(np.abs(heights - height))) / height,
        "feet": float(np.median(np.abs(bottom - np.median(bottom)))) / height,
        "tall": float(bottom.max() - top.min()) / height,
        "contrast": mean,
        "contrast_cv": float(row.contrast.std()) / mean,
        "stroke_cv": float(row.stroke.std() / row.stroke.mean()),
        "sharp": float(row.edge.mean()) / mean,
        "fill": float(row.area.mean() / np.mean(heights * (right - left))),
        "pitch": float(right.max() - left.min()) / height / len(row),
    }
