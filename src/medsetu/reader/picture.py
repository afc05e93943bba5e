# SPDX-License-Identifier: Apache-2.0
"""What every reader hands on: a grey picture in [0, 1] and the facts that came with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.guard import Unreadable

MAX_PIXELS = 100_000_000
"""Pixels above which a file is taken for a decompression bomb; the largest mammograms have about 30 million."""


@dataclass(frozen=True)
class Facts:
    """What a file says about its image.

    Attributes:
        file_format: ``png``, ``jpeg``, ``tiff``, ``pgm``, ``dicom``, ``nifti`` or ``npz``.
        color_mode: Mode as decoded (Pillow's name) or DICOM photometric interpretation.
        height: Rows.
        width: Columns.
        bits: Bits per sample as declared by the file.
        spacing_mm: Distance of pixel centres within a slice in mm; NaN when the file does not say.
        modality: DICOM modality such as ``DX``; empty when unknown.
        view: One of ``core.sample.VIEWS``; empty when unknown.
        laterality: ``L``, ``R``, ``B``; empty when unknown.
        sex: One of ``core.sample.SEXES``; empty when unknown.
        age_years: Age in years; NaN when unknown.
        device: Manufacturer and model in lower case; empty when unknown.
        file_bytes: Size of the file in bytes.
        depth: Slices or frames; 1 of a picture.
        slice_mm: Distance of slices in mm; NaN when the file does not say, and of pictures.
        steps: What was done to the stored values, in order.
    """

    file_format: str
    color_mode: str
    height: int
    width: int
    bits: int
    file_bytes: int
    spacing_mm: float = float("nan")
    modality: str = ""
    view: str = ""
    laterality: str = ""
    sex: str = ""
    age_years: float = float("nan")
    device: str = ""
    depth: int = 1
    slice_mm: float = float("nan")
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One image, ready for use.

    Attributes:
        pixels: (H, W) float32, C-contiguous, in [0, 1]; 0 is black (air in a radiograph), never NaN.
        facts: What the file says about it.
    """

    pixels: NDArray[np.float32]
    facts: Facts


def check_size(height: int, width: int) -> None:
    """Refuse pictures without pixels and decompression bombs, before anything is decoded.

    Args:
        height: Rows the header promises.
        width: Columns the header promises.

    Raises:
        Unreadable: When there are none, or more than ``MAX_PIXELS`` pixels.

    Example:
        >>> check_size(4096, 3328)
    """
    if height < 1 or width < 1:
        raise Unreadable(expected="at least one pixel", found=f"{height} x {width}")
    if height * width > MAX_PIXELS:
        raise Unreadable(
            expected=f"at most {MAX_PIXELS} pixels", found=f"{height} x {width}", remedy="Reduce the image, or leave it in quarantine"
        )


def to_unit(stored: NDArray[np.integer], top: int) -> NDArray[np.float32]:
    """Scale stored values to [0, 1] by the declared top of their range, never by the image's own maximum.

    Args:
        stored: (H, W) unsigned values, any strides.
        top: The value that means white.

    Returns:
        (H, W) float32, C-contiguous.

    Example:
        >>> to_unit(np.array([[0, 51]], np.uint8), 255)
        array([[0. , 0.2]], dtype=float32)
    """
    grey: NDArray[np.float32] = np.divide(stored, np.float32(top), dtype=np.float32, order="C")
    return grey
