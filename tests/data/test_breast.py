# SPDX-License-Identifier: Apache-2.0
"""The rectangle around a breast: any background, any side, letters, tape; and what is drawn on the film stays where it was."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsetu.data.breast import breast_region, frame_of
from medsetu.data.pipeline import Pipeline
from medsetu.data.transform import compose, prepare_image
from medsetu.reader.sample import read_picture
from medsetu.release.mini_mias import MiniMias

DATA = Path(os.environ.get("MEDSETU_DATA", "../shared/data"))


def mammogram(*, background=0.0, side="L", noise=0.0, marker=True, height=1200, width=900):
    """Half an ellipse on one side of a film, with letters on the other; and the true rectangle."""
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - 600) / 400) ** 2 + (columns / 500) ** 2 < 1
    film = np.full((height, width), background, dtype=np.float32)
    film[inside] = background + 0.5 - 0.2 * columns[inside] / 500
    if marker:
        film[80:140, 700:860] = 1.0
    film += noise * np.random.default_rng(0).standard_normal(film.shape, dtype=np.float32)
    film = np.clip(film, 0, 1)
    return (film, (200, 0, 1000, 500)) if side == "L" else (film[:, ::-1].copy(), (200, width - 500, 1000, width))


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("background", [0.0, 0.12, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_crop_tolerates_background(side, background, noise):
    """T26: neither a grey background, nor noise, nor a burned-in marker, nor the side moves the rectangle."""
    film, true = mammogram(background=background, side=side, noise=noise)
    found = breast_region(film)
    assert np.abs(np.subtract(found, true)).max() <= 0.03 * 1200  # a margin of 2 %, and a pixel of the small picture
    assert found[0] <= true[0]
    assert found[1] <= true[1]
    assert found[2] >= true[2]
    assert found[3] >= true[3]


def test_a_film_without_background_or_without_breast_stays_whole():
    film, _ = mammogram()
    blank = np.full((300, 200), 0.4, dtype=np.float32)
    speck = blank.copy()
    speck[:20, :20] = 1.0
    for whole in (film[300:900, :300], blank, speck):
        assert breast_region(whole) == (0, 0, *whole.shape)


def test_tape_along_the_edge_is_not_the_background():
    film, true = mammogram(marker=False)
    film[:, -20:] = 1.0
    assert np.abs(np.subtract(breast_region(film), true)).max() <= 0.03 * 1200


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_what_is_drawn_follows_the_cut(tmp_path, fit):
    """A lesion marked on the film lies, in what the network sees, where its box is carried to."""
    film, _ = mammogram(side="R", background=0.1)
    film[560:640, 560:640] = 1.0
    Image.fromarray(np.round(film * 255).astype(np.uint8)).save(tmp_path / "a.png")
    pipeline = Pipeline((128, 96), fit=fit, cut="breast")
    seen = prepare_image(compose(pipeline), pipeline, path=tmp_path / "a.png", sample_id="a") * pipeline.scale
    x_min, y_min, x_max, y_max = frame_of(read_picture(tmp_path / "a.png").pixels, pipeline).box((560, 560, 640, 640))
    rows, columns = np.nonzero(seen > 0.8)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx([x_min, y_min, x_max, y_max], abs=1.0)


@pytest.mark.shared
@pytest.mark.skipif(not (DATA / "mini_mias").is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_the_lesions_of_real_films_stay_on_the_picture():
    """All circles but one, which reaches beyond the skin, lie wholly inside, on pictures of 54 % of the film."""
    release = MiniMias(DATA / "mini_mias")
    index = release.index()
    drawn = index.drawn[index.drawn["finding"] == "abnormal"].groupby("sample_id")[["x_min", "y_min", "x_max", "y_max"]]
    circles = {name: rows.to_numpy() for name, rows in drawn}
    kept, areas = [], []
    for name, path in zip(index.samples["sample_id"], index.samples["path"], strict=True):
        pixels = read_picture(release.root / path).pixels
        top, left, bottom, right = breast_region(pixels)
        areas.append((bottom - top) * (right - left) / pixels.size)
        for x_min, y_min, x_max, y_max in circles.get(name, ()):
            kept.append(left <= max(x_min, 0) and top <= max(y_min, 0) and right >= min(x_max, 1024) and bottom >= min(y_max, 1024))
    assert (len(kept), sum(kept)) == (40, 39)
    assert np.mean(areas) < 0.6
