# SPDX-License-Identifier: Apache-2.0
import io

import pytest
from PIL import ExifTags, Image

from medsetu.privacy.jpeg import audit_jpeg, exif_count, spans


def jpeg(**options):
    buffer = io.BytesIO()
    Image.new("L", (32, 24), 90).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def exif(tags):
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    return block.tobytes()


def with_segment(marker, payload):
    data = jpeg()
    return data[:2] + bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload + data[2:]


def test_a_plain_picture_is_clean():
    assert audit_jpeg(jpeg(quality=60, progressive=True)) == {}
    assert audit_jpeg(jpeg(icc_profile=b"x" * 200)) == {}


def test_comments():
    assert audit_jpeg(jpeg(comment="Smt. Devi 98765 43210")) == {
        "jpeg/comment": 1,
        "jpeg/looks like name": 1,
        "jpeg/looks like mobile": 1,
    }
    assert audit_jpeg(jpeg(comment="CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90")) == {}
    assert audit_jpeg(jpeg(comment="CREATOR: gd-jpeg ZZ^SENTINEL"))["jpeg/comment"] == 1


@pytest.mark.parametrize(
    "tag", [ExifTags.Base.Artist, ExifTags.Base.DateTime, ExifTags.Base.ImageDescription, ExifTags.Base.Model, ExifTags.Base.Copyright]
)
def test_exif_that_tells(tag):
    assert audit_jpeg(jpeg(exif=exif({tag: "ZZ^SENTINEL"}))) == {"jpeg/exif": 1}


def test_exif_of_size_and_orientation_is_harmless():
    assert audit_jpeg(jpeg(exif=exif({ExifTags.Base.Orientation: 6, ExifTags.Base.Software: "x"}))) == {}
    assert exif_count(b"Exif\0\0garbage") == 1


def test_a_place_in_exif_is_found():
    block = Image.Exif()
    block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (28.0, 36.0, 0.0)
    assert audit_jpeg(jpeg(exif=block.tobytes()))["jpeg/exif"] >= 1


@pytest.mark.parametrize(
    ("marker", "payload", "rule"),
    [
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>", "jpeg/xmp"),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x04ZZZZ", "jpeg/iptc"),
        (0xE5, b"SENTINEL", "jpeg/segment"),
    ],
)
def test_application_segments(marker, payload, rule):
    assert audit_jpeg(with_segment(marker, payload)) == {rule: 1}


def test_bytes_behind_the_end():
    assert audit_jpeg(jpeg() + b"ZZ^SENTINEL") == {"file/tail": 1}
    assert audit_jpeg(jpeg() + b"\0\0\n") == {}


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xfe", b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8" + b"\xff" * 50])
def test_torn_streams_end(data):
    list(spans(data))
    audit_jpeg(data)
