# SPDX-License-Identifier: Apache-2.0
"""A folder of fundus pictures in colour with boxes, added by configuration alone."""

import numpy as np
import pytest
from PIL import Image

from medsetu.core.errors import ConfigError, DataError
from medsetu.manifest.build import build
from medsetu.manifest.plan import SplitPlan
from medsetu.release.table import Table
from medsetu.release.table_boxes import box_rule

OBJECTS = {0: ["exudate", "haemorrhage"], 1: [], 2: ["exudate", "exudate"], 3: ["drusen"]}


def fundus(rng, size=96):
    """A reddish disc on black, in colour."""
    rows, columns = np.mgrid[:size, :size]
    disc = np.hypot(rows - size / 2, columns - size / 2) < size * 0.45
    picture = rng.integers(60, 200, (12, 12, 3)).repeat(8, 0).repeat(8, 1) * np.array([1.2, 0.7, 0.4])
    return np.where(disc[:, :, None], picture, 0).clip(0, 255).astype(np.uint8)


def boxes(names, size=96):
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in names)
    return f"<annotation><size><width>{size}</width><height>{size}</height><depth>3</depth></size>{objects}</annotation>"


def write(root, *, count=24, unlisted=0):
    rng = np.random.default_rng(0)
    (root / "pictures").mkdir(parents=True)
    (root / "boxes").mkdir()
    for number in range(count + unlisted):
        Image.fromarray(fundus(rng)).save(root / "pictures" / f"eye{number:02d}.png")
        if number < count:
            (root / "boxes" / f"eye{number:02d}.xml").write_text(boxes(OBJECTS[number % 4]))
    return root


def table(root, **more):
    settings = {"labels": "boxes", "modality": "OP", "finding_columns": {"exudate": "exudate", "bleed": ["haemorrhage"]}, "name": "eyes"}
    return Table(root, **{**settings, **more})


def labels(release, finding):
    samples = release.index().samples
    return samples[finding].tolist()[:4]


def test_an_image_has_a_finding_where_an_object_bears_its_name(tmp_path):
    release = table(write(tmp_path))
    assert labels(release, "exudate") == [1.0, 0.0, 1.0, 0.0]
    assert labels(release, "bleed") == [1.0, 0.0, 0.0, 0.0]
    assert release.index().samples["path"].iloc[0] == "pictures/eye00.png"


def test_an_unclear_object_leaves_the_finding_unknown_unless_a_clear_one_stands_beside_it(tmp_path):
    release = table(write(tmp_path), finding_columns={"exudate": {"positive": ["exudate"], "unknown": ["drusen", "haemorrhage"]}})
    found = labels(release, "exudate")
    assert found[:3] == [1.0, 0.0, 1.0]
    assert np.isnan(found[3])


def test_an_image_without_a_file_is_left_out_unless_it_is_said_to_be_clear(tmp_path):
    root = write(tmp_path, count=8, unlisted=2)
    index = table(root).index()
    assert len(index.samples) == 8
    assert index.excluded["reason"].tolist() == ["image without row"] * 2
    clear = table(root, label_policy={"unlisted": "negative"}).index().samples
    assert clear["exudate"].tolist()[-2:] == [0.0, 0.0]


def test_colour_pictures_are_prepared(tmp_path):
    prepared = build({"local": [table(write(tmp_path))]}, plan=SplitPlan(minimum_test=4), seed=0, workers=0)
    assert len(prepared.manifest) == 24
    assert set(prepared.manifest["color_mode"]) == {"RGB"}
    assert set(prepared.manifest["modality"]) == {"OP"}
    assert prepared.quarantine.empty


def test_a_bomb_is_refused_by_name(tmp_path):
    root = write(tmp_path, count=4)
    (root / "boxes" / "eye00.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    with pytest.raises(DataError, match=r"eyes/eye00\.xml"):
        table(root).index()


@pytest.mark.parametrize("spec", [{"column": "x"}, {"positive": []}, {"positive": "TB"}, []])
def test_a_finding_names_its_objects(spec):
    with pytest.raises(ConfigError, match="does not name its objects"):
        box_rule(spec)
