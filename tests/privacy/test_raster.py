# SPDX-License-Identifier: Apache-2.0
import io
import zlib

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from medsetu.core.errors import DataError
from medsetu.privacy.raster import audit_pgm, audit_png, audit_tiff


def png(info=None, **options):
    buffer = io.BytesIO()
    Image.new("L", (32, 24), 90).save(buffer, "PNG", pnginfo=info, **options)
    return buffer.getvalue()


def with_chunk(name, content):
    data = png()
    chunk = len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


def tiff(tags):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    buffer = io.BytesIO()
    Image.new("L", (32, 24), 90).save(buffer, "TIFF", tiffinfo=info)
    return buffer.getvalue()


def test_plain_pictures_are_clean():
    assert audit_png(png(dpi=(72, 72))) == {}
    assert audit_tiff(tiff({})) == {}
    assert audit_pgm(b"P5\n2 1\n255\nab") == {}


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_text_chunks(kind):
    info = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        info.add_itxt("Comment", "Smt. Devi, 98765 43210", zip=True)
    else:
        info.add_text("Comment", "Smt. Devi, 98765 43210", zip=kind == "zTXt")
    assert audit_png(png(info)) == {"png/text": 1, "png/looks like name": 1, "png/looks like mobile": 1}


def test_a_program_may_sign():
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "matplotlib")
    assert audit_png(png(info)) == {}
    info.add_text("Software", "ZZ^SENTINEL")
    assert audit_png(png(info))["png/text"] == 1


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        (b"tIME", bytes([7, 232, 3, 1, 10, 11, 12]), "png/time"),
        (b"tEXt", b"date:create\x002024-03-01T10:11:12", "png/time"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>", "png/xmp"),
        (b"tEXt", b"Raw profile type exif\0abc", "png/exif"),
        (b"eXIf", b"broken", "png/exif"),
        (b"zzZz", b"SENTINEL", "png/chunk"),
    ],
)
def test_other_chunks(name, content, rule):
    assert audit_png(with_chunk(name, content)) == {rule: 1}


def test_bytes_behind_the_end():
    assert audit_png(png() + b"ZZ^SENTINEL") == {"file/tail": 1}


def test_a_text_that_inflates_without_end_is_cut():
    bomb = zlib.compress(bytes(50_000_000))
    assert audit_png(with_chunk(b"zTXt", b"Comment\0\0" + bomb)) == {"png/text": 1}


@pytest.mark.parametrize(
    ("tags", "rules"),
    [
        ({270: "Smt. Devi"}, {"tiff/description": 1, "tiff/looks like name": 1}),
        ({270: "ImageJ=1.53"}, {}),
        ({306: "2024:03:01 10:11:12"}, {"tiff/time": 1}),
        ({315: "Dr Rao"}, {"tiff/person": 1}),
        ({272: "Model 7"}, {"tiff/device": 1}),
        ({700: b"<x/>"}, {"tiff/block": 1}),
        ({65001: "SENTINEL"}, {"tiff/private": 1}),
        ({305: "a program"}, {}),
    ],
)
def test_tiff_tags(tags, rules):
    assert audit_tiff(tiff(tags)) == rules


def test_pgm_comments():
    assert audit_pgm(b"P5\n# ZZ^SENTINEL\n2 1\n255\nab") == {"pgm/looks like name": 1}


def test_broken_files_are_refused():
    with pytest.raises(DataError):
        audit_tiff(b"II*\0SENTINEL")
    with pytest.raises(DataError):
        audit_png(b"SENTINEL")


def test_a_packed_text_that_cannot_be_unpacked_is_a_finding_even_under_a_harmless_key():
    assert audit_png(with_chunk(b"zTXt", b"Software\0\0no deflate stream")) == {"png/text": 1}
