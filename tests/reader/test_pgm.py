# SPDX-License-Identifier: Apache-2.0
"""Portable grey maps: header, depth, order of bytes, and what is refused."""

import numpy as np
import pytest

from medsetu.core.errors import DataError
from medsetu.reader.raster import read_raster


@pytest.mark.parametrize("header", [b"P5 2 1 255\n", b"P5\n# made by a scanner\n2 1\n# more\n255\n", b"P5\r\n2\t1 255 "])
def test_header_forms(header: bytes) -> None:
    picture = read_raster(header + bytes([0, 255]))
    assert picture.pixels.tolist() == [[0.0, 1.0]]
    assert (picture.facts.file_format, picture.facts.bits, picture.facts.file_bytes) == ("pgm", 8, len(header) + 2)


def test_first_pixel_may_look_like_space() -> None:
    assert read_raster(b"P5 2 1 255\n" + b" \n").pixels.tolist() == [[np.float32(32 / 255), np.float32(10 / 255)]]


def test_two_bytes_are_big_endian_and_maxval_is_white() -> None:
    picture = read_raster(b"P5 3 1 4095 " + np.array([0, 2048, 4095], ">u2").tobytes())
    np.testing.assert_allclose(picture.pixels, [[0, 2048 / 4095, 1]], rtol=1e-6)
    assert picture.facts.bits == 12
    assert picture.facts.steps == ("scaled by declared maxval 4095",)


def test_maxval_is_respected_not_the_brightest_pixel() -> None:
    assert read_raster(b"P5 2 1 200 " + bytes([50, 100])).pixels.tolist() == [[0.25, 0.5]]


def test_plain_form_agrees_with_raw_form() -> None:
    values = np.arange(12).reshape(3, 4) * 90
    plain = b"P2 # c\n4 3\n1000\n" + b"\n".join(b" ".join(b"%d" % v for v in row) + b" # row" for row in values)
    raw = b"P5 4 3 1000 " + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(read_raster(plain).pixels, read_raster(raw).pixels)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"P5", "another header"),
        (b"P5 2 x 255 ab", "another header"),
        (b"P5 0 4 255 ", "0"),
        (b"P5 99999 99999 255 ab", "99999 x 99999"),
        (b"P5 2 1 0 ab", "0"),
        (b"P5 2 1 70000 abcd", "70000"),
        (b"P5 2 2 255 abc", r"3 \(truncated\)"),
        (b"P5 2 1 255 abP5 2 1 255 ab", "further data"),
        (b"P5 2 1 100 " + bytes([50, 101]), "a larger value"),
        (b"P2 2 1 255 7", "1 readable"),
        (b"P2 2 1 255 7 x", "1 readable|cannot decode"),
        (b"P2 2 1 255 7 -1", "2 readable"),
        (b"P2 2 1 255 7 8 9", "3 readable"),
        (b"P2 2 1 255 7 99999999999", "a larger value"),
    ],
)
def test_contradictions_are_refused(data: bytes, found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_raster(data, sample_id="s")
