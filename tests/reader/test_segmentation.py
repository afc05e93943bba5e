# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentations: bits, fractions, planes in any order and planes left out."""

import numpy as np
import pytest
from pydicom.sequence import Sequence

from fakes.dicom import SENTINEL
from fakes.segmentation import items, segmentation
from fakes.series import head, write
from medsetu.core.errors import DataError
from medsetu.reader.segmentation import read_segmentation
from medsetu.reader.series import read_series

RNG = np.random.default_rng(0)
BLEED, BONE = RNG.random((5, 6, 8)) < 0.3, RNG.random((5, 6, 8)) < 0.5


MASKS = {1: ("bleed", BLEED), 4: ("bone", BONE)}
ALL = [(number, depth) for number in MASKS for depth in (3, 0, 4, 1, 2)]


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_masks_lie_on_their_scan(tmp_path, kind):
    found = read_segmentation(segmentation(MASKS, ALL, kind=kind))
    scan = read_series(write(tmp_path / "ct", volume=head()))
    np.testing.assert_allclose(found.affine, scan.affine, atol=1e-6)
    np.testing.assert_array_equal(found.masks["bleed"], BLEED[:, ::-1, ::-1])
    np.testing.assert_array_equal(found.masks["bone"], BONE[:, ::-1, ::-1])
    assert ("fractions cut at 100" in found.steps) == (kind == "FRACTIONAL")


def test_planes_without_frame_are_empty():
    found = read_segmentation(segmentation(MASKS, [(1, 0), (1, 1), (4, 4)]))
    assert found.masks["bleed"].shape == (5, 6, 8)
    np.testing.assert_array_equal(found.masks["bleed"][:2], BLEED[:2, ::-1, ::-1])
    assert not found.masks["bleed"][2:].any()
    np.testing.assert_array_equal(found.masks["bone"][4], BONE[4, ::-1, ::-1])
    assert "planes without frame are empty" in found.steps


def test_one_frame_is_a_volume_of_one_slice():
    assert read_segmentation(segmentation(MASKS, [(1, 2)])).masks["bleed"].shape == (1, 6, 8)


@pytest.mark.parametrize(
    ("frames", "elements", "told"),
    [
        ([(1, 0), (1, 0)], {}, "one frame of a segment at each place"),
        ([(1, 0)], {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "another object"),
        ([(1, 0)], {"NumberOfFrames": 2}, "functional groups"),
        ([(1, 0)], {"SegmentSequence": Sequence([])}, "a number and a label"),
        ([(1, 0)], {"SegmentSequence": items(SegmentNumber=2, SegmentLabel="x")}, "listed segments"),
        ([(1, 0), (1, 1)], {"PixelData": b"\0\0"}, "a bit per voxel"),
    ],
)
def test_faults_have_names(frames, elements, told):
    with pytest.raises(DataError, match=told) as error:
        read_segmentation(segmentation(MASKS, frames, **elements), sample_id="r/seg")
    assert SENTINEL not in str(error.value)
