# SPDX-License-Identifier: Apache-2.0
"""Headers of JPEG, JPEG lossless, JPEG-LS and JPEG 2000 codestreams, checked before a native decoder sees the bytes.

The decoders are C and C++ libraries: one that is told 512 x 512 and meets another size, or that misses a table, may end the whole process.
Markers follow ITU-T T.81 (JPEG), T.87 (JPEG-LS) and T.800 (JPEG 2000).
"""

import struct
from dataclasses import dataclass

from medsetu.reader.guard import Unreadable

_BASELINE, _EXTENDED, _LOSSLESS, _LS = 0xC0, 0xC1, 0xC3, 0xF7
_SCAN, _END = 0xDA, b"\xff\xd9"
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
    place, found = 2, None
    while True:
        lead, marker, length = struct.unpack(">BBH", frame[place : place + 4])
        if lead != 0xFF or length < 2 or place + 2 + length > len(frame):
            raise Unreadable(expected="JPEG segments up to the scan", found="a broken segment")
        if marker == _SCAN:
            break
        if marker in families and found is None:
            found = Codestream(*struct.unpack(">BHHB", frame[place + 4 : place + 10]))
        place += 2 + length
    if found is None:
        raise Unreadable(expected="the JPEG process of the transfer syntax", found="another one")
    return found
