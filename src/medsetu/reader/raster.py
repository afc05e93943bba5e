# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG, TIFF and PGM to grey in [0, 1]; every reduction of depth, colour or transparency is named in the facts."""

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.pgm import parse_pgm
from medsetu.reader.picture import Facts, Picture, check_size, to_unit

_FORMATS: Final = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "TIFF": "tiff"}
_DEEP: Final = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_WHITE_IS_ZERO: Final = 0
_UNSIGNED: Final = 1

_Stored = NDArray[np.unsignedinteger]
_TURNS: Final[dict[int, Callable[[_Stored], _Stored]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[:, ::-1],
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[::-1],
}
"""EXIF orientation (tag 274): how to turn the stored rows and columns upright."""


@guarded("raster")
def read_raster(data: bytes, *, sample_id: str = "") -> Picture:
    """Read a PNG, JPEG, TIFF or PGM image.

    Sixteen-bit values are scaled by the range their file declares, palettes are looked up, colour is reduced by ITU-R 601-2 luma (exact
    where the channels are equal), and transparent pixels are laid over black, the background of a film. EXIF orientation is applied.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        The picture; ``facts.steps`` lists each reduction in order.

    Raises:
        DataError: For truncated or broken files, several pages, signed, floating or 32-bit samples, and decompression bombs.
    """
    del sample_id  # used by the guard
    if data[:2] in (b"P2", b"P5"):
        return _read_pgm(data)
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
        return _read_pillow(image, data)


def _read_pgm(data: bytes) -> Picture:
    stored, top = parse_pgm(data)
    height, width = stored.shape
    steps = (f"scaled by declared maxval {top}",)
    facts = Facts("pgm", "L" if top < 256 else "I;16", height, width, bits=top.bit_length(), file_bytes=len(data), steps=steps)
    return Picture(to_unit(stored, top), facts)


def _read_pillow(image: Image.Image, data: bytes) -> Picture:
    check_size(image.height, image.width)
    file_format, mode, bits = _FORMATS[str(image.format)], image.mode, _declared_bits(image, data)
    steps = _check_pages(image)
    negative = mode in _DEEP and file_format == "tiff" and _tag(image, ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO
    orientation = _orientation(image)
    steps += _load(image)
    grey, top, reductions = _reduce(image, bits)
    if negative:  # Pillow inverts 8 bits only
        grey = top - grey
        reductions += ("inverted (white is zero)",)
    if orientation in _TURNS:
        steps += (f"turned upright from EXIF orientation {orientation}",)
        if _orientation(image) == orientation:  # Pillow turns a TIFF by itself while it loads
            grey = _TURNS[orientation](grey)
    steps += (*reductions, f"scaled by declared maximum {top}")
    height, width = grey.shape
    facts = Facts(file_format, mode, height, width, bits=bits, file_bytes=len(data), steps=steps)
    return Picture(to_unit(grey, top), facts)


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _load(image: Image.Image) -> tuple[str, ...]:
    """Decode; of a colour JPEG only the luma, which is stored as a channel of its own."""
    luma_only = image.format in ("JPEG", "MPO") and image.mode == "RGB"
    if luma_only:
        image.draft("L", image.size)
    image.load()
    return ("colour to grey by luma",) if luma_only and image.mode == "L" else ()


def _tag(image: Image.Image, tag: int) -> int:
    value = image.tag_v2.get(tag, 1)  # type: ignore[attr-defined]  # TIFF images only
    return int(value[0] if isinstance(value, tuple) else value)


def _declared_bits(image: Image.Image, data: bytes) -> int:
    """Bits per sample by the file's own header; Pillow does not keep them for every format."""
    if image.format == "PNG":
        return data[24]  # PNG specification: bit depth in IHDR
    if image.format != "TIFF":
        return 8
    bits = _tag(image, ExifTags.Base.BitsPerSample)
    if _tag(image, ExifTags.Base.SampleFormat) != _UNSIGNED or bits > 16:
        raise Unreadable(
            expected="unsigned samples of at most 16 bits",
            found="signed, floating or wider ones",
            remedy="Convert with a known window first",
        )
    return bits


def _check_pages(image: Image.Image) -> tuple[str, ...]:
    pages = getattr(image, "n_frames", 1)
    if pages == 1:
        return ()
    if image.format == "TIFF":
        raise Unreadable(expected="one page", found=f"{pages} pages", remedy="Export the page that is meant to a file of its own")
    return (f"first of {pages} pictures",)  # MPO previews of a camera, APNG frames: the first is the picture


def _reduce(image: Image.Image, bits: int) -> tuple[_Stored, int, tuple[str, ...]]:
    """Reduce any mode to one grey channel: (H, W) stored values, the value of white, and what was done."""
    if image.mode in _DEEP:
        ignored = ("transparency key ignored",) if "transparency" in image.info else ()
        return np.asarray(image).astype(np.uint16, copy=False), (1 << bits) - 1, ignored
    steps: tuple[str, ...] = (f"reduced from {bits} to 8 bits",) if bits > 8 else ()
    if image.mode in ("P", "PA"):
        steps += ("palette looked up",)
    if image.has_transparency_data:
        return _over_black(image, steps)
    return _grey(image, steps)


def _grey(image: Image.Image, steps: tuple[str, ...]) -> tuple[_Stored, int, tuple[str, ...]]:
    if image.mode == "L":
        return np.asarray(image), 255, steps
    if image.mode == "1":
        return np.asarray(image.convert("L")), 255, (*steps, "one bit to black and white")
    if image.mode == "CMYK":
        return np.asarray(image.convert("RGB").convert("L")), 255, (*steps, "CMYK inks to RGB", "colour to grey by luma")
    if image.mode in ("P", "RGB", "YCbCr"):
        return np.asarray(image.convert("RGB").convert("L")), 255, (*steps, "colour to grey by luma")
    raise Unreadable(expected="grey, palette, RGB or CMYK samples", found="another colour space", remedy="Convert the image to grey first")


def _over_black(image: Image.Image, steps: tuple[str, ...]) -> tuple[_Stored, int, tuple[str, ...]]:
    """Lay transparent pixels over black: what a viewer shows on the black background of a film; opaque alpha is dropped."""
    layered = image.convert("LA") if image.mode in ("1", "L", "LA", "La") else image.convert("RGBA")
    alpha = np.asarray(layered.getchannel("A"))
    if not alpha.any():
        raise Unreadable(expected="visible pixels", found="a wholly transparent image")
    grey, top, steps = _grey(layered.convert(layered.mode[:-1]), steps)  # LA to L, RGBA to RGB: the stored colour, without alpha
    if alpha.min() == 255:
        return grey, top, (*steps, "opaque alpha dropped")
    shown = (grey.astype(np.uint16) * alpha + 127) // 255
    return shown, top, (*steps, "transparent pixels over black")
