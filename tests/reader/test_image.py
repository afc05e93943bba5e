# SPDX-License-Identifier: Apache-2.0
"""The one door: dispatch by content, refusals for everything else, fuzzed bytes, and real files."""

import io
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread, uid
from pydicom.pixels import apply_voi_lut

from fakes.dicom import dataset, to_bytes
from medsetu.core.errors import DataError
from medsetu.reader import image as door
from medsetu.reader.image import Picture, read_image

RAMP = (np.add.outer(np.arange(40), np.arange(64)) * 2).astype(np.uint8)
DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(RAMP)
    if kind == "DICOM":
        return to_bytes(dataset(RAMP, bits=8))
    if kind == "PGM":
        return b"P5 64 40 255\n" + RAMP.tobytes()
    image.save(buffer, kind)
    return buffer.getvalue()


# --- dispatch


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "PGM", "DICOM"])
@pytest.mark.parametrize("name", ["film.png", "film.dcm", "film"])
def test_content_decides_not_the_name(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(kind))
    picture = read_image(path)
    assert picture.facts.file_format == kind.lower()
    assert picture.facts.file_bytes == path.stat().st_size
    np.testing.assert_allclose(picture.pixels, RAMP / 255, atol=0.02)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"<html>not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x1f\x8b....", "gzip"),
        (b"GIF89a......", "GIF"),
        (b"just text", "another kind of file"),
        (b"\x89PN", "another kind of file"),
        (b"P7\nWIDTH 1", "another kind of file"),
    ],
)
def test_other_files_are_named(tmp_path: Path, data: bytes, found: str) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"expected a PNG, JPEG, TIFF, PGM or DICOM image and found .*{found}.*Sample 'site/film'"):
        read_image(path, sample_id="site/film")


def test_missing_files_folders_and_giants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no file that can be read.*Sample 'gone.png'"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="a folder or device"):
        read_image(tmp_path)
    path = tmp_path / "film.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(door, "MAX_BYTES", 10)
    with pytest.raises(DataError, match=r"a file of [0-9]+ bytes"):
        read_image(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions bind ordinary users only")
def test_files_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be opened"):
        read_image(path)


# --- any bytes: a picture or a DataError, never NaN, never another exception


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "film"


@cache
def valid_files() -> tuple[bytes, ...]:
    noisy = np.random.default_rng(0).integers(0, 4096, (33, 40)).astype(np.uint16)
    rgba = np.dstack([RAMP, RAMP, RAMP, np.full_like(RAMP, 200)])
    files = [encoded(kind) for kind in ("PNG", "JPEG", "TIFF", "PGM", "DICOM")]
    files.append(b"P2 3 2 300 # plain\n1 2 3\n4 5 300\n")
    for pixels, kind in ((rgba, "PNG"), (noisy, "TIFF"), (noisy, "PNG"), (rgba[..., :3], "JPEG")):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        files.append(buffer.getvalue())
    window = {"WindowCenter": "2000", "WindowWidth": "3000", "RescaleSlope": "1", "RescaleIntercept": "-1", "PixelSpacing": [0.1, 0.1]}
    syntaxes = (
        uid.ImplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    )
    files += [to_bytes(dataset(noisy, bits=12, **window), syntax) for syntax in syntaxes]
    return tuple(files)


def read_or_refuse(path: Path, data: bytes) -> Picture | None:
    path.write_bytes(data)
    try:
        picture = read_image(path)
    except DataError:
        return None
    assert np.isfinite(picture.pixels).all()
    assert picture.pixels.min() >= 0
    assert picture.pixels.max() <= 1
    return picture


def test_valid_files_of_the_fuzz_tests_are_valid(scratch: Path) -> None:
    assert all(read_or_refuse(scratch, data) for data in valid_files())


MAGICS = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"P2 ", b"P5 9 9 255 ", bytes(128) + b"DICM", b"\x08\x00\x05\x00")


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(magic=st.sampled_from(MAGICS), body=st.binary(max_size=300))
def test_random_bytes(scratch: Path, magic: bytes, body: bytes) -> None:
    read_or_refuse(scratch, magic + body)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(index=st.integers(0, 15), kept=st.floats(0, 1, exclude_max=True))
def test_random_truncations(scratch: Path, index: int, kept: float) -> None:
    data = valid_files()[index]
    read_or_refuse(scratch, data[: int(len(data) * kept)])


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(index=st.integers(0, 15), places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_random_damage(scratch: Path, index: int, places: list[tuple[float, int]]) -> None:
    data = bytearray(valid_files()[index])
    for place, value in places:
        data[int(place**3 * len(data))] = value  # mostly in the header
    read_or_refuse(scratch, bytes(data))


# --- real files


def real(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(parts)} below MEDSETU_DATA")
    return path


def first(folder: str, pattern: str) -> Path:
    return min(real(folder).rglob(pattern))


@pytest.mark.shared
def test_computed_radiography_is_equal_across_lossless_and_lossy() -> None:
    lossless, lossy = (read_image(real("dicom", name)) for name in ("RG3_J2KR.dcm", "RG3_J2KI.dcm"))
    assert np.abs(lossless.pixels - lossy.pixels).mean() < 0.01
    assert np.corrcoef(lossless.pixels.ravel(), lossy.pixels.ravel())[0, 1] > 0.99
    assert lossless.facts.modality == "CR"
    assert lossless.facts.view == "AP"
    assert lossless.facts.steps == lossy.facts.steps == ("window LINEAR centre 550 width 1024", "inverted (MONOCHROME1)")


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["RG3_J2KR.dcm", "693_UNCI.dcm"])
def test_real_dicom_agrees_with_pydicom(name: str) -> None:
    path = real("dicom", name)
    ds = dcmread(path)
    rescaled = ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    shown = apply_voi_lut(rescaled, ds)
    bits = ds.BitsStored
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if ds.PixelRepresentation else (0, (1 << bits) - 1)
    offset = float(ds.get("RescaleIntercept", 0))
    expected = (shown - (low + offset)) / (high - low)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        expected = 1 - expected
    if "PixelPaddingValue" in ds:
        expected[ds.pixel_array == ds.PixelPaddingValue] = 0
    np.testing.assert_allclose(read_image(path).pixels, expected, atol=1e-5)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bad_sequence.dcm", "explicit_VR-UN.dcm", "693_J2KR.dcm"])
def test_malformed_headers_around_whole_pixels_give_a_picture(name: str) -> None:
    """A broken sequence, unknown representations and a codestream of fewer bits than declared: the pixels are whole, and pydicom agrees."""
    picture = read_image(real("dicom", name))
    assert picture.pixels.shape == (512, 512)
    assert 0.01 < picture.pixels.std() < 0.5 or name == "explicit_VR-UN.dcm"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "pattern", "file_format"),
    [
        ("mini_mias", "*.pgm", "pgm"),
        ("nih_chestxray14", "*.png", "png"),
        ("nitrd_da", "*.jpg", "jpeg"),
        ("tb_chest_radiography_database", "*.*g", ""),
    ],
)
def test_real_rasters_agree_with_pillow(folder: str, pattern: str, file_format: str) -> None:
    path = first(folder, pattern)
    picture = read_image(path)
    with Image.open(path) as image:
        np.testing.assert_allclose(picture.pixels, np.asarray(image.convert("L")) / 255, atol=1e-6)
    assert picture.facts.file_format == (file_format or picture.facts.file_format)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["RG3_J2KI.dcm", "bad_sequence.dcm", "693_UNCI.dcm"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_real_files_are_refused(tmp_path: Path, name: str, kept: float) -> None:
    data = real("dicom", name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError):
        read_image(path)
