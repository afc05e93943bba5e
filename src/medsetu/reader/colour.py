# SPDX-License-Identifier: Apache-2.0
"""Colour DICOM (RGB, YBR, palette), as ultrasound and endoscopy write it, to 8-bit RGB and to grey."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from medsetu.reader import header as element
from medsetu.reader.decoder import PLUGINS, check_stream
from medsetu.reader.guard import Unreadable

_TRUE: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PALETTE: Final = "PALETTE COLOR"
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's


def is_colour(header: Dataset) -> bool:
    """Whether the pixels are colour.

    Example:
        >>> header = Dataset()
        >>> header.PhotometricInterpretation = "YBR_FULL_422"
        >>> is_colour(header)
        True
    """
    return element.word(header, "PhotometricInterpretation") in (*_TRUE, _PALETTE)


def decode_colour(header: Dataset, *, index: int = 0, frames: int = 1) -> NDArray[np.uint8]:
    """Decode one frame of colour.

    Args:
        header: The data set.
        index: Number of the frame, from 0.
        frames: How many the data set has.

    Returns:
        (H, W, 3) uint8 in RGB: YBR is converted (PS3.3 C.7.6.3.1.2), palettes are looked up and cut to 8 bits.

    Raises:
        Unreadable: For other depths or sample counts than the colour space allows, or codestreams of another size.
    """
    photometric = element.word(header, "PhotometricInterpretation")
    samples, allocated = element.whole(header, "SamplesPerPixel"), element.whole(header, "BitsAllocated")
    if (samples, allocated) not in {_PALETTE: ((1, 8), (1, 16))}.get(photometric, ((3, 8),)):
        raise Unreadable(expected="8 bits per sample of colour", found=f"{samples} samples of {allocated} bits")
    syntax = uid.UID(header.file_meta.TransferSyntaxUID)
    check_stream(header, syntax, index=index, frames=frames)
    options: dict[str, Any] = {"decoding_plugin": PLUGINS[syntax]}
    decoded, _ = get_decoder(syntax).as_array(header, index=index, **options)
    if photometric == _PALETTE:
        looked_up = apply_color_lut(decoded, header)
        decoded = looked_up if looked_up.dtype == np.uint8 else looked_up >> 8
    if decoded.shape != (header.Rows, header.Columns, 3):
        raise Unreadable(expected="three colours per pixel", found="another shape")
    return np.asarray(decoded, dtype=np.uint8)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reduce colour to grey by ITU-R BT.601 luma; equal channels stay exactly as they are.

    Args:
        rgb: (..., 3) uint8.

    Returns:
        (...,) float32 in [0, 1].

    Example:
        >>> luma(np.array([[51, 51, 51], [255, 0, 0]], np.uint8)).round(3).tolist()
        [0.20000000298023224, 0.29899999499320984]
    """
    grey: NDArray[np.float32] = (rgb.astype(np.float32) @ _LUMA) / np.float32(255)
    equal = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
    return np.where(equal, rgb[..., 0] / np.float32(255), grey).astype(np.float32)
