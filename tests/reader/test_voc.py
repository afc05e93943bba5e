# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC: pixels from 1, and documents that are weapons."""

import pytest

from medsetu.core.errors import DataError
from medsetu.reader.voc import MAX_DEPTH, read_voc

OBJECT = "<object><name>{name}</name><part><name>tail</name></part><difficult>0</difficult><bndbox>\
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>\
<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
PAGE = "<annotation><filename>ZZ^SENTINEL.png</filename><size><width>60</width><height>100</height><depth>3</depth></size>{}</annotation>"


def page(*objects: str) -> bytes:
    return PAGE.format("".join(objects)).encode()


def test_pixels_count_from_one_and_the_last_belongs_to_the_box():
    drawing = read_voc(page(OBJECT.format(name="mass", box=(1, 1, 60, 100)), OBJECT.format(name="node", box=(5, 6, 5, 6))))
    assert (drawing.height, drawing.width) == (100, 60)
    assert [(shape.finding, shape.box) for shape in drawing.shapes] == [("mass", (0, 0, 60, 100)), ("node", (4, 5, 5, 6))]
    from_nought = read_voc(page(OBJECT.format(name="mass", box=(0, 0, 59, 99))), first_pixel=0)
    assert from_nought.shapes[0].box == (0, 0, 60, 100)


def test_a_page_without_objects():
    assert read_voc(page()).shapes == ()


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">]><annotation>&lol3;</annotation>"""
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BOMB, "without a document type"),
        (OUTSIDE, "without a document type"),
        (b"", "well-formed XML"),
        (b"<annotation>", "well-formed XML"),
        (b"<annotation></annotation>", "at least one pixel"),
        (b"no xml", "well-formed XML"),
        (b"<a>" * (MAX_DEPTH + 1), "nested elements"),
        (b"<annotation><size><width>wide</width></size></annotation>", "ValueError"),
        (page(OBJECT.format(name="", box=(1, 1, 2, 2))), "name of every object"),
        (page(OBJECT.format(name="a", box=("", 1, 2, 2))), "xmin of every object"),
        (page(OBJECT.format(name="a", box=(9, 1, 2, 2))), "a box with an area"),
        (page(OBJECT.format(name="a", box=("nan", 1, 2, 2))), "four finite numbers"),
        (page("<object></object>"), "name of every object"),
    ],
)
def test_weapons_and_faults_are_refused(data, told):
    with pytest.raises(DataError, match=told) as error:
        read_voc(data, sample_id="r/a.xml")
    assert "SENTINEL" not in str(error.value)


def test_an_undeclared_entity_and_a_truncated_page():
    for data in (b"<annotation>&lol;</annotation>", page()[:-5]):
        with pytest.raises(DataError):
            read_voc(data)
