# SPDX-License-Identifier: Apache-2.0
"""From the drawings of several readers to one region of a film, pixel by pixel, and how far their drawings cover each other.

Boxes and masks are treated alike: a box is the mask of its pixels. Films are compared on a grid whose longer side has at most ``GRID``
points, each of which takes the value under its centre.
"""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError
from medsetu.core.vote import ANY, MAJORITY, UNANIMOUS
from medsetu.manifest.consensus import staple
from medsetu.reader.frame import Edges, Frame

STAPLE: Final = "staple"
REGION_RULES: Final = (MAJORITY, STAPLE, ANY, UNANIMOUS)
GRID: Final = 512
NAN: Final = float("nan")

Mask = NDArray[np.bool_]


def check_rule(rule: str) -> str:
    """Refuse an unknown rule.

    Raises:
        ConfigError: The rule is none of ``REGION_RULES``.

    Example:
        >>> check_rule("staple")
        'staple'
    """
    if rule not in REGION_RULES:
        raise ConfigError(what=f"Drawings do not become one by '{rule}'", where="Key manifest.drawing", value=rule, allowed=REGION_RULES)
    return rule


def grid_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the grid of a film.

    Example:
        >>> grid_shape(2048, 1024), grid_shape(64, 80)
        ((512, 256), (64, 80))
    """
    ratio = min(1.0, GRID / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def box_mask(box: Edges, *, height: int, width: int) -> Mask:
    """Fill a box: pixels whose centre lies inside, and at least the one under the middle of the box.

    Args:
        box: x_min, y_min, x_max, y_max on the grid.
        height: Rows of the grid.
        width: Columns of it.

    Returns:
        (height, width) bool.

    Example:
        >>> box_mask((0.2, 1.0, 2.0, 2.0), height=2, width=3).astype(int).tolist()
        [[0, 0, 0], [1, 1, 0]]
    """
    mask = np.zeros((height, width), dtype=bool)
    rows, columns = _within(box[1], box[3], height), _within(box[0], box[2], width)
    mask[rows, columns] = True
    return mask


def _within(low: float, high: float, length: int) -> slice:
    first, last = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    if last <= first:
        first = min(int((low + high) / 2), length - 1)
        last = first + 1
    return slice(max(first, 0), min(last, length))


def on_grid(box: Edges, mask: Mask | None, *, height: int, width: int) -> Mask:
    """Carry one drawing to the grid of its film.

    Args:
        box: Edges in pixels of the film.
        mask: (height, width) where there is one.
        height: Rows of the film.
        width: Columns of it.

    Returns:
        (rows, columns) of ``grid_shape``, bool; never empty.
    """
    rows, columns = grid_shape(height, width)
    frame = Frame(height, width).resized(rows, columns)
    small = None if mask is None else np.asarray(frame.mask(mask), dtype=bool)
    if small is not None and small.any():
        return small
    return box_mask(frame.box(box) or (0.0, 0.0, 1.0, 1.0), height=rows, width=columns)


def fuse_masks(masks: Sequence[Mask], *, rule: str) -> Mask:
    """Make one region of what several readers drew of one finding; who read the film and drew nothing counts with an empty mask.

    Args:
        masks: One per reader, all shapes alike.
        rule: ``majority`` (more than half of the readers, pixel by pixel), ``staple`` (Warfield, Zou and Wells, IEEE TMI 2004, 23:903:
            probability of at least one half, over the whole film), ``any-positive`` or ``unanimous``. A single reader is believed.

    Returns:
        The region; it may be empty where readers drew apart.

    Raises:
        ConfigError: The rule is unknown.

    Example:
        >>> rows = [np.array([[c == "1" for c in row]]) for row in ("11110000", "11100000", "11111000")]
        >>> [int(fuse_masks(rows, rule=rule).sum()) for rule in REGION_RULES]
        [4, 4, 5, 3]
    """
    check_rule(rule)
    drawn = np.stack(masks)
    if len(drawn) == 1 or rule == ANY:
        return np.asarray(drawn.any(axis=0))
    if rule == STAPLE:
        return np.asarray(staple(drawn).probability >= 0.5)
    return np.asarray(drawn.mean(axis=0) > 0.5 if rule == MAJORITY else drawn.all(axis=0))


def overlap(masks: Sequence[Mask]) -> tuple[float, float, float]:
    """How far the drawings of readers cover each other, as the mean over pairs of readers.

    Args:
        masks: One per reader who read the film, all shapes alike; empty where nothing was drawn.

    Returns:
        Intersection over union, and Dice's coefficient, of the pairs who both drew; and Dice's coefficient of all pairs of whom at least
        one drew, 0 where the other did not. NaN where there is no such pair.

    Example:
        >>> one, other = np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool)
        >>> [round(value, 3) for value in overlap([one, other, np.zeros((1, 3), bool)])]
        [0.333, 0.5, 0.167]
    """
    both, either = [], []
    for one, other in itertools.combinations(masks, 2):
        area, shared = int(one.sum()) + int(other.sum()), int((one & other).sum())
        if not area:
            continue
        either.append(2 * shared / area)
        if one.any() and other.any():
            both.append((shared / (area - shared), 2 * shared / area))
    iou, dice = np.mean(both, axis=0).tolist() if both else (NAN, NAN)
    return float(iou), float(dice), float(np.mean(either)) if either else NAN
