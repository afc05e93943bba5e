# SPDX-License-Identifier: Apache-2.0
"""A shape drawn on a film is still on the shape after everything that happens to the film on its way to a network.

The film is black and the shape white, so the film itself says where the shape went: through the real pipeline, and through the geometry of
the augmentation. Every way to keep a drawing has to agree with it.
"""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from medsetu.data.augment import Augmentation, _affine
from medsetu.data.pipeline import FITS, Pipeline
from medsetu.data.transform import compose, prepare_image
from medsetu.manifest.region import box_mask
from medsetu.reader.annotation import Drawing, Shape
from medsetu.reader.coco import read_coco
from medsetu.reader.drawn import Drawn, place
from medsetu.reader.frame import Frame
from medsetu.reader.rle import encode_text
from medsetu.reader.voc import read_voc

SHAPES = [(600, 400), (400, 660), (500, 500)]
SIZE = (224, 192)
BOX = (170, 180, 290, 260)  # near the middle: seen after every crop
ALIKE = 0.98


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def rectangle(shape):
    mask = np.zeros(shape, bool)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    return mask


def disc(shape):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (columns + 0.5 - 230) ** 2 + (rows + 0.5 - 200) ** 2 <= 60**2


def pairs(mask):
    """SIIM's run lengths of a mask."""
    flat = np.concatenate([[0], mask.ravel(order="F").astype(int), [0]])
    begins, ends = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    starts = begins - np.concatenate([[0], ends[:-1]])
    return " ".join(f"{start} {length}" for start, length in zip(starts, ends - begins, strict=True))


def from_place(drawn, root, shape):
    box, mask, _ = place(drawn, root=root, height=shape[0], width=shape[1])
    return Drawing(*shape, (Shape("mass", box, mask),))


def from_coco(shape, mask, *, with_mask):
    told = {"segmentation": {"size": list(shape), "counts": encode_text(mask)}} if with_mask else {}
    box = [BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]]
    content = {
        "images": [{"id": 1, "file_name": "a", "height": shape[0], "width": shape[1]}],
        "categories": [{"id": 1, "name": "mass"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box, **told}],
    }
    return read_coco(json.dumps(content).encode())["a"]


def from_voc(shape):
    edges = "".join(f"<{name}>{value}</{name}>" for name, value in zip(("xmin", "ymin", "xmax", "ymax"), (171, 181, 290, 260), strict=True))
    size = f"<size><height>{shape[0]}</height><width>{shape[1]}</width></size>"
    return read_voc(f"<annotation>{size}<object><name>mass</name><bndbox>{edges}</bndbox></object></annotation>".encode())


def drawings_of(shape, root):
    """The rectangle in every kind, then the disc."""
    Image.fromarray(rectangle(shape)).save(root / "mask.png")
    share = (BOX[0] / shape[1], BOX[1] / shape[0], BOX[2] / shape[1], BOX[3] / shape[0])
    points = f"{BOX[0]} {BOX[1]} {BOX[2]} {BOX[1]} {BOX[2]} {BOX[3]} {BOX[0]} {BOX[3]}"
    square = [
        from_place(Drawn("box", tuple(map(float, BOX))), root, shape),
        from_place(Drawn("box", tuple(2.0 * edge for edge in BOX), height=2 * shape[0], width=2 * shape[1]), root, shape),
        from_place(Drawn("share", share), root, shape),
        from_place(Drawn("polygon", content=points), root, shape),
        from_place(Drawn("runs", content=pairs(rectangle(shape))), root, shape),
        from_place(Drawn("mask", content="mask.png"), root, shape),
        from_coco(shape, rectangle(shape), with_mask=True),
        from_coco(shape, rectangle(shape), with_mask=False),
        from_voc(shape),
    ]
    round_ones = [
        from_place(Drawn("circle", (170.0, 140.0, 290.0, 260.0)), root, shape),
        from_place(Drawn("runs", content=pairs(disc(shape))), root, shape),
    ]
    return [(rectangle(shape), drawing) for drawing in square] + [(disc(shape), drawing) for drawing in round_ones]


def seen(drawing):
    """Pixels of the only shape of a drawing."""
    (shape,) = drawing.shapes
    return box_mask(shape.box, height=drawing.height, width=drawing.width) if shape.mask is None else shape.mask


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_drawing_follows_the_real_pipeline(tmp_path, shape, fit):
    pipeline = Pipeline(SIZE, fit=fit)
    shown = {}
    for name, film in (("rectangle", rectangle(shape)), ("disc", disc(shape))):
        Image.fromarray(film.astype(np.uint8) * 255).save(tmp_path / f"{name}.png")
        shown[name] = prepare_image(compose(pipeline), pipeline, path=tmp_path / f"{name}.png", sample_id="a") * pipeline.scale > 0.5
    frame = Frame(*shape).fitted(*SIZE, fit=fit)
    for film, drawing in drawings_of(shape, tmp_path):
        picture = shown["rectangle" if film[181, 171] and film[181, 289] else "disc"]
        assert iou(seen(drawing.through(frame)), picture) >= ALIKE
        back = drawing.through(frame).through(frame.back(*shape))
        assert iou(seen(back), film) >= 0.95  # a pixel of the small picture is up to three of the film


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_of_the_augmentation_is_a_mirror_to_the_pixel(tmp_path, shape):
    flip = Augmentation(geometry_p=0, intensity_p=0, noise_p=0, flip_p=1)
    numbers = flip.draw(np.array([7], dtype=np.uint64), seed=0, epoch=0, repeats=np.array([0]))
    for film, drawing in drawings_of(shape, tmp_path):
        flipped = flip.apply(torch.from_numpy(film.astype(np.float32))[None, None], numbers)[0, 0].numpy() > 0.5
        np.testing.assert_array_equal(seen(drawing.through(Frame(*shape).mirrored())), flipped)


@pytest.mark.parametrize(
    ("degrees", "down", "right", "zoom"), [(10, 0, 0, 1), (-25, 0.05, -0.1, 1), (0, -0.05, 0.04, 0.9), (7, 0.02, 0.03, 1.1)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_follows_the_geometry_of_the_augmentation(shape, degrees, down, right, zoom):
    """Counter-clockwise as seen, about the middle, zoomed, then shifted: written here by hand as the map of a frame."""
    height, width = shape
    cos, sin = zoom * np.cos(np.deg2rad(degrees)), zoom * np.sin(np.deg2rad(degrees))
    x = (cos, sin, width / 2 * (1 - cos) - height / 2 * sin + right * width)
    y = (-sin, cos, height / 2 * (1 - cos) + width / 2 * sin + down * height)
    frame = Frame(height, width, x, y)
    for film in (rectangle(shape), disc(shape)):
        picture = torch.from_numpy(film.astype(np.float32))[None, None]
        moved = _affine(picture, *(np.array([float(amount)]) for amount in (degrees, down, right, zoom)))[0, 0].numpy() > 0.5
        carried = frame.mask(film).astype(bool)
        assert iou(carried, moved) >= ALIKE
        left, top, far, bottom = frame.box(tuple(map(float, BOX))) if film[181, 171] and film[181, 289] else (0, 0, width, height)
        inside = np.zeros(shape, bool)
        inside[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(far))] = True
        assert not (moved & ~inside).any()  # a box of a turned box holds all of it
