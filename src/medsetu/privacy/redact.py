# SPDX-License-Identifier: Apache-2.0
"""Text painted over where it was found; every other pixel stays as it was, side markers included."""

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from medsetu.privacy.burned_in import Box, find_text
from medsetu.reader.decoder import PLUGINS, check_stream, has_embedded_overlay
from medsetu.reader.dicom import open_header
from medsetu.reader.frames import frame_count
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import check_size
from medsetu.reader.volume import check_voxels

_PASSES: Final = 4
_RIM: Final = 3  # pixels around a box that give its new colour


def paint(pixels: NDArray[Any], boxes: Sequence[Box]) -> None:
    """Paint boxes with the median of what surrounds them, in place.

    Args:
        pixels: (H, W) or (H, W, C), any number type.
        boxes: Where the text stands.
    """
    for box in boxes:
        rows = slice(max(box.top - _RIM, 0), box.bottom + _RIM)
        columns = slice(max(box.left - _RIM, 0), box.right + _RIM)
        around = pixels[rows, columns].reshape(-1, *pixels.shape[2:])
        inside = np.ones(pixels[rows, columns].shape[:2], np.bool_)
        inside[box.top - rows.start : box.bottom - rows.start, box.left - columns.start : box.right - columns.start] = False
        rim = around[inside.ravel()]
        pixels[box.top : box.bottom, box.left : box.right] = np.median(rim if len(rim) else around, axis=0).astype(pixels.dtype)


def unit_grey(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Spread the values of a picture over [0, 1]; colours by their mean.

    Args:
        pixels: (H, W) or (H, W, C).

    Returns:
        (H, W); zeros for a picture of one value.

    Example:
        >>> unit_grey(np.array([[0, 50, 100]])).tolist()
        [[0.0, 0.5, 1.0]]
    """
    grey = pixels.astype(np.float32)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    low, high = float(grey.min()), float(grey.max())
    return (grey - low) / (high - low) if high > low else np.zeros_like(grey)


def stored_frames(header: Dataset) -> tuple[NDArray[Any], bool]:
    """Decode the pixels of a data set.

    Args:
        header: Data set with pixels and its file meta information.

    Returns:
        (F, H, W) or (F, H, W, 3) stored values, and whether overlay bits were masked away.

    Raises:
        Unreadable: The transfer syntax is none of still images. pydicom's own errors pass through to the guard.
    """
    syntax = uid.UID(header.file_meta.TransferSyntaxUID)
    if syntax not in PLUGINS:
        raise Unreadable(expected="a transfer syntax for still images", found="another one")
    check_size(int(header.Rows), int(header.Columns))
    frames = frame_count(header)
    check_voxels((frames, int(header.Rows), int(header.Columns)))
    for index in range(frames):
        check_stream(header, syntax, index=index, frames=frames)
    header.pixel_array_options(decoding_plugin=PLUGINS[syntax])
    pixels = np.array(header.pixel_array)
    hidden = has_embedded_overlay(header)
    if hidden:
        pixels &= np.array((1 << int(header.BitsStored)) - 1).astype(pixels.dtype)
    return pixels.reshape(-1, *pixels.shape[-3 if int(header.SamplesPerPixel) > 1 else -2 :]), hidden


@guarded("DICOM pixel")
def count_text(data: bytes, *, sample_id: str = "") -> int:
    """Count the lines of text in every frame of a DICOM file.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        Number of lines; 0 for a file without pixels.

    Raises:
        DataError: The pixels cannot be decoded.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    if "PixelData" not in header:
        return 0
    return sum(len(find_text(unit_grey(frame))) for frame in stored_frames(header)[0])


@guarded("DICOM pixel")
def redact_dicom(header: Dataset, *, sample_id: str = "") -> int:
    """Paint over burned-in text in every frame, in place.

    Where text was found, or an overlay stands in unused bits, the pixels are written anew without compression; else they stay as they were.

    Args:
        header: Data set with pixels and its file meta information.
        sample_id: Named in errors.

    Returns:
        Number of lines of text painted over.

    Raises:
        DataError: The pixels cannot be decoded.
    """
    del sample_id  # used by the guard
    frames, hidden = stored_frames(header)
    painted = 0
    for frame in frames:
        for _ in range(_PASSES):  # without the text the grey range is another, and what was faint is not
            boxes = find_text(unit_grey(frame))
            paint(frame, boxes)
            painted += len(boxes)
            if not boxes:
                break
    if painted or hidden:
        _store(header, frames, colour=frames.ndim == 4)
    return painted


def _store(header: Dataset, frames: NDArray[Any], *, colour: bool) -> None:
    header.PixelData = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    header["PixelData"].VR = "OW" if int(header.BitsAllocated) > 8 else "OB"
    header["PixelData"].is_undefined_length = False
    if len(header.PixelData) % 2:
        header.PixelData += b"\0"
    if colour:
        header.PhotometricInterpretation, header.PlanarConfiguration = "RGB", 0
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian


@guarded("raster")
def redact_raster(data: bytes, boxes: Sequence[Box], *, kind: str, sample_id: str = "") -> bytes:
    """Paint over text in a PNG, JPEG, TIFF or PGM picture, and write it without loss.

    Args:
        data: The file.
        boxes: Where the text stands.
        kind: ``png``, ``jpeg``, ``tiff`` or ``pgm``; a JPEG comes back as PNG.
        sample_id: Named in errors.

    Returns:
        The new file.

    Raises:
        DataError: It cannot be decoded.
    """
    del sample_id  # used by the guard
    with Image.open(io.BytesIO(data)) as image:
        plain = image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr") else image
        pixels = np.array(plain)
        paint(pixels.view(np.uint8) if pixels.dtype == np.bool_ else pixels, boxes)
        bare = Image.fromarray(pixels)
    buffer = io.BytesIO()
    bare.save(buffer, {"png": "PNG", "jpeg": "PNG", "tiff": "TIFF", "pgm": "PPM"}[kind])
    return buffer.getvalue()
