# SPDX-License-Identifier: Apache-2.0
"""COCO JSON: ids, names, polygons and run lengths."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest

from medsetu.core.errors import DataError
from medsetu.reader.annotation import box_of
from medsetu.reader.coco import fill, read_coco
from medsetu.reader.rle import encode_counts, encode_text

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
DISC = (np.add.outer((np.arange(20) - 8) ** 2, (np.arange(30) - 11) ** 2)) < 25
CONTENT = {
    "categories": [{"id": 7, "name": "active"}, {"id": 2, "name": "latent"}],
    "images": [{"id": 1, "file_name": "b.png", "height": 20, "width": 30}, {"id": 5, "file_name": "a.png", "height": 20, "width": 30}],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 2, "bbox": [2.5, 3, 4, 5], "iscrowd": 0},
        {"id": 2, "image_id": 5, "category_id": 7, "bbox": [7, 4, 9, 9], "segmentation": {"size": [20, 30], "counts": encode_counts(DISC)}},
        {"id": 3, "image_id": 5, "category_id": 7, "segmentation": {"size": [20, 30], "counts": encode_text(DISC)}},
        {"id": 4, "image_id": 5, "category_id": 7, "bbox": [1, 1, 2, 3], "segmentation": [[1, 1, 3, 1, 3, 4, 1, 4]]},
    ],
}


def test_shapes_follow_ids_and_names():
    drawings = read_coco(json.dumps(CONTENT).encode())
    assert drawings["b.png"].shapes == ()
    shapes = drawings["a.png"].shapes
    assert [shape.finding for shape in shapes] == ["latent", "active", "active", "active"]
    assert shapes[0].box == (2.5, 3, 6.5, 8)
    assert shapes[0].mask is None
    np.testing.assert_array_equal(shapes[1].mask, DISC)
    np.testing.assert_array_equal(shapes[2].mask, DISC)
    assert shapes[2].box == box_of(DISC)
    assert shapes[3].mask.sum() == 6
    assert box_of(shapes[3].mask) == shapes[3].box


def spoilt(change):
    content = copy.deepcopy(CONTENT)
    change(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c["annotations"][0].update(image_id=9), "points nowhere"),
        (lambda c: c["annotations"][0].update(category_id=1), "points nowhere"),
        (lambda c: c["images"][0].update(id=5), "each id once in images"),
        (lambda c: c["images"][0].update(file_name="a.png"), "one entry per file name"),
        (lambda c: c["images"][0].update(height=0), "at least one pixel"),
        (lambda c: c["images"][0].update(height=10**6, width=10**6), "at most 100000000 pixels"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 0, 4]), "a box with an area"),
        (lambda c: c["annotations"][1]["segmentation"].update(size=[30, 20]), "the size of their image"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts=[1, 2]), "runs that cover"),
        (lambda c: c["annotations"][3].update(segmentation=[[1, 2, 3, 4]]), "three points"),
        (lambda c: c["annotations"][0].pop("bbox"), "neither"),
        (lambda c: c.pop("images"), "KeyError"),
    ],
)
def test_faults_have_names(change, told):
    with pytest.raises(DataError, match=told):
        read_coco(spoilt(change), sample_id="r/list.json")


def test_polygons_cover_the_pixels_whose_centre_they_hold():
    y, x = np.mgrid[:40, :50] + 0.5
    triangle = fill([[5.0, 5.0, 45.0, 8.0, 20.0, 38.0]], height=40, width=50)
    sides = [((5, 5), (45, 8)), ((45, 8), (20, 38)), ((20, 38), (5, 5))]
    inside = np.all([(b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) > 0 for a, b in sides], axis=0)
    np.testing.assert_array_equal(triangle, inside)
    assert fill([[0, 0, 99, 0, 99, 99, 0, 99]], height=4, width=5).all()
    assert fill([[0, 0, 2, 0, 2, 2, 0, 2], [3, 3, 4, 3, 4, 4, 3, 4]], height=4, width=4).sum() == 5


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_the_real_boxes_of_tbx11k():
    lists = sorted((DATA / "tbx11k_sample" / "annotations" / "json").glob("*.json"))
    drawings = {name: drawing for path in lists for name, drawing in read_coco(path.read_bytes()).items()}
    assert set(drawings) >= {"tb/tb0005.png", "tb/tb0007.png", "health/h0001.png"}
    assert drawings["health/h0001.png"].shapes == ()
    for name in ("tb/tb0005.png", "tb/tb0007.png"):
        drawing = drawings[name]
        assert (drawing.height, drawing.width) == (512, 512)
        assert drawing.shapes
        assert all(0 <= shape.box[0] < shape.box[2] <= 512 for shape in drawing.shapes)
        assert all(shape.finding.endswith("Tuberculosis") for shape in drawing.shapes)
