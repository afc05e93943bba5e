# SPDX-License-Identifier: Apache-2.0
"""Codes of masks stay codes."""

import io

import numpy as np
import pytest
from PIL import Image

from medsetu.core.errors import DataError
from medsetu.reader.guard import Unreadable
from medsetu.reader.mask import drawing_of, read_codes

CODES = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette() -> Image.Image:
    image = Image.frombytes("P", (3, 2), CODES.tobytes())
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    return image


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(CODES)),
        encoded(Image.fromarray(CODES), "TIFF"),
        encoded(Image.fromarray(CODES.astype(np.uint16))),
        encoded(Image.fromarray(CODES.astype(np.uint16)), "TIFF"),
        encoded(palette()),
        encoded(Image.fromarray(np.repeat(CODES[..., None], 3, axis=2))),
        encoded(Image.fromarray(np.dstack([np.repeat(CODES[..., None], 3, axis=2), np.full((2, 3), 255, np.uint8)]))),
    ],
)
def test_codes_are_kept_in_every_coding(data):
    codes = read_codes(data)
    np.testing.assert_array_equal(codes, CODES)
    assert codes.dtype == np.int32


def test_one_bit_is_nought_and_one():
    assert read_codes(encoded(Image.fromarray(CODES > 0))).tolist() == (CODES > 0).astype(int).tolist()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (encoded(Image.fromarray(CODES), "JPEG"), "blurred"),
        (encoded(Image.fromarray(np.dstack([CODES, CODES, 1 - CODES]))), "equal channels"),
        (encoded(Image.fromarray(CODES), "TIFF", save_all=True, append_images=[Image.fromarray(CODES)]), "one page"),
        (encoded(Image.fromarray(CODES.astype(np.float32)), "TIFF"), "another colour space"),
        (b"no picture", "cannot decode"),
        (encoded(Image.fromarray(CODES))[:40], "cannot decode"),
    ],
)
def test_what_is_no_mask_is_refused(data, told):
    with pytest.raises(DataError, match=told):
        read_codes(data, sample_id="r/m.png")


def test_codes_get_names():
    drawing = drawing_of(CODES.astype(np.int32), {1: "lung", 2: "heart", 3: "rib"})
    assert [(shape.finding, shape.box) for shape in drawing.shapes] == [("lung", (1, 0, 2, 1)), ("heart", (0, 0, 3, 2))]
    with pytest.raises(Unreadable, match="255 as well"):
        drawing_of(np.array([[0, 255]], np.int32), {1: "lung"})
