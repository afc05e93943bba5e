# SPDX-License-Identifier: Apache-2.0
"""Conventions of boxes, circles that count from the bottom, tables and JSON of one's own."""

import json

import numpy as np
import pytest

from medsetu.core.errors import DataError
from medsetu.reader.annotation import Drawing, Shape, box_of, circle, draw, edges_of, parse_json, read_json
from medsetu.reader.frame import Frame
from medsetu.reader.guard import Unreadable


@pytest.mark.parametrize(
    ("numbers", "form"),
    [((10, 20, 40, 60), "edges"), ((10, 20, 30, 40), "corner"), ((25, 40, 30, 40), "centre"), ((11, 21, 40, 60), "voc")],
)
def test_one_box_in_four_conventions(numbers, form):
    assert edges_of(numbers, form=form) == (10, 20, 40, 60)
    shares = np.array(numbers) / (100, 200, 100, 200)
    if form != "voc":
        np.testing.assert_allclose(edges_of(shares, form=form, height=200, width=100, relative=True), (10, 20, 40, 60))


@pytest.mark.parametrize("numbers", [(1, 2, 3), (1, 2, 1, 5), (5, 2, 1, 9), (1, 2, float("nan"), 9), (1, 2, float("inf"), 9)])
def test_what_is_no_box(numbers):
    with pytest.raises(Unreadable):
        edges_of(numbers, form="edges")
    with pytest.raises(Unreadable):
        edges_of((1, 2, 3, 4), form="polar")


def test_a_circle_counts_from_the_bottom_of_its_film():
    box, mask = circle(30, 20, 5, height=100, width=60, from_bottom=True)
    assert box == (25, 75, 35, 85)
    assert box_of(mask) == box
    assert mask.sum() == pytest.approx(np.pi * 25, rel=0.05)
    from_top, _ = circle(30, 80, 5, height=100, width=60)
    assert from_top == box
    cut, _ = circle(1, 1, 3, height=100, width=60)
    assert cut == (0, 0, 4, 4)
    for wrong in ((30, 20, 0), (30, 20, float("nan")), (-50, 20, 5)):
        with pytest.raises(Unreadable):
            circle(*wrong, height=100, width=60)


def test_a_drawing_goes_through_a_frame_and_back():
    box, mask = circle(30, 20, 8, height=100, width=60)
    drawing = Drawing(100, 60, (Shape("mass", box, mask), Shape("edge", (0.0, 90.0, 5.0, 100.0))))
    frame = Frame(100, 60).resized(200, 120).mirrored()
    there = drawing.through(frame)
    assert (there.height, there.width) == (200, 120)
    assert there.shapes[0].box == box_of(there.shapes[0].mask) == (44, 24, 76, 56)
    back = there.through(frame.back(100, 60))
    assert [shape.box for shape in back.shapes] == [shape.box for shape in drawing.shapes]
    np.testing.assert_array_equal(back.shapes[0].mask, mask)
    cropped = drawing.through(Frame(100, 60).centred(80, 40))
    assert [shape.finding for shape in cropped.shapes] == ["mass"]


def test_rows_of_a_table():
    rows = [
        {"id": "a", "who": "R1", "what": "nodule", "x0": "1", "y0": "2", "x1": "5", "y1": "9"},
        {"id": "a", "who": "R2", "what": "mass", "x0": "1.5", "y0": "2", "x1": "5", "y1": "9"},
        {"id": "b", "who": "R1", "what": "No finding", "x0": "", "y0": "", "x1": "", "y1": ""},
    ]
    columns = {"image": "id", "box": ["x0", "y0", "x1", "y1"], "finding": "what", "reader": "who"}
    found = draw(rows, columns=columns, form="edges")
    assert [(shape.finding, shape.reader, shape.box[0]) for shape in found["a"]] == [("nodule", "R1", 1), ("mass", "R2", 1.5)]
    assert found["b"] == []
    y_first = columns | {"box": ["y0", "x0", "y1", "x1"]}  # as EMBED writes: the order of the columns says it
    embed = draw([rows[0]], columns=y_first, form="edges")
    assert embed["a"][0].box == (2, 1, 9, 5)
    for cell in ("", "wide", "0.5"):
        with pytest.raises(Unreadable):
            draw([rows[0] | {"x1": cell}], columns=columns, form="edges")


def test_json_of_ones_own():
    content = {
        "boxes": [
            {"file": "a.png", "box": [1, 2, 3, 4], "label": "x", "by": 7},
            {"file": "a.png", "box": [1, 2, 3, 4], "label": "y", "by": 8},
        ]
    }
    keys = {"image": "file", "box": "box", "finding": "label", "reader": "by"}
    found = read_json(json.dumps(content).encode(), keys=keys, form="corner", items="boxes")
    assert [(shape.finding, shape.reader, shape.box) for shape in found["a.png"]] == [("x", "7", (1, 2, 4, 6)), ("y", "8", (1, 2, 4, 6))]
    plain = read_json(
        b"\xef\xbb\xbf" + json.dumps(content["boxes"]).encode(), keys={"image": "file", "box": "box"}, form="corner", finding="z"
    )
    assert plain["a.png"][0].finding == "z"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[NaN]",
        b'{"a": 1, "a": 2}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'[{"file": "a"}]',
        b'[{"file": "a", "box": ["ZZ^SENTINEL"]}]',
        b'{"b": 1}',
    ],
)
def test_broken_json_is_refused_without_its_text(data):
    with pytest.raises(DataError) as error:
        read_json(data, keys={"image": "file", "box": "box"}, form="corner", sample_id="r/a")
    assert "Sample 'r/a'" in str(error.value)
    assert "SENTINEL" not in str(error.value)


def test_the_standard_is_kept():
    assert parse_json(b'{"a": 1e3}') == {"a": 1000}
    with pytest.raises(Unreadable, match="Infinity"):
        parse_json(b"[Infinity]")
