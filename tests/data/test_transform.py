# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.films import film
from medsetu.core.errors import DataError
from medsetu.data.intensity import Percentile
from medsetu.data.pipeline import Pipeline
from medsetu.data.transform import compose, prepare_image
from medsetu.reader.frame import resized_shape


def prepare(path: Path, pipeline: Pipeline) -> np.ndarray:
    return prepare_image(compose(pipeline), pipeline, path=path, sample_id="release/a.png") * pipeline.scale


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A grey square in the middle of a white film twice as high as wide."""
    pixels = np.full((200, 100), 255, dtype=np.uint8)
    pixels[75:125, 25:75] = 102
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_pad_keeps_all_and_the_aspect(square: Path) -> None:
    image = prepare(square, Pipeline((64, 64), fit="pad"))
    assert image.shape == (64, 64)
    assert (image[:, :16] == 0).all()
    assert (image[:, 48:] == 0).all()
    assert (image[[0, -1], 16:48] == 1).all()
    inside = np.argwhere(np.abs(image - 0.4) < 0.01)
    assert np.abs(np.ptp(inside, axis=0) - 15).max() <= 2  # 16 pixels, softened edges


def test_crop_fills_and_keeps_the_aspect(square: Path) -> None:
    image = prepare(square, Pipeline((64, 64), fit="crop"))
    assert (image > 0.3).all()
    inside = np.argwhere(np.abs(image - 0.4) < 0.01)
    assert np.abs(np.ptp(inside, axis=0) - 31).max() <= 2


def test_stretch_fills_and_bends_the_aspect(square: Path) -> None:
    inside = np.argwhere(np.abs(prepare(square, Pipeline((64, 64), fit="stretch")) - 0.4) < 0.01)
    assert np.ptp(inside[:, 0]) < 0.6 * np.ptp(inside[:, 1])


def test_resizing_does_not_alias(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    assert prepare(tmp_path / "a.png", Pipeline((30, 30)))[2:-2, 2:-2].std() < 0.02


def test_resizing_is_the_one_of_pillow(tmp_path: Path) -> None:
    pixels = film(1, height=120, width=90)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = np.asarray(Image.fromarray(pixels.astype(np.float32) / 255).resize((33, 44), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(prepare(tmp_path / "a.png", Pipeline((44, 33), fit="stretch")), expected, atol=2e-5)


def test_intensity_steps_come_before_padding(square: Path) -> None:
    image = prepare(square, Pipeline((64, 64), intensity=(Percentile(0, 100),)))
    assert (image[:, :16] == 0).all()
    assert abs(float(image[32, 32])) < 1e-3  # the grey square is the darkest of the film; padding did not count


def test_an_unreadable_file_names_the_sample_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(DataError, match=r"release/a\.png") as error:
        prepare(tmp_path / "a.png", Pipeline((8, 8)))
    assert str(tmp_path) not in str(error.value)


def test_a_step_that_refuses_names_the_sample(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 7, dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"release/a\.png"):
        prepare(tmp_path / "a.png", Pipeline((8, 8), intensity=(Percentile(),)))


def test_a_thin_image_keeps_a_pixel() -> None:
    assert resized_shape((2000, 3), (32, 32), fit="pad") == (32, 1)
