# SPDX-License-Identifier: Apache-2.0
import gzip
import io

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from medsetu.core.errors import DataError
from medsetu.privacy.jpeg import audit_jpeg
from medsetu.privacy.nifti import audit_nifti
from medsetu.privacy.raster import audit_pgm, audit_png, audit_tiff
from medsetu.privacy.strip import strip_jpeg, strip_nifti, strip_pgm, strip_png, strip_tiff
from privacy.test_nifti import nifti

SECRET = b"SENTINEL"


def picture(deep=False):
    grey = np.random.default_rng(0).integers(0, 65536 if deep else 256, (24, 32))
    return Image.fromarray(grey.astype(np.uint16 if deep else np.uint8))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("deep", [False, True])
def test_png(deep):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", "ZZ^SENTINEL")
    info.add_itxt("XML:com.adobe.xmp", "<SENTINEL/>")
    data = saved(picture(deep), "PNG", pnginfo=info, exif=b"Exif\0\0SENTINEL", dpi=(72, 72)) + SECRET
    bare = strip_png(data)
    assert SECRET not in bare
    assert audit_png(bare) == {}
    assert np.array_equal(pixels(bare), pixels(data))


def test_jpeg():
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "ZZ^SENTINEL"
    data = saved(picture(), "JPEG", comment="ZZ^SENTINEL", exif=exif.tobytes(), icc_profile=b"SENTINEL" * 9) + SECRET
    bare = strip_jpeg(data)
    assert SECRET not in bare
    assert audit_jpeg(bare) == {}
    assert np.array_equal(pixels(bare), pixels(data))


def test_jpeg_with_two_equal_comments():
    plain = saved(picture(), "JPEG")
    comment = b"\xff\xfe\x00\x0aSENTINEL"
    bare = strip_jpeg(plain[:2] + comment + comment + plain[2:])
    assert bare == plain


def test_a_turned_picture_is_held_back():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with pytest.raises(DataError, match="turned"):
        strip_jpeg(saved(picture(), "JPEG", exif=exif.tobytes()))


@pytest.mark.parametrize("deep", [False, True])
def test_tiff_with_pages(deep):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270], info[315], info[65001] = "ZZ^SENTINEL", "Dr Rao SENTINEL", "SENTINEL"
    data = saved(picture(deep), "TIFF", tiffinfo=info, save_all=True, append_images=[picture(deep)], compression="tiff_lzw")
    bare = strip_tiff(data)
    assert SECRET not in bare
    assert audit_tiff(bare) == {}
    assert np.array_equal(pixels(bare), pixels(data))
    assert Image.open(io.BytesIO(bare)).n_frames == 2


def test_pgm():
    bare = strip_pgm(b"P5 # ZZ^SENTINEL\n# more SENTINEL\n3 2\n255\n#SENTI")
    assert bare == b"P5\n3 2\n255\n#SENTI"
    assert audit_pgm(bare) == {}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_nifti_keeps_its_voxels(tmp_path, order, packed):
    plain = nifti(texts=[(148, b"ZZ^SENTINEL"), (14, b"SENTINEL")], extension=b"ZZ^SENTINEL", order=order)[:-64] + bytes(range(64))
    (tmp_path / "a").write_bytes(gzip.compress(plain) if packed else plain)
    bare = strip_nifti(tmp_path / "a")
    (tmp_path / "b").write_bytes(bare)
    assert audit_nifti(tmp_path / "b") == {}
    unpacked = gzip.decompress(bare) if packed else bare
    assert SECRET not in unpacked
    assert len(unpacked) == len(plain)
    assert unpacked[-64:] == bytes(range(64))


@pytest.mark.parametrize("strip", [strip_png, strip_jpeg, strip_tiff])
def test_torn_files_are_refused(strip):
    kind = {strip_png: "PNG", strip_jpeg: "JPEG", strip_tiff: "TIFF"}[strip]
    data = saved(picture(), kind)
    with pytest.raises(DataError):
        strip(data[: len(data) // 2])
