# SPDX-License-Identifier: Apache-2.0
"""Pictures and volumes without their metadata; pixels stay bit for bit."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Final

from PIL import Image

from medsetu.privacy.jpeg import spans
from medsetu.privacy.nifti import layout_of
from medsetu.privacy.raster import chunks
from medsetu.reader.guard import Unreadable, guarded

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"sRGB", b"cHRM", b"sBIT", b"pHYs"})
_END, _COMMENT, _FIRST, _LAST = 0xD9, 0xFE, 0xE1, 0xEF  # markers: end of image, comment, application 1 to 15
_ORIENTATION: Final = 274
_MOST_PAGES: Final = 4096


@guarded("PNG")
def strip_png(data: bytes, *, sample_id: str = "") -> bytes:
    """Keep of a PNG file what draws it.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        The file without text, time, Exif, XMP, profiles, private chunks and bytes behind its end.

    Raises:
        DataError: It has no end.
    """
    del sample_id  # used by the guard
    parts, ended = [_PNG], False
    for name, content in chunks(data):
        ended |= name == b"IEND"
        if name in _NEEDED:
            parts.append(len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big"))
    if not ended:
        raise Unreadable(expected="an intact PNG file", found="one without its end")
    return b"".join([*parts, bytes(4), b"IEND", zlib.crc32(b"IEND").to_bytes(4, "big")])


@guarded("JPEG")
def strip_jpeg(data: bytes, *, sample_id: str = "") -> bytes:
    """Keep of a JPEG file what draws it; its coefficients are not touched.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        The file without comments, Exif, XMP, IPTC, unknown segments and bytes behind its end.

    Raises:
        DataError: It has no end, or is turned by an Exif tag that would be lost.
    """
    del sample_id  # used by the guard
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
        if image.getexif().get(_ORIENTATION, 1) != 1:
            raise Unreadable(expected="an upright picture", found="one turned by its Exif tag", remedy="Turn its pixels upright first")
    out, ended = bytearray(data), False
    for marker, start, end in reversed(list(spans(data))):
        if marker == _END:
            ended = True
            del out[start + 2 :]
        elif marker == _COMMENT or (_FIRST <= marker <= _LAST and not data.startswith(b"Adobe", start + 4)):
            del out[start:end]
    if not ended:
        raise Unreadable(expected="an intact JPEG file", found="one without its end")
    return bytes(out)


@guarded("TIFF")
def strip_tiff(data: bytes, *, sample_id: str = "") -> bytes:
    """Write every page of a TIFF file anew, without compression and without tags that do not draw it.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        The file.

    Raises:
        DataError: It cannot be read.
    """
    del sample_id  # used by the guard
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        if image.getexif().get(_ORIENTATION, 1) != 1:
            raise Unreadable(expected="an upright picture", found="one turned by its tag", remedy="Turn its pixels upright first")
        pages = []
        for page in range(min(getattr(image, "n_frames", 1), _MOST_PAGES)):
            image.seek(page)
            pages.append(_bare(image))
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=len(pages) > 1, append_images=pages[1:])
    return buffer.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """The pixels alone, in the same mode."""
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    if image.palette is not None and image.mode == "P":
        bare.putpalette(image.getpalette() or [])
    return bare


@guarded("PGM")
def strip_pgm(data: bytes, *, sample_id: str = "") -> bytes:
    r"""Remove the comments in the head of a PGM file.

    Args:
        data: The file.
        sample_id: Named in errors.

    Returns:
        The file.

    Example:
        >>> strip_pgm(b"P5\n# ZZ^SENTINEL\n2 1\n255\n#b")
        b'P5\n2 1\n255\n#b'
    """
    del sample_id  # used by the guard
    kept, rest, words = [], data, 0
    while words < 4 and rest:
        line, _, rest = rest.partition(b"\n")
        line = line.split(b"#")[0]
        words += len(line.split())
        if line.strip():
            kept.append(line.rstrip())
    return b"\n".join(kept) + b"\n" + rest


@guarded("NIfTI")
def strip_nifti(path: Path, *, sample_id: str = "") -> bytes:
    """Empty the text fields and extensions of a NIfTI file; the voxels stay where they are.

    Args:
        path: The file; in gzip it comes back in gzip, without name and time.
        sample_id: Named in errors.

    Returns:
        The file.

    Raises:
        DataError: It has no such header.
    """
    del sample_id  # used by the guard
    data = path.read_bytes()
    packed = data.startswith(b"\x1f\x8b")
    plain = bytearray(gzip.decompress(data) if packed else data)
    found = layout_of(bytes(plain[:4]))
    if found is None:
        raise Unreadable(expected="a NIfTI header", found="another beginning")
    layout, order = found
    for start, end in layout.fields:
        plain[start:end] = bytes(end - start)
    offset = min(layout.voxels(bytes(plain), order), len(plain))
    if offset > layout.size:
        plain[layout.size : offset] = bytes(offset - layout.size)
    return gzip.compress(bytes(plain), mtime=0) if packed else bytes(plain)
