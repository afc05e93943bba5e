# SPDX-License-Identifier: Apache-2.0
"""Text burned into pixels: rows of strokes that look printed. Side markers of one to three letters are no finding and survive.

The limits below were set on phantom text and on real films whose alarms were looked at one by one; docs/privacy.md has the recall and
the false alarms that were measured. A detector that misses nothing does not exist: images that often have text are gated by their header.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medsetu.privacy.glyph import describe_row, find_glyphs, find_rows

LEVELS: Final = 3  # full, half and quarter size: letters of 5 to 120 pixels
TILE: Final = 4096  # pixels: larger pictures are looked at in parts, whose memory is bounded
_SHARED: Final = 256  # pixels that neighbouring parts share: more than four of the largest letters of a level
_SMALLEST: Final = 48  # pixels
_MARGIN: Final = 0.35  # heights around a row
_SHARPEST, _WIDEST, _TALLEST = 0.13, 2.0, 2.2  # contrast per pixel at a border; heights per letter; heights of a row


@dataclass(frozen=True)
class Box:
    """Where a line of text stands, pixels; bottom and right are exclusive.

    Attributes:
        top: First row.
        bottom: Row behind the last.
        left: First column.
        right: Column behind the last.
        letters: Structures in the row.
    """

    top: int
    bottom: int
    left: int
    right: int
    letters: int


def find_text(pixels: NDArray[np.float32]) -> list[Box]:
    """Find lines of burned-in text, bright or dark, of at least four letters.

    Args:
        pixels: (H, W) in [0, 1].

    Returns:
        Boxes with a margin around the letters, those that touch joined; in reading order.

    Raises:
        ValueError: The picture is not two-dimensional.

    Example:
        >>> find_text(np.zeros((64, 64), np.float32))
        []
    """
    if pixels.ndim != 2:
        msg = "a picture has rows and columns"
        raise ValueError(msg)
    boxes: list[Box] = []
    grey = np.asarray(pixels, np.float32)
    for level in range(LEVELS):
        if min(grey.shape) < _SMALLEST:
            break
        for at, part in _parts(grey):
            for side in (part, 1 - part):
                boxes += _lines(side, at=at, scale=2**level, shape=pixels.shape)
        grey = _halve(grey)
    return _joined(boxes)


def _parts(grey: NDArray[np.float32]) -> Iterator[tuple[tuple[int, int], NDArray[np.float32]]]:
    """First row and column of each part, and the part; a picture of at most ``TILE`` each way is one."""
    starts = [range(0, max(1, length - _SHARED), TILE - _SHARED) for length in grey.shape]
    for top in starts[0]:
        for left in starts[1]:
            yield (top, left), grey[top : top + TILE, left : left + TILE]


def _lines(grey: NDArray[np.float32], *, at: tuple[int, int], scale: int, shape: tuple[int, ...]) -> list[Box]:
    boxes = []
    for glyphs in find_glyphs(grey):
        for row in find_rows(glyphs):
            facts = describe_row(row)
            if not _is_printed(facts):
                continue
            margin = round(_MARGIN * facts["height"]) + 1
            top, bottom, left, right = (
                int(row.box[:, 0].min()) + at[0] - margin,
                int(row.box[:, 1].max()) + at[0] + margin,
                int(row.box[:, 2].min()) + at[1] - margin,
                int(row.box[:, 3].max()) + at[1] + margin,
            )
            boxes.append(
                Box(
                    max(top * scale, 0),
                    min(bottom * scale, shape[0]),
                    max(left * scale, 0),
                    min(right * scale, shape[1]),
                    len(row),
                )
            )
    return boxes


def _is_printed(facts: dict[str, float]) -> bool:
    """Whether a row looks printed: five letters of like height, contrast and footing; four have to be more alike."""
    if facts["sharp"] < _SHARPEST or facts["pitch"] > _WIDEST or facts["tall"] > _TALLEST:
        return False
    long = facts["count"] >= 5 and facts["uneven"] <= 0.33 and facts["feet"] <= 0.15
    short = facts["count"] >= 4 and facts["uneven"] <= 0.25 and facts["feet"] <= 0.08 and facts["tall"] <= 1.6 and facts["pitch"] <= 1.4
    return (long and facts["contrast_cv"] <= 0.25 and facts["contrast"] >= 0.16) or (
        short and facts["contrast_cv"] <= 0.2 and facts["contrast"] >= 0.25
    )


def _halve(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (length // 2 * 2 for length in grey.shape)
    halved: NDArray[np.float32] = grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3), dtype=np.float32)
    return halved


def _joined(boxes: list[Box]) -> list[Box]:
    """Join boxes that touch."""
    open_boxes, done = list(boxes), list[Box]()
    while open_boxes:
        box = open_boxes.pop()
        touching = [other for other in open_boxes if _touch(box, other)]
        if not touching:
            done.append(box)
            continue
        open_boxes = [other for other in open_boxes if not _touch(box, other)]
        every = [box, *touching]
        open_boxes.append(
            Box(
                min(one.top for one in every),
                max(one.bottom for one in every),
                min(one.left for one in every),
                max(one.right for one in every),
                max(one.letters for one in every),
            )
        )
    return sorted(done, key=lambda box: (box.top, box.left))


def _touch(one: Box, other: Box) -> bool:
    return one.top < other.bottom and other.top < one.bottom and one.left < other.right and other.left < one.right
