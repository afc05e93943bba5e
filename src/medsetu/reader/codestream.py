# SPDX-License-Identifier: Apache-2.0
"""Headers of JPEG, JPEG lossless, JPEG-LS and JPEG 2000 codestreams, checked before a native decoder sees the bytes.

The decoders are C and C++ libraries: one that is told 512 x 512 and meets another size, or that misses a table, may end the whole process.
Markers follow ITU-T T.81 (JPEG), T.87 (JPEG-LS) and T.800 (JPEG 2000).
"""

import struct
from dataclasses import dataclass

from medsetu.reader.guard import Unreadable

_BASELINE, _EXTENDED, _LOSSLESS, _LS = 0xC0, 0xC1, 0xC3, 0xF7
_HUFFMAN, _SCAN, _END = 0xC4, 0xDA, b"\xff\xd9"
_APP0, _SEGMENTS = 0xE0, frozenset((_HUFFMAN, _SCAN, 0xDB, 0xDD, 0xF8, 0xFE, *range(0xE0, 0xF0)))
"""Segments with a length that may stand before a scan: tables, restart interval, JPEG-LS parameters, comments and application data."""
_START_2000 = b"\xff\x4f\xff\x51"
_FAMILIES = {
    "1.2.840.10008.1.2.4.50": (_BASELINE,),
    "1.2.840.10008.1.2.4.51": (_BASELINE, _EXTENDED),
    "1.2.840.10008.1.2.4.57": (_LOSSLESS,),
    "1.2.840.10008.1.2.4.70": (_LOSSLESS,),
    "1.2.840.10008.1.2.4.80": (_LS,),
    "1.2.840.10008.1.2.4.81": (_LS,),
}
"""Transfer syntax: the frame markers it may use (PS3.5 section A.4)."""


@dataclass(frozen=True)
class Codestream:
    """What the header of a compressed frame declares.

    Attributes:
        precision: Bits per sample.
        height: Rows.
        width: Columns.
        components: Samples per pixel.
    """

    precision: int
    height: int
    width: int
    components: int


def parse_codestream(frame: bytes, syntax: str) -> Codestream:
    """Read the header of one compressed frame.

    Args:
        frame: The whole frame.
        syntax: DICOM transfer syntax UID.

    Returns:
        Precision and size.

    Raises:
        Unreadable: When the frame is truncated or no codestream of that family.
    """
    if _END not in frame[-64:]:
        raise Unreadable(expected="a complete compressed frame", found="no end marker (truncated)")
    families = _FAMILIES.get(syntax)
    return _parse_2000(frame) if families is None else _parse_jpeg(frame, families)


def _parse_2000(frame: bytes) -> Codestream:
    """SIZ segment: T.800 A.5.1."""
    if not frame.startswith(_START_2000) or len(frame) < 43:
        raise Unreadable(expected="a JPEG 2000 codestream", found="another start")
    right, bottom, left, top = struct.unpack(">4I", frame[8:24])
    components, depth = struct.unpack(">HB", frame[40:43])
    return Codestream(precision=(depth & 0x7F) + 1, height=bottom - top, width=right - left, components=components)


def _parse_jpeg(frame: bytes, families: tuple[int, ...]) -> Codestream:
    """Segments up to the first scan: T.81 B.1.1."""
    if not frame.startswith(b"\xff\xd8"):
        raise Unreadable(expected="a JPEG codestream", found="another start")
    place, marker, found = 2, 0, None
    while marker != _SCAN:
        lead, marker, length = struct.unpack(">BBH", frame[place : place + 4])
        body = frame[place + 4 : place + 2 + length]
        known = marker in _SEGMENTS or (marker in families and found is None)
        if lead != 0xFF or not known or len(body) != length - 2 or _is_odd_jfif(marker, body):
            raise Unreadable(expected="JPEG segments up to the scan", found="a broken segment")
        if marker in families:
            found = _parse_frame(body)
        elif marker == _HUFFMAN:
            _check_huffman(body)
        place += 2 + length
    if found is None:
        raise Unreadable(expected="the JPEG process of the transfer syntax", found="another one")
    return found


def _is_odd_jfif(marker: int, body: bytes) -> bool:
    """A JFIF version other than 1 is only a warning to libjpeg, but any warning about the header makes gdcm end the process."""
    return marker == _APP0 and body.startswith(b"JFIF\0") and body[5:6] != b"\x01"


def _parse_frame(body: bytes) -> Codestream:
    """Frame header: T.81 B.2.2."""
    precision, height, width, components = struct.unpack(">BHHB", body[:6])
    if len(body) != 6 + 3 * components:
        raise Unreadable(expected="a JPEG frame header", found="one of another length")
    return Codestream(precision=precision, height=height, width=width, components=components)


def _check_huffman(body: bytes) -> None:
    """Huffman tables: T.81 B.2.4.2; 16 counts, then as many symbols."""
    place = 0
    while place < len(body):
        place += 17 + sum(body[place + 1 : place + 17])
        if place > len(body):
            raise Unreadable(expected="whole Huffman tables", found="a broken one")
