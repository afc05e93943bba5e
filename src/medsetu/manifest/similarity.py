# SPDX-License-Identifier: Apache-2.0
"""Perceptual hash of a picture: the same for another size, file format or bit depth; a negative and a mirror image turn known bits."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL = 32
COARSE = 8  # cosine waves per direction that make up the coarse picture
BLOCK = 2048  # pictures compared at a time: bounds the memory, whatever the size of a release
NOTHING = 1e-3  # below this length only rounding is left


def _cosines(size: int) -> NDArray[np.float64]:
    frequency, position = np.arange(size)[:, None], np.arange(size)[None, :]
    basis: NDArray[np.float64] = np.cos(np.pi * (2 * position + 1) * frequency / (2 * size)) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return basis


_COSINES = _cosines(THUMBNAIL)
_ODD = np.arange(THUMBNAIL) % 2 == 1  # waves across the picture whose sign a mirror image turns

NEGATIVE = (1 << 64) - 1
MIRROR = int.from_bytes(np.packbits(np.tile(_ODD[:COARSE], COARSE)).tobytes(), "big")


def thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.float16]:
    """Shrink a picture to 32 x 32 by averaging areas, whatever its shape.

    Args:
        pixels: (H, W) float32 in [0, 1].

    Returns:
        (32, 32) float16 in [0, 1].

    Example:
        >>> thumbnail(np.ones((64, 96), dtype=np.float32)).shape
        (32, 32)
    """
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float16)


def perceptual_hash(small: NDArray[np.floating]) -> int:
    """Hash a thumbnail by the signs of its 64 lowest cosine coefficients without the mean (after Zauner 2010, pHash).

    The sign needs no threshold that depends on the picture, so a negative (MONOCHROME1 read as MONOCHROME2) has exactly the complement,
    and a mirror image has the bits of ``MIRROR`` turned.

    Args:
        small: (32, 32), any scale.

    Returns:
        64-bit number.

    Example:
        >>> ramp = np.random.default_rng(0).random((32, 32))
        >>> perceptual_hash(ramp) ^ perceptual_hash(1 - ramp) == 2**64 - 1
        True
    """
    spectrum = _COSINES @ small.astype(np.float64) @ _COSINES.T
    signs = (spectrum[:8, :8] > 0).ravel()
    signs[0] = spectrum[8, 0] > 0  # the mean says nothing of the content; the next coefficient takes its place
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


def hash_text(value: int) -> str:
    """Write a hash as the manifest does: 16 hexadecimal digits.

    Example:
        >>> hash_text(255)
        '00000000000000ff'
    """
    return f"{value:016x}"


def fine_structure(small: NDArray[np.floating]) -> NDArray[np.float16]:
    """Keep what tells two films apart: the thumbnail without the 8 x 8 coarse waves that all films of one body part share.

    The inner product of two results is a correlation: 1 for the same picture, -1 for its negative, 0 where a picture has no structure.

    Args:
        small: (n, 32, 32), any scale.

    Returns:
        (n, 1024) float16 of unit length; all 0 where nothing is left.

    Example:
        >>> small = np.random.default_rng(0).random((1, 32, 32))
        >>> alike = fine_structure(small).astype(float) @ fine_structure(1 - small).astype(float).T
        >>> alike.round(2).tolist()
        [[-1.0]]
    """
    parts = [_unit(small[start : start + BLOCK]) for start in range(0, len(small), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros((0, THUMBNAIL**2), dtype=np.float16)


def _unit(small: NDArray[np.floating]) -> NDArray[np.float16]:
    spectrum = _COSINES @ small.astype(np.float64) @ _COSINES.T
    spectrum[:, :COARSE, :COARSE] = 0
    flat = spectrum.reshape(len(small), -1)  # an orthonormal basis: correlations are the same as between pixels
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: NDArray[np.float16] = np.divide(flat, length, out=np.zeros_like(flat), where=length > NOTHING).astype(np.float16)
    return unit


def mirrored(fine: NDArray[np.float16]) -> NDArray[np.float16]:
    """Fine structure of the mirror images (left and right exchanged).

    Args:
        fine: (n, 1024) of ``fine_structure``.

    Returns:
        (n, 1024).

    Example:
        >>> small = np.random.default_rng(0).random((1, 32, 32))
        >>> bool(np.allclose(mirrored(fine_structure(small)), fine_structure(small[:, :, ::-1]), atol=1e-3))
        True
    """
    turned: NDArray[np.float16] = np.where(np.tile(_ODD, THUMBNAIL), -fine, fine)
    return turned


def pairwise(left: NDArray[np.float16], right: NDArray[np.float16]) -> NDArray[np.float64]:
    """Correlate fine structures row by row.

    Args:
        left: (n, 1024) of ``fine_structure``.
        right: (n, 1024).

    Returns:
        (n,) in [-1, 1].
    """
    product: NDArray[np.float64] = np.einsum("ij,ij->i", left.astype(np.float32), right.astype(np.float32)).astype(np.float64)
    return product
