# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import RLELossless
from scripts.burnt_film import backdrop, burn, mark

from fakes.identified import dicom_bytes, image_header
from medsetu.core.errors import DataError
from medsetu.privacy.burned_in import Box, find_text
from medsetu.privacy.redact import count_text, paint, redact_dicom, redact_raster, unit_grey


def burnt_header(film, *, bits=12, compressed=False, frames=1):
    header = image_header()
    header.Rows, header.Columns = film.shape
    stored = np.round(film * (2**bits - 1)).astype("<u2")
    if frames > 1:
        header.NumberOfFrames = frames
    header.PixelData = np.repeat(stored[None], frames, axis=0).tobytes()
    header["PixelData"].VR = "OW"
    if compressed:
        header.compress(RLELossless, generate_instance_uid=False)
    return header


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_text_in_dicom_is_painted_over_and_the_rest_stays(compressed, frames):
    rng = np.random.default_rng(0)
    film, box = burn(backdrop(rng), rng)
    header = burnt_header(film, compressed=compressed, frames=frames)
    before = np.array(header.pixel_array).reshape(frames, *film.shape)
    assert count_text(dicom_bytes(header)) == frames
    assert redact_dicom(header) == frames
    assert header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    written = dicom_bytes(header)
    assert count_text(written) == 0
    after = dcmread(io.BytesIO(written)).pixel_array.reshape(frames, *film.shape)
    changed = np.argwhere((after != before).any(axis=0))
    height = box[1] - box[0]
    assert changed[:, 0].min() >= box[0] - height
    assert changed[:, 0].max() <= box[1] + height
    assert 0 < len(changed) < 6 * height * (box[3] - box[2])


def test_markers_and_compressed_pixels_without_text_stay_bit_for_bit():
    rng = np.random.default_rng(1)
    film, _ = mark(backdrop(rng), rng)
    header = burnt_header(film, compressed=True)
    before = bytes(header.PixelData)
    assert redact_dicom(header) == 0
    assert header.PixelData == before
    assert header.file_meta.TransferSyntaxUID == RLELossless


def test_an_overlay_in_unused_bits_is_masked_away():
    header = burnt_header(backdrop(np.random.default_rng(2)))
    stored = np.frombuffer(header.PixelData, "<u2").copy()
    header.PixelData = (stored | 0x8000).tobytes()
    header["PixelData"].VR = "OW"
    header.add_new(0x60000010, "US", 384)
    header.add_new(0x60000100, "US", 16)
    header.add_new(0x60000102, "US", 15)
    assert redact_dicom(header) == 0
    assert np.frombuffer(header.PixelData, "<u2").max() < 4096


@pytest.mark.parametrize(
    ("kind", "deep"), [("png", False), ("png", True), ("jpeg", False), ("tiff", False), ("tiff", True), ("pgm", False), ("pgm", True)]
)
def test_text_in_pictures_is_painted_over(kind, deep):
    rng = np.random.default_rng(4)
    film, _ = burn(backdrop(rng), rng)
    stored = np.round(film * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "pgm": "PPM"}[kind])
    boxes = find_text(film)
    assert boxes
    painted = np.asarray(Image.open(io.BytesIO(redact_raster(buffer.getvalue(), boxes, kind=kind))))
    assert painted.max() <= (65535 if deep else 255)
    assert find_text(painted.astype(np.float32) / (65535 if deep else 255)) == []


def test_paint_takes_the_colour_around():
    pixels = np.full((40, 40, 3), (10, 20, 30), np.uint8)
    pixels[10:20, 10:30] = 255
    paint(pixels, [Box(10, 20, 10, 30, 5)])
    assert (pixels == (10, 20, 30)).all()
    whole = np.full((4, 4), 7, np.uint8)
    paint(whole, [Box(0, 4, 0, 4, 5)])
    assert (whole == 7).all()


def test_grey_is_spread():
    assert unit_grey(np.full((2, 2), 5)).tolist() == [[0, 0], [0, 0]]
    assert unit_grey(np.array([[[0, 0, 0], [255, 255, 255]]])).tolist() == [[0, 1]]


def test_pixels_that_cannot_be_decoded_are_refused():
    header = image_header()
    header.PixelData = b"\0\0"
    with pytest.raises(DataError):
        redact_dicom(header)
    del header.PixelData
    assert count_text(dicom_bytes(header)) == 0
