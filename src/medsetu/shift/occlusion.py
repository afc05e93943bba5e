# SPDX-License-Identifier: Apache-2.0
"""Altered films: without what a shortcut could use, without the lungs, with nothing but the lungs, and the same film told again.

Every alteration is a pure function of one film, (H, W) float32 in [0, 1], and gives one of the same shape.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medsetu.core.errors import DataError
from medsetu.shift.rung import LUNG_COLUMNS, LUNG_ROWS, RING, SIDE

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]
Alteration = Callable[[Pixels], Pixels]

AS_IT_IS = "as it is"
WITHOUT_BORDER = "border ring hidden"
WITHOUT_MARKERS = "markers hidden"
WITHOUT_LUNGS = "lungs hidden"
LUNGS_ONLY = "lungs only"

BRIGHT = 0.97  # share of the film's range above which a pixel may be ink
LARGEST_MARKER = 0.05  # of the film's area
SMALLEST_MARKER = 1e-4  # of the film's area
FILLED = 0.3  # share of its bounding box that a marker fills: a letter does, a rib does not
_SMALLEST_FILM = 8  # pixels; below it no ring and no lung can be named


def hide_border(film: Pixels, *, width: float = RING / SIDE) -> Pixels:
    """Replace a border ring by the median of the film.

    Args:
        film: (H, W) float32 in [0, 1].
        width: Width of the ring, share of each side in (0, 0.5).

    Returns:
        The film with its ring at one grey.

    Raises:
        DataError: The film has fewer than 8 x 8 pixels or is no plain grey image.

    Example:
        >>> hide_border(np.pad(np.zeros((14, 14), np.float32), 1, constant_values=1)).max()
        np.float32(0.0)
    """
    _check(film)
    rows, columns = (max(1, round(length * width)) for length in film.shape)
    inside = np.zeros(film.shape, dtype=bool)
    inside[rows:-rows, columns:-columns] = True
    return _filled(film, ~inside)


def markers(film: Pixels) -> Mask:
    """Find what was written on or cut out of a film: compact bright blobs that are small, and white boxes at its edge.

    A blob is a connected set of pixels in the top 3 % of the film's range that covers 0.01 to 5 % of the film and fills at least 30 % of
    its bounding box. Blobs whose middle lies in the lung template are left alone: they could be disease.

    Args:
        film: (H, W) float32 in [0, 1].

    Returns:
        (H, W) mask; empty on a film of one grey.

    Raises:
        DataError: See ``hide_border``.
    """
    _check(film)
    low, high = float(film.min()), float(film.max())
    if high <= low:
        return np.zeros(film.shape, dtype=bool)
    blobs, count = ndimage.label(film >= low + BRIGHT * (high - low), structure=np.ones((3, 3)))
    area = np.bincount(blobs.ravel(), minlength=count + 1)
    found, lungs = np.zeros(film.shape, dtype=bool), lung_template(film.shape)
    for number, box in enumerate(ndimage.find_objects(blobs), start=1):
        extent = [part.stop - part.start for part in box]
        middle = tuple((part.start + part.stop) // 2 for part in box)
        compact = area[number] >= FILLED * extent[0] * extent[1]
        if compact and SMALLEST_MARKER <= area[number] / film.size <= LARGEST_MARKER and not lungs[middle]:
            found[box] |= blobs[box] == number
    margin = max(1, round(min(film.shape) / 128))  # blurred edges of letters
    return np.asarray(ndimage.binary_dilation(found, iterations=margin)) if found.any() else found


def hide_markers(film: Pixels) -> Pixels:
    """Replace ``markers`` by the median of the film.

    Args:
        film: (H, W) float32 in [0, 1].

    Returns:
        The film without bright compact blobs.

    Raises:
        DataError: See ``hide_border``.

    Example:
        >>> film = np.full((64, 64), 0.25, np.float32)
        >>> film[4:8, 4:8] = 1
        >>> hide_markers(film).max()
        np.float32(0.25)
    """
    return _filled(film, markers(film))


def lung_template(shape: tuple[int, ...]) -> Mask:
    """Place the fixed template of both lungs on a film: rows 4 to 24, columns 4 to 13 and 18 to 27 of 32; not a segmentation.

    Args:
        shape: Height and width, pixels.

    Returns:
        (H, W) mask.

    Example:
        >>> int(lung_template((32, 32)).sum())
        420
    """
    reduced = np.zeros((SIDE, SIDE), dtype=bool)
    for lung in LUNG_COLUMNS:
        reduced[LUNG_ROWS, lung] = True
    rows, columns = (np.arange(length) * SIDE // length for length in shape)
    return np.asarray(reduced[np.ix_(rows, columns)])


def hide_lungs(film: Pixels, *, lungs: Mask | None = None) -> Pixels:
    """Replace the lungs by the median of the film.

    Args:
        film: (H, W) float32 in [0, 1].
        lungs: (H, W) mask of the lungs; ``lung_template`` when None.

    Returns:
        The film without its lungs.

    Raises:
        DataError: See ``hide_border``; or the mask has another shape.
    """
    return _filled(film, _lungs(film, lungs))


def keep_lungs(film: Pixels, *, lungs: Mask | None = None) -> Pixels:
    """Replace everything but the lungs by the median of the film; arguments as in ``hide_lungs``."""
    return _filled(film, ~_lungs(film, lungs))


def reencode(film: Pixels, *, quality: int | None = None) -> Pixels:
    """Store a film with 8 bits, or as JPEG, and read it again.

    Args:
        film: (H, W) float32 in [0, 1].
        quality: JPEG quality, 1 to 95; None for 8 bits without loss.

    Returns:
        What comes back, in steps of 1/255.

    Example:
        >>> reencode(np.full((8, 8), 0.5, np.float32))[0, 0].round(4)
        np.float32(0.502)
    """
    _check(film)
    stored = np.rint(np.clip(film, 0, 1) * 255).astype(np.uint8)
    if quality is not None:
        buffer = io.BytesIO()
        Image.fromarray(stored).save(buffer, format="JPEG", quality=quality)
        stored = np.asarray(Image.open(buffer))
    return stored.astype(np.float32) / np.float32(255)


def rescale(film: Pixels, *, factor: float = 0.9) -> Pixels:
    """Shrink a film and bring it back to its size (bilinear with antialiasing).

    Args:
        film: (H, W) float32 in [0, 1].
        factor: Size in between, in (0, 1].

    Returns:
        A slightly softer film.
    """
    _check(film)
    height, width = film.shape
    small = Image.fromarray(film).resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32), 0, 1)


def window(film: Pixels, *, width: float) -> Pixels:
    """Change the window width about its middle, as a reader turns the contrast.

    Args:
        film: (H, W) float32 in [0, 1].
        width: Factor of the width: 1.05 is 5 % flatter, 0.95 is 5 % steeper.

    Returns:
        The film, cut to [0, 1].

    Example:
        >>> window(np.full((8, 8), 0.25, np.float32), width=2.0)[0, 0]
        np.float32(0.375)
    """
    _check(film)
    turned: Pixels = np.clip((film - np.float32(0.5)) / np.float32(width) + np.float32(0.5), 0, 1)
    return turned


def as_it_is(film: Pixels) -> Pixels:
    """Leave a film as it is: what every alteration is compared with."""
    _check(film)
    return film


OCCLUSIONS: Mapping[str, Alteration] = {
    WITHOUT_BORDER: hide_border,
    WITHOUT_MARKERS: hide_markers,
    WITHOUT_LUNGS: hide_lungs,
    LUNGS_ONLY: keep_lungs,
}
RETESTS: Mapping[str, Alteration] = {
    "8 bits": reencode,
    "JPEG quality 95": partial(reencode, quality=95),
    "JPEG quality 75": partial(reencode, quality=75),
    "rescaled to 0.9 and back": rescale,
    "window 5 % wider": partial(window, width=1.05),
    "window 5 % narrower": partial(window, width=0.95),
}
ALTERATIONS: Mapping[str, Alteration] = {AS_IT_IS: as_it_is, **OCCLUSIONS, **RETESTS}


def _lungs(film: Pixels, lungs: Mask | None) -> Mask:
    _check(film)
    if lungs is not None and lungs.shape != film.shape:
        raise DataError(
            what=f"A lung mask of {lungs.shape} does not fit a film of {film.shape}", where="Occlusion", remedy="Give (H, W) masks"
        )
    return lung_template(film.shape) if lungs is None else lungs


def _filled(film: Pixels, mask: Mask) -> Pixels:
    return np.where(mask, np.float32(np.median(film)), film)


def _check(film: Pixels) -> None:
    if film.ndim != 2 or min(film.shape) < _SMALLEST_FILM or film.dtype != np.float32:
        raise DataError(
            what=f"A film of shape {film.shape} and type {film.dtype} cannot be altered",
            where="Occlusion and test-retest",
            remedy=f"Give (H, W) float32 of at least {_SMALLEST_FILM} x {_SMALLEST_FILM} pixels",
        )
