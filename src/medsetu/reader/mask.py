# SPDX-License-Identifier: Apache-2.0
"""Masks and label maps kept as PNG or TIFF: codes as they are stored, never a grey made of them."""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medsetu.reader.annotation import Drawing, Shape, box_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import check_size

_PLAIN = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


@guarded("mask")
def read_codes(data: bytes, *, sample_id: str = "") -> NDArray[np.int32]:
    """Read the code of every pixel.

    Palettes are not looked up: their index is the code. Of colour masks, whose channels must be equal, one channel is the code.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        (H, W) int32; of one-bit masks 0 and 1.

    Raises:
        DataError: For lossy files (JPEG blurs the codes), unequal colours, several pages, and bombs.
    """
    del sample_id  # used by the guard
    with Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "JPEG", "BMP")) as image:
        if image.format == "JPEG":
            raise Unreadable(expected="a mask without loss", found="a JPEG, whose codes are blurred", remedy="Use the PNG or TIFF")
        check_size(image.height, image.width)
        if getattr(image, "n_frames", 1) != 1:
            raise Unreadable(expected="one page", found="several")
        if image.mode in _PLAIN:
            return np.asarray(image).astype(np.int32)
        if image.mode not in ("RGB", "RGBA", "LA"):
            raise Unreadable(expected="codes, a palette or grey colour", found="another colour space")
        channels = np.asarray(image)[..., : 1 if image.mode == "LA" else 3].astype(np.int32)
    if (channels != channels[..., :1]).any():
        raise Unreadable(expected="equal channels of a mask", found="colours", remedy="Say which colour means what, and write codes")
    return np.ascontiguousarray(channels[..., 0])


def drawing_of(codes: NDArray[np.int32], meanings: Mapping[int, str]) -> Drawing:
    """Name the codes of a label map.

    Args:
        codes: (H, W).
        meanings: Finding by code; 0 is nothing and needs none.

    Returns:
        One shape per finding that is there.

    Raises:
        Unreadable: For a code without meaning: a mask of 0 and 255 is none of 0 and 1.

    Example:
        >>> drawing_of(np.array([[0, 2], [0, 2]], np.int32), {1: "lung", 2: "heart"}).shapes[0].box
        (1.0, 0.0, 2.0, 2.0)
    """
    there = [int(code) for code in np.unique(codes) if code != 0]
    unknown = [code for code in there if code not in meanings]
    if unknown:
        raise Unreadable(expected=f"the codes {', '.join(map(str, sorted(meanings)))}", found=f"{unknown[0]} as well")
    shapes = [Shape(meanings[code], box_of(codes == code), codes == code) for code in there]
    return Drawing(codes.shape[0], codes.shape[1], tuple(shapes))
