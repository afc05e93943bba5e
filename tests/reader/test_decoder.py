# SPDX-License-Identifier: Apache-2.0
"""One frame of many, and codestreams that contradict their header."""

import numpy as np
import pytest
from pydicom import uid

from fakes.dicom import dataset, to_bytes
from medsetu.reader.decoder import check_stream, decode, look_up
from medsetu.reader.dicom import open_header
from medsetu.reader.grey import Coding
from medsetu.reader.guard import Unreadable

FILM = np.random.default_rng(0).integers(0, 4096, (3, 40, 64), dtype=np.uint16)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless])
def test_each_frame_is_found(syntax):
    header = open_header(to_bytes(dataset(FILM[0], bits=16, NumberOfFrames=3, PixelData=FILM.tobytes()), syntax))
    for index, expected in enumerate(FILM):
        np.testing.assert_array_equal(decode(header, Coding(16, signed=False), index=index, frames=3), expected)


def test_a_codestream_of_another_size_never_reaches_its_decoder():
    header = open_header(to_bytes(dataset(FILM[0], bits=16), uid.JPEG2000Lossless))
    header.Rows = 41
    with pytest.raises(Unreadable, match="declared size"):
        check_stream(header, uid.JPEG2000Lossless)
    with pytest.raises(Unreadable, match="still images"):
        check_stream(header, uid.MPEG2MPML)


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless])
@pytest.mark.parametrize(("keyword", "value"), [("BitsAllocated", 32), ("BitsAllocated", 12), ("Columns", 65), ("SamplesPerPixel", 3)])
def test_gdcm_is_never_given_what_would_end_its_process(monkeypatch, syntax, keyword, value):
    header = open_header(to_bytes(dataset(FILM[0], bits=12), syntax))
    check_stream(header, syntax)
    setattr(header, keyword, value)
    monkeypatch.setattr("medsetu.reader.decoder.get_decoder", lambda _: pytest.fail("the native decoder was asked"))
    with pytest.raises(Unreadable, match="declared size"):
        decode(header, Coding(12, signed=False))


def test_values_beyond_their_bits_are_refused():
    header = open_header(to_bytes(dataset(FILM[0] + 4096, bits=12)))
    with pytest.raises(Unreadable, match="12 bits"):
        decode(header, Coding(12, signed=False))


def test_signed_values_are_looked_up_by_their_pattern():
    table = np.arange(16, dtype=np.float32)
    stored = np.array([[-1, 0, 7, -8]], np.int16)
    assert look_up(table, stored, Coding(4, signed=True)).tolist() == [[15, 0, 7, 8]]
