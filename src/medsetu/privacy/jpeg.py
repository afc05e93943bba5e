# SPDX-License-Identifier: Apache-2.0
"""Metadata of a JPEG stream: comments, Exif, XMP, IPTC, application segments, and what stands after its end."""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Final

from PIL import Image

from medsetu.privacy.pattern import looks_like

_SOI, _EOI, _SOS, _COM, _APP0, _APP15 = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0, 0xEF
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_ENCODERS: Final = (
    b"CREATOR: gd-jpeg",
    b"Intel(R) JPEG Library",
    b"LEAD Technologies",
    b"File written by Adobe",
    b"Lavc",
    b"Created with GIMP",
)
_HARMLESS: Final = (b"JFIF\0", b"JFXX\0", b"ICC_PROFILE\0", b"Adobe", b"Ducky")
_EXIF: Final = b"Exif\0\0"
_TECHNICAL: Final = frozenset(
    {256, 257, 258, 259, 262, 274, 277, 282, 283, 284, 296, 301, 305, 318, 319, 529, 530, 531, 532, 34665, 40965}
    | {36864, 37121, 37122, 40960, 40961, 40962, 40963, 41486, 41487, 41488, 41495}
)
"""Exif tags of size, colour, resolution, orientation and program: they tell of no person, place or time."""


def spans(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Go through the marker segments of a JPEG stream, up to and beyond its scans.

    Args:
        data: Bytes that begin with the start of an image.

    Yields:
        Marker (second byte), where it stands, and where its payload ends; the end of the image reaches to the end of the bytes.

    Example:
        >>> list(spans(bytes.fromhex("ffd8fffe0005686920ffd978")))
        [(254, 2, 9), (217, 9, 12)]
    """
    at = 2
    while at + 1 < len(data):
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _EOI:
            yield marker, at, len(data)
            return
        end = at + 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
        yield marker, at, min(end, len(data))
        at = end


def audit_jpeg(data: bytes) -> Counter[str]:
    """Audit the metadata of a JPEG stream.

    Args:
        data: The stream.

    Returns:
        Rule -> count.
    """
    found: Counter[str] = Counter()
    for marker, start, end in spans(data):
        payload = data[start + (2 if marker == _EOI else 4) : end]
        if marker == _COM:
            found.update(_comment(payload))
        elif marker == _APP0 + 1:
            found.update(_app1(payload))
        elif marker == _EOI:
            found["file/tail"] += int(bool(payload.strip(b"\0\n\r ")))
        elif _APP0 <= marker <= _APP15 and not payload.startswith(_HARMLESS):
            found[_application(payload)] += 1
    return +found


def _comment(payload: bytes) -> Counter[str]:
    if not payload.strip(b"\0 \r\n"):
        return Counter()
    patterns = looks_like(payload.decode("latin-1"))
    if payload.startswith(_ENCODERS) and not patterns:
        return Counter()
    return Counter({"jpeg/comment": 1}) + Counter({f"jpeg/looks like {name}": count for name, count in patterns.items()})


def _app1(payload: bytes) -> Counter[str]:
    if not payload.startswith(_EXIF):
        return Counter({"jpeg/xmp" if b"ns.adobe.com" in payload[:40] else "jpeg/segment": 1})
    return Counter({"jpeg/exif": count} if (count := exif_count(payload)) else {})


def exif_count(block: bytes) -> int:
    """Count the tags of an Exif block that tell more than size, colour, resolution, orientation and program.

    Args:
        block: The block, with or without ``Exif`` before it.

    Returns:
        How many; 1 for a block that cannot be read.
    """
    exif = Image.Exif()
    try:
        exif.load(block)
        tags = set(exif) | set(exif.get_ifd(0x8769)) | set(exif.get_ifd(0x8825))
    except (ValueError, TypeError, SyntaxError, LookupError, OSError, OverflowError, struct.error):
        return 1
    return len(tags - _TECHNICAL)


def _application(payload: bytes) -> str:
    if payload.startswith(b"Photoshop 3.0\0"):
        return "jpeg/iptc"
    return "jpeg/segment"
