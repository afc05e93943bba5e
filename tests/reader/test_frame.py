# SPDX-License-Identifier: Apache-2.0
"""Boxes and masks through resizes, crops and flips, and back; against the data pipeline itself."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medsetu.reader.annotation import box_of
from medsetu.reader.frame import Frame, centred, resized_shape

SHAPES = st.tuples(st.integers(2, 40), st.integers(2, 40))


def changed(frame: Frame, steps: list[str], size: tuple[int, int]) -> Frame:
    for step in steps:
        frame = frame.resized(*size) if step == "resized" else getattr(frame, step)()
    return frame


STEPS = st.lists(st.sampled_from(["resized", "mirrored", "upended", "transposed"]), max_size=6)


@given(shape=SHAPES, size=SHAPES, steps=STEPS, seed=st.integers(0, 99))
def test_a_box_comes_back(shape, size, steps, seed):
    """Without cropping nothing is lost, whatever the order of the steps."""
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.uniform(0, shape[1], 2)), np.sort(rng.uniform(0, shape[0], 2))
    box = (x[0], y[0], x[1], y[1])
    there = changed(Frame(*shape), steps, size)
    seen = there.box(box)
    assert seen is not None
    np.testing.assert_allclose(there.back(*shape).box(seen), box, atol=1e-9)


@given(shape=SHAPES, steps=st.lists(st.sampled_from(["mirrored", "upended", "transposed"]), max_size=5), seed=st.integers(0, 99))
def test_flips_of_a_mask_are_flips(shape, steps, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.3
    mask[0, 0] = True
    expected, by_hand = mask, {"mirrored": lambda m: m[:, ::-1], "upended": lambda m: m[::-1], "transposed": lambda m: m.T}
    for step in steps:
        expected = by_hand[step](expected)
    there = changed(Frame(*shape), steps, shape)
    np.testing.assert_array_equal(there.mask(mask), expected)
    np.testing.assert_array_equal(there.back(*shape).mask(there.mask(mask)), mask)
    assert there.box(box_of(mask)) == box_of(expected)


@given(shape=SHAPES, factor=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_larger_mask_comes_back(shape, factor, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.4
    frame = Frame(*shape).resized(shape[0] * factor, shape[1] * factor)
    np.testing.assert_array_equal(frame.mask(mask), mask.repeat(factor, 0).repeat(factor, 1))
    np.testing.assert_array_equal(frame.back(*shape).mask(frame.mask(mask)), mask)


@given(shape=SHAPES, size=SHAPES, fit=st.sampled_from(["pad", "crop", "stretch"]), seed=st.integers(0, 99))
def test_what_is_seen_comes_back_from_a_letterbox(shape, size, fit, seed):
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.uniform(0, shape[1], 2)), np.sort(rng.uniform(0, shape[0], 2))
    frame = Frame(*shape).fitted(*size, fit=fit)
    assert (frame.height, frame.width) == size
    seen = frame.box((x[0], y[0], x[1], y[1]))
    whole = frame.back(*shape).box((0, 0, size[1], size[0]))
    if seen is None:
        assert fit == "crop"
        return
    expected = (max(x[0], whole[0]), max(y[0], whole[1]), min(x[1], whole[2]), min(y[1], whole[3]))
    np.testing.assert_allclose(frame.back(*shape).box(seen), expected, atol=1e-6)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(300, 200), (200, 330), (240, 240)])
def test_the_pipeline_puts_a_bright_box_where_the_frame_says(tmp_path: Path, fit: str, shape: tuple[int, int]) -> None:
    from medsetu.data.pipeline import Pipeline  # importing torch takes seconds
    from medsetu.data.transform import compose, prepare_image

    film = np.zeros(shape, np.uint8)
    box = (80, 90, 140, 130)
    film[box[1] : box[3], box[0] : box[2]] = 255
    Image.fromarray(film).save(tmp_path / "film.png")
    pipeline = Pipeline((64, 48), fit=fit)
    pixels = prepare_image(compose(pipeline), pipeline, path=tmp_path / "film.png", sample_id="a") / 65535
    found, told = box_of(pixels > 0.5), Frame(*shape).fitted(64, 48, fit=fit).box(box)
    np.testing.assert_allclose(found, told, atol=0.6)


def test_cutting_and_padding():
    assert centred(5, 5) == (0, 0, 5)
    assert Frame(10, 10).centred(4, 4).box((0, 0, 3, 3)) is None
    assert resized_shape((100, 100), (10, 20), fit="stretch") == (10, 20)
    mask = np.ones((2, 2), np.int32)
    assert Frame(2, 2).centred(4, 4).mask(mask).sum() == 4
