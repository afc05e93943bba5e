# SPDX-License-Identifier: Apache-2.0
"""Where the breast lies on a mammogram, whatever the background, the side or the letters beside it; numpy and scipy only."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsetu.data.pipeline import Pipeline
from medsetu.reader.frame import Frame

Rectangle = tuple[int, int, int, int]
"""First row, first column, row after the last, column after the last."""

_LOOK = 256  # pixels of the longer side of the small picture that is looked at
_STRIPS = 25  # upright strips of the film, of which the darkest shows the background
_LEAST_STEP = 0.03  # intensity above the background below which nothing is told from noise
_SPREADS = 6.0  # median absolute deviations of the background
_DARKER = 0.65  # of the median of the breast: a background is at most so bright
_LEAST_SHARE = 0.05  # of the film; less is no breast
_MARGIN = 0.02  # of the longer side, so that the skin line stays


def breast_region(pixels: NDArray[np.float32]) -> Rectangle:
    """Find the smallest upright rectangle around the breast.

    A breast leaves some of the film's width free. There lies the darkest upright strip: its median is the level of the background, and its
    median absolute deviation the spread, which letters do not move, nor tape beside it. What is brighter, once thin bridges are opened, and
    largest, is the breast.

    Args:
        pixels: (H, W) intensities in [0, 1], dark background.

    Returns:
        The rectangle with a margin of 2 % of the longer side; the whole film where nothing can be told from the background.

    Example:
        >>> film = np.full((200, 100), 0.1, dtype=np.float32)
        >>> film[50:150, :60] = 0.6
        >>> breast_region(film)
        (46, 0, 154, 64)
    """
    height, width = pixels.shape
    step = max(1, -(-max(height, width) // _LOOK))
    small = _means(pixels, step)
    strips = np.array_split(small, min(_STRIPS, small.shape[1]), axis=1)
    darkest = min(strips, key=lambda strip: float(np.median(strip)))
    level = float(np.median(darkest))
    spread = 1.4826 * float(np.median(np.abs(darkest - level)))
    bright = ndimage.binary_opening(small > level + max(_LEAST_STEP, _SPREADS * spread), np.ones((3, 3), dtype=bool))
    labels, count = ndimage.label(bright)
    if not count:
        return 0, 0, height, width
    sizes = np.bincount(labels.ravel())[1:]
    largest = int(sizes.argmax()) + 1
    if sizes[largest - 1] < _LEAST_SHARE * small.size or level > _DARKER * float(np.median(small[labels == largest])):
        return 0, 0, height, width
    rows, columns = ndimage.find_objects(labels)[largest - 1]
    margin = round(_MARGIN * max(height, width))
    return (
        max(0, rows.start * step - margin),
        max(0, columns.start * step - margin),
        min(height, rows.stop * step + margin),
        min(width, columns.stop * step + margin),
    )


def frame_of(pixels: NDArray[np.float32], pipeline: Pipeline) -> Frame:
    """Say where the pixels of a picture lie in what a network sees of it, for boxes and masks drawn on it.

    Args:
        pixels: (H, W) intensities in [0, 1] as read.
        pipeline: Deterministic steps, for pictures.

    Returns:
        The frame of the prepared picture.

    Example:
        >>> frame_of(np.zeros((200, 100), dtype=np.float32), Pipeline((64, 64))).box((0, 0, 100, 200))
        (16.0, 0.0, 48.0, 64.0)
    """
    whole = Frame(pixels.shape[0], pixels.shape[1])
    kept = whole.cut(*breast_region(pixels)) if pipeline.cut == "breast" else whole
    return kept.fitted(pipeline.size[0], pipeline.size[1], fit=pipeline.fit)


def _means(pixels: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Average squares of ``step`` pixels; a rest at the lower or right border repeats its last pixels."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % step), (0, -width % step)), mode="edge")
    squares = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(squares.mean(axis=(1, 3), dtype=np.float32))
