# SPDX-License-Identifier: Apache-2.0
"""Boxes, masks and objects of one's own reach the manifest by configuration alone."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.table import COLUMNS, FINDING_COLUMNS, write
from medsetu.core.errors import ConfigError, DataError
from medsetu.manifest.build import build
from medsetu.manifest.drawing import films_of, measure
from medsetu.manifest.plan import SplitPlan
from medsetu.release.table import Table

BOXES = {"file": "boxes.csv", "image": "film", "box": ["x", "y", "w", "h"], "finding": "what", "reader": "who", "form": "corner",
         "names": {"TB": "tuberculosis"}}  # fmt: skip
ROWS = """film,who,what,x,y,w,h
films/ward0/000_0.png,Dr A,TB,10,20,20,30
films/ward0/000_0.png,Dr B,TB,12,20,20,30
films/ward0/000_1.png,Dr A,TB,,,,
films/ward1/001_0.png,Dr A,Fluid level,60,60,9,9
films/gone.png,Dr A,TB,1,1,2,2
"""


def table(root, **options):
    return Table(root=root, labels="labels.csv", finding_columns=FINDING_COLUMNS, columns=COLUMNS, **options)


@pytest.fixture
def root(tmp_path):
    (write(tmp_path) / "boxes.csv").write_text(ROWS)
    return tmp_path


def test_a_table_of_boxes(root):
    index = table(root, boxes=BOXES).index()
    drawn = index.drawn
    assert drawn[["sample_id", "finding", "reader", "x_min", "x_max"]].to_numpy().tolist() == [
        ["table/films/ward0/000_0.png", "tuberculosis", "Dr A", 10, 30],
        ["table/films/ward0/000_0.png", "tuberculosis", "Dr B", 12, 32],
        ["table/films/ward1/001_0.png", "fluid_level", "Dr A", 60, 69],
    ]
    assert "1 drawings are of images that are not here" in index.notes
    built = build({"local": [table(root, boxes=BOXES)]}, plan=SplitPlan(minimum_test=4, stratify=["tuberculosis"]), seed=0, workers=0)
    found = measure(films_of(built.drawn, built.manifest, votes=built.votes, rule="majority"))
    both = found.regions[found.regions["n_drew"] == 2]
    assert both["iou"].tolist() == pytest.approx([18 / 22])
    assert "Dr" not in found.table.to_csv() + found.regions.to_csv()  # pseudonyms


def test_masks_are_no_images_and_lie_where_they_were_drawn(root):
    (root / "masks" / "tb").mkdir(parents=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[5:15, 20:50] = 1
    for name in ("000_0", "999_9"):
        Image.fromarray(mask).save(root / "masks" / "tb" / f"{name}.png")
    before = table(root).index()
    index = table(root, masks={"tuberculosis": "masks/tb"}).index()
    assert len(before.excluded) == len(index.excluded) + 2
    assert index.drawn["content"].tolist() == ["masks/tb/000_0.png"]
    assert "1 drawings are of images that are not here" in index.notes
    assert len(table(root, masks={"tuberculosis": "masks/tb/"}).index().excluded) == len(index.excluded)
    with pytest.raises(DataError, match="leaves the root"):
        table(root, masks={"tuberculosis": "../masks"}).index()
    with pytest.raises(DataError, match="missing"):
        table(root, masks={"tuberculosis": "mask"}).index()


def test_objects_are_drawn_for_the_findings_they_make(tmp_path):
    (tmp_path / "xml").mkdir()
    for number, name in enumerate(("TB", "scar")):
        Image.new("L", (40, 30), 50 * number).save(tmp_path / f"f{number}.png")
        box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
        size = "<size><width>40</width><height>30</height></size>"
        (tmp_path / "xml" / f"f{number}.xml").write_text(f"<annotation>{size}<object><name>{name}</name>{box}</object></annotation>")
    drawn = Table(root=tmp_path, labels="xml", finding_columns={"tuberculosis": "TB"}).index().drawn
    assert drawn[["sample_id", "finding", "x_min", "y_min", "x_max", "y_max", "height", "width"]].to_numpy().tolist() == [
        ["table/f0.png", "tuberculosis", 2, 3, 20, 30, 30, 40]
    ]


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ({**BOXES, "colour": "red"}, "'colour' is not known here"),
        ({**BOXES, "form": "polar"}, "'polar' is not known here"),
        ({**BOXES, "box": ["x", "y"]}, "Boxes are not described"),
        ({"file": "boxes.csv"}, "Boxes are not described"),
        ({**BOXES, "box": None}, "Boxes are not described"),
        ({**BOXES, "image": None}, "Boxes are not described"),
        ({**BOXES, "names": "TB"}, "Boxes are not described"),
    ],
)
def test_descriptions_that_cannot_be_meant(root, boxes, said):
    with pytest.raises(ConfigError, match=said):
        table(root, boxes=boxes)


@pytest.mark.parametrize("masks", ["masks", {"tuberculosis": None}])
def test_masks_that_cannot_be_meant(root, masks):
    with pytest.raises(ConfigError, match="Masks are not described"):
        table(root, masks=masks)


def test_no_boxes_and_no_masks_may_be_said_as_yaml_does(root):
    assert table(root, boxes=None, masks=None).index().drawn.empty


def test_a_missing_column_is_named(root):
    path = root / "boxes.csv"
    pd.read_csv(path).rename(columns={"who": "whom"}).to_csv(path, index=False)
    with pytest.raises(DataError, match="'who'"):
        table(root, boxes=BOXES).index()
