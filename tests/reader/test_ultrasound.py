# SPDX-License-Identifier: Apache-2.0
"""Calibrated regions of ultrasound."""

import math

import numpy as np
import pytest

from fakes.series import region, ultrasound
from medsetu.core.errors import DataError
from medsetu.reader.dicom import open_header, read_dicom
from medsetu.reader.ultrasound import only_tissue, regions

RGB = np.zeros((20, 30, 3), np.uint8)
RGB[5:15, 4:25] = 200


def test_boxes_have_edges_and_millimetres():
    found = regions(open_header(ultrasound(RGB, found=[region((4, 5, 24, 14)), region((0, 15, 29, 19), kind=3, units=4)])))
    assert [(item.kind, item.box) for item in found] == [("tissue", (4, 5, 25, 15)), ("spectrum", (0, 15, 30, 20))]
    assert found[0].spacing_mm == pytest.approx((0.2, 0.2))
    assert all(math.isnan(value) for value in found[1].spacing_mm)


def test_what_is_left_holds_tissue_only():
    found = regions(open_header(ultrasound(RGB, found=[region((4, 5, 24, 14))])))
    shown = only_tissue(read_dicom(ultrasound(RGB)).pixels, found)
    assert shown.shape == (10, 21)
    assert shown.min() > 0.7
    assert only_tissue(shown, ()).shape == shown.shape


def test_the_picture_knows_its_spacing():
    assert read_dicom(ultrasound(RGB, found=[region((4, 5, 24, 14))])).facts.spacing_mm == pytest.approx(0.2)
    two = [region((0, 0, 9, 9)), region((10, 0, 19, 9), delta=0.03)]
    assert math.isnan(read_dicom(ultrasound(RGB, found=two)).facts.spacing_mm)


def test_a_region_beyond_the_picture_is_refused():
    for box in ((4, 5, 30, 14), (4, 5, 24, 20), (9, 5, 4, 14)):
        with pytest.raises(DataError, match="inside the picture"):
            read_dicom(ultrasound(RGB, found=[region(box)]))
