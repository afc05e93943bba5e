# SPDX-License-Identifier: Apache-2.0
"""Stored values of one DICOM frame: which decoder reads which transfer syntax, and what is checked before a native one sees the bytes."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from medsetu.reader.codestream import parse_codestream
from medsetu.reader.grey import Coding
from medsetu.reader.guard import Unreadable

PLUGINS: Final = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "gdcm",
    uid.JPEGLSNearLossless: "gdcm",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}
"""Decoder of each transfer syntax: gdcm only where nothing else reads it, for it can end the process on broken bytes."""

_BLOCK: Final = 1 << 14  # pixels


def decode(header: Dataset, coding: Coding, *, index: int = 0, frames: int = 1) -> NDArray[np.integer]:
    """Decode one frame of grey values.

    Args:
        header: The data set.
        coding: How stored values are coded.
        index: Number of the frame, from 0.
        frames: How many the data set has.

    Returns:
        (H, W) stored values; a view on the file's bytes where nothing was compressed.

    Raises:
        Unreadable: For codestreams of another size than declared, values beyond the declared bits, and transfer syntaxes of films.
    """
    syntax = uid.UID(header.file_meta.TransferSyntaxUID)
    check_stream(header, syntax, index=index, frames=frames)
    options: dict[str, Any] = {"view_only": True, "correct_unused_bits": False}
    stored, _ = get_decoder(syntax).as_array(header, raw=True, index=index, decoding_plugin=PLUGINS[syntax], **options)
    low, high = coding.span
    if not has_embedded_overlay(header) and (int(stored.min()) < low or int(stored.max()) > high):
        raise Unreadable(expected=f"stored values of {coding.bits} bits", found="values beyond them")
    return stored


def check_stream(header: Dataset, syntax: uid.UID, *, index: int = 0, frames: int = 1) -> None:
    """Refuse what no decoder here reads, and codestreams that contradict their data set, before a native decoder sees them."""
    if syntax not in PLUGINS:
        raise Unreadable(expected="a transfer syntax for still images", found="another one", remedy="Convert it, for example with dcmdjpeg")
    if syntax.is_encapsulated and syntax != uid.RLELossless:
        stream = parse_codestream(get_frame(header.PixelData, index, number_of_frames=frames), syntax)
        shape = (stream.height, stream.width, stream.components)
        narrow = header.BitsAllocated in (8, 16)  # gdcm ends the process for others
        if shape != (header.Rows, header.Columns, header.SamplesPerPixel) or stream.precision > header.BitsAllocated or not narrow:
            raise Unreadable(expected="a codestream of the declared size", found="another size or depth")


def has_embedded_overlay(header: Dataset) -> bool:
    """Whether unused high bits hold a graphic (retired use, PS3.3 C.9.2: Overlay Bit Position above 0), which is masked away."""
    return any(int(header[group, 0x0102].value or 0) > 0 for group in range(0x6000, 0x6020, 2) if (group, 0x0102) in header)


def look_up(table: NDArray[np.float32], stored: NDArray[np.integer], coding: Coding) -> NDArray[np.float32]:
    """Look up each stored value, some rows at a time: numpy widens indices to eight bytes, and these should not leave the cache.

    Args:
        table: (2 ** bits,) result of every bit pattern.
        stored: (H, W) stored values.
        coding: How they are coded.

    Returns:
        (H, W) float32.
    """
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    codes: NDArray[np.unsignedinteger] = native.view(f"u{native.itemsize}")
    mask = codes.dtype.type((1 << coding.bits) - 1)
    grey = np.empty(codes.shape, np.float32)
    rows = max(1, _BLOCK // codes.shape[1])
    for top in range(0, codes.shape[0], rows):
        np.take(table, codes[top : top + rows] & mask, out=grey[top : top + rows], mode="clip")
    return grey
