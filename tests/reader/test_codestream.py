# SPDX-License-Identifier: Apache-2.0
"""Compressed frames are understood, and broken ones are refused before a native decoder sees them."""

import io

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import get_frame

from fakes.dicom import dataset, to_bytes
from medsetu.reader.codestream import Codestream, parse_codestream
from medsetu.reader.guard import Unreadable

SYNTAXES = [uid.JPEGBaseline8Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless]


def frame_of(syntax: str, bits: int = 8) -> bytes:
    pixels = (np.arange(40 * 64).reshape(40, 64) % (1 << bits)).astype(np.uint8 if bits == 8 else np.uint16)
    return get_frame(dcmread(io.BytesIO(to_bytes(dataset(pixels, bits=bits), syntax))).PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_size_and_precision_are_read(syntax: str) -> None:
    assert parse_codestream(frame_of(syntax), syntax) == Codestream(precision=8, height=40, width=64, components=1)
    if syntax != uid.JPEGBaseline8Bit:
        assert parse_codestream(frame_of(syntax, 12), syntax).precision in (12, 16)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_truncation_is_seen(syntax: str) -> None:
    frame = frame_of(syntax).rstrip(b"\0")
    with pytest.raises(Unreadable) as caught:
        parse_codestream(frame[:-2], syntax)
    assert "truncated" in caught.value.found


@pytest.mark.parametrize(("syntax", "other"), [(uid.JPEGLosslessSV1, uid.JPEGBaseline8Bit), (uid.JPEGBaseline8Bit, uid.JPEG2000Lossless)])
def test_another_family_is_refused(syntax: str, other: str) -> None:
    with pytest.raises(Unreadable):
        parse_codestream(frame_of(other), syntax)


def mutated(frame: bytes, marker: bytes, offset: int, value: int) -> bytes:
    """Overwrite one byte behind the first occurrence of a marker."""
    broken = bytearray(frame)
    broken[frame.index(marker) + offset] = value
    return bytes(broken)


@pytest.mark.parametrize(
    ("marker", "offset", "value"),
    [
        (b"\xff\xc4", 0, 0x00),  # no marker where one belongs
        (b"\xff\xc4", 1, 0xD3),  # a restart marker has no length: libjpeg warns, gdcm ends the process
        (b"\xff\xc4", 2, 0xFF),  # a segment longer than the frame
        (b"\xff\xc4", 19, 0xFF),  # more symbols than the table holds
        (b"\xff\xc3", 9, 3),  # three components announced, one described
        (b"\xff\xc3", 1, 0xC0),  # another process
    ],
)
def test_broken_lossless_headers_are_refused(marker: bytes, offset: int, value: int) -> None:
    with pytest.raises(Unreadable):
        parse_codestream(mutated(frame_of(uid.JPEGLosslessSV1), marker, offset, value), uid.JPEGLosslessSV1)


def test_an_odd_jfif_version_is_refused() -> None:
    frame = frame_of(uid.JPEGLosslessSV1)
    jfif = b"\xff\xe0\x00\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0"
    parse_codestream(frame[:2] + jfif + frame[2:], uid.JPEGLosslessSV1)
    with pytest.raises(Unreadable):
        parse_codestream(frame[:2] + jfif.replace(b"\0\x01\x02", b"\0\x07\x02") + frame[2:], uid.JPEGLosslessSV1)
