# SPDX-License-Identifier: Apache-2.0
"""Items of an npz file, and archives that lie."""

import io
import zipfile

import numpy as np
import pytest

from medsetu.core.errors import DataError
from medsetu.reader import archive as door
from medsetu.reader.archive import array_shapes, item_bytes, read_item
from medsetu.reader.volume import RELATIVE

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
RGB = RNG.integers(0, 256, (3, 28, 28, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 256, (2, 28, 28, 28), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", train_images=GREY, colour=RGB, deep=DEEP, labels=np.zeros((5, 1)))
    return tmp_path / "a.npz"


def test_shapes_are_read_without_loading(path):
    assert array_shapes(path) == {"train_images": (5, 28, 28), "colour": (3, 28, 28, 3), "deep": (2, 28, 28, 28), "labels": (5, 1)}


def test_items_are_pictures_or_volumes(path):
    picture = read_item(path, "train_images/000003")
    np.testing.assert_allclose(picture.pixels, GREY[3] / 255, atol=1e-7)
    assert (picture.facts.file_format, picture.facts.bits) == ("npz", 8)
    assert read_item(path, "colour/2").facts.color_mode == "RGB"
    volume = read_item(path, "deep/1")
    np.testing.assert_allclose(volume.voxels, DEEP[1] / 255, atol=1e-7)
    assert (volume.unit, volume.is_oriented) == (RELATIVE, False)


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ("train_images/5", "a number below 5"),
        ("train_images/-1", "a number below 5"),
        ("train_images", "an array of that name"),
        ("other/0", "an array of that name"),
        ("labels/0", "8 bits"),
    ],
)
def test_what_is_not_there_is_named(path, member, told):
    with pytest.raises(DataError, match=told) as error:
        read_item(path, member, sample_id="m/0")
    assert "Sample 'm/0'" in str(error.value)


def test_items_are_told_apart(path):
    assert item_bytes(path, "train_images/0") != item_bytes(path, "train_images/1")
    flat, tall = path.parent / "flat.npz", path.parent / "tall.npz"
    np.savez(flat, x=np.zeros((1, 2, 8), np.uint8))
    np.savez(tall, x=np.zeros((1, 4, 4), np.uint8))
    assert item_bytes(flat, "x/0") != item_bytes(tall, "x/0")


def test_a_changed_file_is_read_again(path):
    first = read_item(path, "train_images/0").pixels
    np.savez_compressed(path, train_images=255 - GREY)
    np.testing.assert_allclose(read_item(path, "train_images/0").pixels, 1 - first, atol=1e-6)


def _lying(path, header):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("x.npy", header + b"\0" * 100)
    return path


def test_headers_that_lie_are_refused(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 28, 28)})
    for broken in (_lying(tmp_path / "large.npz", buffer.getvalue()), _lying(tmp_path / "none.npz", b"no array")):
        with pytest.raises(DataError):
            read_item(broken, "x/0")
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="plain arrays"):
        read_item(tmp_path / "objects.npz", "x/0")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "objects.npz").read_bytes()[:60])
    with pytest.raises(DataError, match="BadZipFile"):
        read_item(tmp_path / "cut.npz", "x/0")
    monkeypatch.setattr(door, "MAX_BYTES", 100)
    np.savez(tmp_path / "big.npz", x=GREY)
    with pytest.raises(DataError, match="a smaller size"):
        read_item(tmp_path / "big.npz", "x/0")
