# SPDX-License-Identifier: Apache-2.0
"""The detector of the phantom: attenuation becomes a 12-bit film with blur, larger pixels, quantum noise and a burned-in marker."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsetu.release.phantom_chest import FIELD_MM, Map

BITS = 12
WHITE = 2**BITS - 1

_SCATTER = 0.012  # share of the open beam that reaches every pixel
_NOISE = 0.010  # standard deviation of the logarithm in the open beam, for pixels of 1 mm at exposure 1
_LATITUDE = 3.0  # attenuation between the grey levels 10 % and 90 %
_GLYPHS = {  # 5 x 7 letters, one number per row
    "S": (14, 17, 16, 14, 1, 17, 14),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "N": (17, 25, 21, 19, 17, 17, 17),
}
_WORD = "SAN"


def expose(attenuation: Map, *, dose: float, noise: float, blur_mm: float, pixel_size: float, generator: np.random.Generator) -> Map:
    """Turn attenuation into the logarithmic signal of a detector.

    Args:
        attenuation: Natural logarithm of the attenuation, shape (n, n), of a field of 400 mm.
        dose: Relative dose, above 0: noise falls with its square root, and the film gets darker with its logarithm.
        noise: Quantum noise relative to the usual detector.
        blur_mm: Detector blur, standard deviation in mm.
        pixel_size: Pixel size relative to the attenuation map, 1 or above.
        generator: Stream of the noise.

    Returns:
        Grey values in [0, 1], 1 where nothing passes (white bone, black air), shape (n / pixel_size, n / pixel_size).
    """
    size = attenuation.shape[0]
    beam = np.exp(-attenuation) + _SCATTER
    if blur_mm > 0:
        beam = ndimage.gaussian_filter(beam, blur_mm * size / FIELD_MM, mode="nearest", truncate=3.0)
    rows = max(1, round(size / pixel_size))
    if rows != size:
        share = _coarser(size, rows)
        beam = share @ beam @ share.T
    pixel_mm = FIELD_MM / rows
    grain = generator.standard_normal((rows, rows), dtype=np.float32)
    deviation = _NOISE * noise / (pixel_mm * dose**0.5) / np.sqrt(beam)
    signal = -np.log(beam) + grain * deviation - 0.5 * math.log(dose)
    return _film(signal)


def _film(signal: Map) -> Map:
    """Characteristic curve of a film: linear in the middle, gentle at toe and shoulder."""
    film: Map = 1 / (1 + np.exp(-(signal - 1.75) * (2 * math.log(9) / _LATITUDE)))
    return film


@lru_cache(maxsize=16)
def _coarser(size: int, rows: int) -> NDArray[np.float32]:
    """Weights that average ``size`` pixels into ``rows`` larger ones by area, shape (rows, size)."""
    low, high = np.arange(rows)[:, None] * size / rows, np.arange(1, rows + 1)[:, None] * size / rows
    overlap = np.minimum(high, np.arange(1, size + 1)) - np.maximum(low, np.arange(size))
    weights: NDArray[np.float32] = (np.clip(overlap, 0, None) / (size / rows)).astype(np.float32)
    return weights


def digitise(film: Map, *, marker: bool, monochrome1: bool) -> NDArray[np.uint16]:
    """Store a film in 12 bits of 16.

    Args:
        film: Grey values in [0, 1].
        marker: Burn the site's marker into the upper left corner.
        monochrome1: Store it inverted, as MONOCHROME1 wants; it shows the same picture.

    Returns:
        Stored values from 0 to 4095, the shape of the film.

    Example:
        >>> film = np.full((32, 32), 0.25, dtype=np.float32)
        >>> plain, inverted = (digitise(film, marker=True, monochrome1=flag) for flag in (False, True))
        >>> bool(np.all(plain + inverted == 4095)), int(plain.max()), int(plain.min())
        (True, 4095, 1024)
    """
    stored: NDArray[np.uint16] = np.rint(film * WHITE).astype(np.uint16)
    if marker:
        _burn_in(stored)
    return WHITE - stored if monochrome1 else stored


def _burn_in(stored: NDArray[np.uint16]) -> None:
    """Write the marker in white, in place; letters are 7 pixels high, or more on a large film."""
    scale = max(1, stored.shape[0] // 128)
    word = np.kron(_marker(), np.ones((scale, scale), dtype=bool))
    top, start = stored.shape[0] // 25, stored.shape[1] // 25
    corner = stored[top : top + word.shape[0], start : start + word.shape[1]]
    corner[word[: corner.shape[0], : corner.shape[1]]] = WHITE


def _marker() -> NDArray[np.bool_]:
    """Bitmap of the marker, shape (7, 17)."""
    letters = [[[row >> place & 1 for place in range(4, -1, -1)] for row in _GLYPHS[letter]] for letter in _WORD]
    return np.concatenate([np.pad(np.array(letter, dtype=bool), ((0, 0), (0, 1))) for letter in letters], axis=1)[:, :-1]
