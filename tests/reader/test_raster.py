# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG and TIFF: depth, colour, transparency, orientation, pages, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medsetu.core.errors import DataError
from medsetu.reader import picture
from medsetu.reader.raster import read_raster

RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)


def saved(pixels: NDArray[np.generic] | Image.Image, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, color: int, rows: bytes, *extra: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- depth


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_eight_bits_are_exact(kind: str) -> None:
    read = read_raster(saved(RAMP, kind))
    np.testing.assert_allclose(read.pixels, RAMP / 255, rtol=1e-6)
    assert (read.facts.color_mode, read.facts.bits, read.facts.file_format) == ("L", 8, kind.lower())
    assert (read.facts.height, read.facts.width) == (8, 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_range_not_by_their_maximum(kind: str) -> None:
    dim = (RAMP.astype(np.uint16)) * 16  # a 12-bit film in a 16-bit file stays dim: nothing says otherwise
    read = read_raster(saved(dim, kind))
    np.testing.assert_allclose(read.pixels, dim / 65535, rtol=1e-6)
    assert read.facts.bits == 16
    assert read.facts.steps == ("scaled by declared maximum 65535",)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_low_depths_of_png_fill_the_range(bits: int) -> None:
    row = bytes([0b10000000]) if bits == 1 else bytes([0xF0])
    read = read_raster(png(8 // bits, 1, bits, 0, b"\0" + row))
    assert read.pixels[0, 0] == 1
    assert read.pixels[0, -1] == 0
    assert read.facts.bits == bits


def test_jpeg_is_close() -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    read = read_raster(saved(smooth, "JPEG", quality=100))
    np.testing.assert_allclose(read.pixels, smooth / 255, atol=2 / 255)
    assert read.facts.file_format == "jpeg"


def test_sixteen_bit_tiff_with_white_is_zero_is_inverted() -> None:
    """Pillow inverts 8 bits only; a 16-bit film would come out negative."""
    plain, negative = saved(RAMP.astype(np.uint16) * 257, "TIFF"), saved((255 - RAMP).astype(np.uint16) * 257, "TIFF", tiffinfo={262: 0})
    assert read_raster(negative).facts.steps[0] == "inverted (white is zero)"
    np.testing.assert_array_equal(read_raster(plain).pixels, read_raster(negative).pixels)


def test_big_endian_tiff_is_read() -> None:
    stored = (RAMP.astype(np.uint16) * 200).astype(">u2")
    entries = [(256, 3, 32), (257, 3, 8), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 110), (277, 3, 1), (278, 3, 8)]
    directory = b"".join(
        struct.pack(">HHI", tag, kind, 1) + struct.pack(">H2x" if kind == 3 else ">I", value) for tag, kind, value in entries
    )
    data = b"MM\0*" + struct.pack(">IH", 8, len(entries)) + directory + struct.pack(">I", 0)
    np.testing.assert_allclose(read_raster(data.ljust(110, b"\0") + stored.tobytes()).pixels, stored / 65535, rtol=1e-6)


# --- colour and transparency


def test_one_bit_is_black_and_white() -> None:
    read = read_raster(saved(Image.fromarray(RAMP > 127), "TIFF"))
    assert set(np.unique(read.pixels)) == {0.0, 1.0}
    assert read.facts.steps[0] == "one bit to black and white"


def test_palette_is_looked_up() -> None:
    image = Image.fromarray(RAMP).convert("P")
    image.putpalette([255 - i // 3 for i in range(768)])  # index i shows grey 255 - i
    image.putdata(RAMP.ravel().tolist())
    read = read_raster(saved(image, "PNG"))
    np.testing.assert_allclose(read.pixels, (255 - RAMP) / 255, atol=1e-6)
    assert read.facts.color_mode == "P"
    assert read.facts.steps[:2] == ("palette looked up", "colour to grey by luma")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_equal_channels_give_the_grey_back(kind: str) -> None:
    read = read_raster(saved(np.stack([RAMP] * 3, axis=-1), kind))
    np.testing.assert_allclose(read.pixels, RAMP / 255, rtol=1e-6)
    assert read.facts.steps[0] == "colour to grey by luma"


def test_colour_jpeg_gives_its_luma() -> None:
    colour = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    read = read_raster(saved(colour, "JPEG", quality=95))
    np.testing.assert_allclose(read.pixels, (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255, atol=0.01)
    assert read.facts.color_mode == "RGB"
    assert read.facts.steps[0] == "colour to grey by luma"


def test_colour_follows_itu_601() -> None:
    colour = np.zeros((1, 3, 3), np.uint8)
    colour[0, range(3), range(3)] = 255
    np.testing.assert_allclose(read_raster(saved(colour, "PNG")).pixels[0], [0.299, 0.587, 0.114], atol=0.004)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_become_light(kind: str) -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:8, :, 3] = 255  # black ink above, bare paper below
    read = read_raster(saved(Image.fromarray(inks, "CMYK"), kind))
    assert read.pixels[2].max() < 0.02
    assert read.pixels[-2].min() > 0.98
    assert "CMYK inks to RGB" in read.facts.steps


def test_opaque_alpha_is_dropped() -> None:
    """Some NIH films are RGBA with a constant 255."""
    film = np.dstack([RAMP] * 3 + [np.full_like(RAMP, 255)])
    read = read_raster(saved(film, "PNG"))
    np.testing.assert_allclose(read.pixels, RAMP / 255, rtol=1e-6)
    assert "opaque alpha dropped" in read.facts.steps


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_lie_over_black(channels: int) -> None:
    alpha = np.full_like(RAMP, 255)
    alpha[:, :16], alpha[:, 16:24] = 0, 128
    read = read_raster(saved(np.dstack([RAMP] * channels + [alpha]), "PNG"))
    np.testing.assert_allclose(read.pixels, RAMP / 255 * (alpha / 255), atol=1 / 255)
    assert "transparent pixels over black" in read.facts.steps
    assert read.facts.color_mode in ("LA", "RGBA")


def test_transparent_key_of_a_grey_png_lies_over_black() -> None:
    read = read_raster(saved(RAMP, "PNG", transparency=200))
    expected = np.where(RAMP == 200, 0, RAMP)
    np.testing.assert_allclose(read.pixels, expected / 255, rtol=1e-6)


def test_transparent_palette_entry_lies_over_black() -> None:
    image = Image.fromarray(RAMP)
    image = image.convert("P")
    read = read_raster(saved(image, "PNG", transparency=250))
    assert read.pixels[RAMP == 250] == 0
    assert read.pixels[RAMP == 251] == np.float32(251 / 255)


def test_sixteen_bit_colour_is_reduced_and_says_so() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 65535, 65535, 0, 0, 0)
    read = read_raster(png(2, 1, 16, 2, rows))
    assert read.pixels.tolist() == [[1.0, 0.0]]
    assert read.facts.bits == 16
    assert read.facts.steps[0] == "reduced from 16 to 8 bits"


# --- orientation and pages

UPRIGHT = np.zeros((16, 32), np.uint8)
UPRIGHT[:8, :16] = 255  # a marker in the upper left
UPRIGHT[:8, 16:] = 120


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    stored = {
        1: UPRIGHT,
        2: UPRIGHT[:, ::-1],
        3: UPRIGHT[::-1, ::-1],
        4: UPRIGHT[::-1],
        5: UPRIGHT.T,
        6: np.rot90(UPRIGHT),
        7: np.rot90(UPRIGHT, 2).T,
        8: np.rot90(UPRIGHT, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    read = read_raster(saved(np.ascontiguousarray(stored), kind, exif=exif))
    np.testing.assert_allclose(read.pixels, UPRIGHT / 255, atol=0.02)
    assert read.pixels.flags.c_contiguous
    assert (read.facts.height, read.facts.width) == UPRIGHT.shape
    assert any("upright" in step for step in read.facts.steps) is (orientation > 1)


def test_several_pages_of_a_tiff_are_refused() -> None:
    with pytest.raises(DataError, match="2 pages"):
        read_raster(saved(RAMP, "TIFF", save_all=True, append_images=[Image.fromarray(RAMP)]))


def test_first_frame_of_an_animated_png_is_the_picture() -> None:
    read = read_raster(saved(RAMP, "PNG", save_all=True, append_images=[Image.fromarray(255 - RAMP)]))
    np.testing.assert_allclose(read.pixels, RAMP / 255, rtol=1e-6)
    assert read.facts.steps[0] == "first of 2 pictures"


# --- refusals


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int16])
def test_samples_without_a_declared_range_are_refused(dtype: type) -> None:
    pixels = RAMP.astype(dtype)
    data = saved(pixels, "TIFF") if dtype is not np.int16 else saved(Image.fromarray(RAMP.astype(np.uint16)), "TIFF", tiffinfo={339: 2})
    with pytest.raises(DataError, match="unsigned samples"):
        read_raster(data)


def test_other_colour_spaces_are_refused() -> None:
    with pytest.raises(DataError, match="another colour space"):
        read_raster(saved(Image.new("LAB", (8, 8)), "TIFF"))


def test_wholly_transparent_images_are_refused() -> None:
    with pytest.raises(DataError, match="transparent"):
        read_raster(saved(np.dstack([RAMP, np.zeros_like(RAMP)]), "PNG"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_truncation_is_refused(kind: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = saved(noise, kind)
    with pytest.raises(DataError, match="Sample 'a/b'"):
        read_raster(data[: int(len(data) * kept)], sample_id="a/b")


def test_bombs_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(DataError, match="at most 100000000 pixels"):
        read_raster(png(12000, 12000, 8, 0, b"\0"))
    with pytest.raises(DataError, match="more pixels than any film has"):
        read_raster(png(60000, 60000, 8, 0, b"\0"))


def test_the_limit_is_ours_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # Pillow warns above it; 256 pixels are fine with us
    assert read_raster(saved(RAMP, "PNG")).facts.width == 32
    monkeypatch.setattr(picture, "MAX_PIXELS", 255)
    with pytest.raises(DataError, match="at most 255 pixels"):
        read_raster(saved(RAMP, "PNG"))
