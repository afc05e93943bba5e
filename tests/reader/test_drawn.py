# SPDX-License-Identifier: Apache-2.0
"""Every way to keep a drawing gives the same pixels; what does not fit is refused, and what is fitted says so."""

import math
import re

import numpy as np
import pytest
from PIL import Image

from fakes.cbis_ddsm import dicom
from medsetu.core.errors import DataError
from medsetu.reader.annotation import box_of
from medsetu.reader.drawn import AS_DRAWN, CUT, SCALED, Drawn, place

HEIGHT, WIDTH = 60, 40
BOX = (10.0, 20.0, 30.0, 50.0)


def rectangle(height=HEIGHT, width=WIDTH, box=BOX):
    mask = np.zeros((height, width), bool)
    mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
    return mask


def runs_of(mask):
    """SIIM's pairs, written by hand: each start counts from the end of the last run, down the columns."""
    flat, pairs, end, at = mask.ravel(order="F"), [], 0, 0
    while at < flat.size:
        if flat[at]:
            length = int(np.argmin(np.append(flat[at:], False)))
            pairs += [at - end, length]
            end = at = at + length
        else:
            at += 1
    return " ".join(map(str, pairs))


def put(drawn, root, *, height=HEIGHT, width=WIDTH):
    return place(drawn, root=root, height=height, width=width, sample_id="a/1")


def test_one_rectangle_in_every_kind(tmp_path):
    Image.fromarray(rectangle().astype(np.uint8) * 255).save(tmp_path / "mask.png")
    Image.fromarray(rectangle()).save(tmp_path / "one_bit.tif")
    dicom(tmp_path / "mask.dcm", rectangle().astype(float), key="m")
    masks = [
        Drawn("runs", content=runs_of(rectangle())),
        Drawn("polygon", content="10 20 30 20 30 50 10 50"),
        *(Drawn("mask", content=name) for name in ("mask.png", "one_bit.tif", "mask.dcm")),
    ]
    for drawn in masks:
        box, mask, note = put(drawn, tmp_path)
        assert (box, note) == (BOX, AS_DRAWN)
        np.testing.assert_array_equal(mask, rectangle())
    for drawn in (Drawn("box", BOX), Drawn("share", (0.25, 1 / 3, 0.75, 5 / 6))):
        box, mask, note = put(drawn, tmp_path)
        assert box == pytest.approx(BOX)
        assert (mask, note) == (None, AS_DRAWN)


def test_a_circle_is_its_disc(tmp_path):
    box, mask, _ = put(Drawn("circle", (10, 20, 20, 30)), tmp_path)
    assert box == box_of(mask) == (10, 20, 20, 30)
    assert mask.sum() == pytest.approx(math.pi * 25, rel=0.05)


def test_a_drawing_follows_a_reduced_copy_and_says_so(tmp_path):
    drawn = Drawn("box", tuple(4 * edge for edge in BOX), height=4 * HEIGHT, width=4 * WIDTH)
    assert put(drawn, tmp_path) == (BOX, None, SCALED)
    large = rectangle(4 * HEIGHT, 4 * WIDTH, tuple(4 * edge for edge in BOX))
    box, mask, note = put(Drawn("runs", content=runs_of(large), height=4 * HEIGHT, width=4 * WIDTH), tmp_path)
    assert (box, note) == (BOX, SCALED)
    np.testing.assert_array_equal(mask, rectangle())


def test_what_reaches_over_the_border_is_cut_and_says_so(tmp_path):
    assert put(Drawn("box", (-3.5, 20, 10, 70)), tmp_path) == ((0, 20, 10, 60), None, CUT)
    box, mask, note = put(Drawn("circle", (-5, 20, 5, 30)), tmp_path)
    assert (box, note) == ((0, 20, 5, 30), CUT)
    assert box_of(mask) == box


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (Drawn("box", (5, 5, 5, 9)), "no area"),
        (Drawn("box", (9, 5, 5, 9)), "no area"),
        (Drawn("box", (math.nan, 5, 6, 9)), "no area"),
        (Drawn("box"), "no area"),
        (Drawn("box", (41, 5, 50, 9)), "outside the image"),
        (Drawn("box", (-9, 5, -1, 9)), "outside the image"),
        (Drawn("circle", (90, 90, 99, 99)), "beside it"),
        (Drawn("box", BOX, height=60, width=60), "another shape"),
        (Drawn("runs", content="2399 5"), "others"),
        (Drawn("runs", content="1 2", height=40, width=60), "another shape"),
        (Drawn("polygon", content="1 1 2 2"), "4 numbers"),
        (Drawn("mask", content="gone.png"), "could be read|cannot|no such|No such|missing|broken"),
        (Drawn("mask", content="small.png"), "another shape"),
        (Drawn("mask", content="black.png"), "empty mask"),
        (Drawn("mask", content="film.dcm"), "another shape"),
        (Drawn("colour", BOX), "another"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, drawn, said):
    Image.new("L", (8, 8), 255).save(tmp_path / "small.png")
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "black.png")
    dicom(tmp_path / "film.dcm", np.random.default_rng(0).random((HEIGHT, WIDTH)), key="f")
    with pytest.raises(DataError) as refused:
        put(drawn, tmp_path)
    assert re.search(said, refused.value.what), refused.value.what
    assert "a/1" in refused.value.where


def test_of_a_folder_the_mask_of_the_size_of_the_film_counts(tmp_path):
    """CBIS-DDSM exchanges the names of crop and mask in some rows, and a crop may be as large as its film."""
    rng = np.random.default_rng(0)
    dicom(tmp_path / "lesion" / "s" / "1-1.dcm", rng.random((20, 20)), key="crop")
    dicom(tmp_path / "lesion" / "t" / "1-2.dcm", rectangle().astype(float), key="mask")
    np.testing.assert_array_equal(put(Drawn("mask", content="lesion"), tmp_path)[1], rectangle())
    dicom(tmp_path / "lesion" / "t" / "1-3.dcm", rng.random((HEIGHT, WIDTH)), key="large")
    np.testing.assert_array_equal(put(Drawn("mask", content="lesion"), tmp_path)[1], rectangle())
    dicom(tmp_path / "lesion" / "t" / "1-4.dcm", rectangle().astype(float), key="second")
    with pytest.raises(DataError, match="several"):
        put(Drawn("mask", content="lesion"), tmp_path)
