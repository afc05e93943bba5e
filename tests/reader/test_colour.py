# SPDX-License-Identifier: Apache-2.0
"""Colour DICOM against Pillow, and depths it may not have."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from fakes.dicom import dataset, lut, to_bytes
from fakes.series import ultrasound
from medsetu.core.errors import DataError
from medsetu.reader.colour import decode_colour, luma
from medsetu.reader.dicom import open_header, read_dicom

RGB = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def test_rgb_is_read_as_stored_and_reduced_as_pillow_does():
    header = open_header(ultrasound(RGB))
    np.testing.assert_array_equal(decode_colour(header), RGB)
    picture = read_dicom(ultrasound(RGB))
    np.testing.assert_allclose(picture.pixels * 255, np.asarray(Image.fromarray(RGB).convert("L")), atol=1.01)
    assert picture.facts.steps == ("colour to grey by luma",)
    assert picture.facts.color_mode == "RGB"


def test_planes_one_after_another_are_the_same_picture():
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1)).tobytes()
    np.testing.assert_array_equal(decode_colour(open_header(ultrasound(RGB, PlanarConfiguration=1, PixelData=planes))), RGB)


def test_ybr_becomes_rgb():
    ybr = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    found = decode_colour(open_header(ultrasound(ybr, photometric="YBR_FULL")))
    np.testing.assert_allclose(found.astype(int), RGB.astype(int), atol=3)


def test_a_jpeg_with_subsampled_colour():
    smooth = np.stack([np.add.outer(np.arange(16) * 4, np.arange(16) * 4)] * 3, axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "JPEG", quality=95)
    header = open_header(ultrasound(smooth, photometric="YBR_FULL_422"))
    header.PixelData = encapsulate([buffer.getvalue()])
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    np.testing.assert_allclose(decode_colour(header).astype(int), smooth, atol=6)


def test_palettes_are_looked_up():
    codes = np.array([[0, 1], [2, 3]], np.uint8)
    tables = {}
    for number, name in enumerate(("Red", "Green", "Blue")):
        entries = np.array([0, 80, 160, 255]) * 256 if number == 0 else np.zeros(4, int)
        table = lut(list(entries), first=0, bits=16)[0]
        tables |= {f"{name}PaletteColorLookupTableDescriptor": [4, 0, 16], f"{name}PaletteColorLookupTableData": table.LUTData}
    header = open_header(to_bytes(dataset(codes, bits=8, PhotometricInterpretation="PALETTE COLOR", **tables)))
    np.testing.assert_array_equal(decode_colour(header)[..., 0], [[0, 80], [160, 255]])
    assert not decode_colour(header)[..., 1:].any()


@pytest.mark.parametrize("elements", [{"SamplesPerPixel": 1}, {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}])
def test_other_depths_are_refused(elements):
    with pytest.raises(DataError, match="8 bits per sample"):
        read_dicom(ultrasound(RGB, **elements))


def test_equal_channels_stay_exact():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_array_equal(luma(grey), np.arange(256, dtype=np.float32) / np.float32(255))
