# SPDX-License-Identifier: Apache-2.0
"""What each release says was drawn lies where its fake put it; what was drawn on images that are not here is counted."""

import importlib
import math

import numpy as np
import pandas as pd
import pytest

from fakes import nih_chestxray14, tbx11k, vindr_cxr, vindr_mammo
from medsetu.core.errors import DataError
from medsetu.reader.drawn import SCALED, Drawn, place
from medsetu.release.drawing import complete_drawings, drawn_box, drawn_mask, no_drawings
from medsetu.release.harmonised import Harmonised
from medsetu.release.nih_chestxray14 import NihChestXray14
from medsetu.release.phantom import Phantom
from medsetu.release.table import Table
from medsetu.release.tbx11k import Tbx11k
from medsetu.release.vindr_cxr import VindrCxr
from medsetu.release.vindr_mammo import VindrMammo

# release -> class, findings that are drawn, boxes (x_min, y_min, x_max, y_max) that are seen on the films of the fake
SEEN = {
    "vindr_cxr": ("VindrCxr", {"tuberculosis", "lung_cavity", "effusion"},
                  {(10.5, 12, 30.5, 40), (12.5, 14, 32.5, 42), (14, 20, 24, 30), (44, 48, 64, 64)}),
    "rsna_pneumonia": ("RsnaPneumonia", {"lung_opacity"}, {(14, 15, 35, 52.5), (24, 15, 45, 52.5)}),
    "siim_acr_ptx": ("SiimAcrPtx", {"pneumothorax"}, {(6, 3, 8, 6), (14, 5, 16, 8)}),
    "tbx11k": ("Tbx11k", {"tuberculosis", "active_tuberculosis", "latent_tuberculosis"}, {(10.5, 12, 18.5, 18.25)}),
    "vindr_mammo": ("VindrMammo", {"mass", "skin_retraction", "suspicious_calcification", "suspicious"}, {(0, 10, 20, 30)}),
    "busi": ("Busi", {"malignant", "abnormal"}, {(12, 10, 40, 30), (12, 30, 40, 50)}),
    "montgomery": ("Montgomery", {"left_lung", "right_lung"}, {(10, 12, 30, 52), (44, 12, 64, 52), (10, 12, 30, 68), (36, 12, 56, 68)}),
    "shenzhen": ("Shenzhen", {"lungs"}, {(8, 12, 56, 52)}),
    "inbreast": ("Inbreast", {"mass", "calcification"}, {(10, 20, 30, 50), (12, 33, 13, 34)}),
    "cbis_ddsm": ("CbisDdsm", {"malignant"}, {(20, 10, 40, 30)}),
}  # fmt: skip


def placed(release, index):
    """Every drawing on its own film."""
    sizes = {}
    for row in index.drawn.itertuples():
        path = release.root / row.sample_id.partition("/")[2]
        size = (
            sizes.setdefault(path, (80, 64) if "MCUCXR" in path.name and int(path.name[7:11]) % 4 == 0 else (64, 80))
            if "MCUCXR" in path.name
            else (64, 64)
        )
        drawn = Drawn(row.kind, (row.x_min, row.y_min, row.x_max, row.y_max), row.content, row.height, row.width)
        yield row, place(drawn, root=release.root, height=size[0], width=size[1], sample_id=row.sample_id)


@pytest.mark.parametrize("name", SEEN)
def test_drawings_lie_where_the_fake_drew_them(name, tmp_path):
    kind, findings, boxes = SEEN[name]
    fake = importlib.import_module(f"fakes.{name}").write(tmp_path)
    release = getattr(importlib.import_module(f"medsetu.release.{name}"), kind)(root=fake)
    index = release.index()
    assert set(index.drawn["finding"]) == findings
    assert set(index.drawn["sample_id"]) <= set(index.samples["sample_id"])
    assert {box for _, (box, _, _) in placed(release, index)} == boxes
    drawn, samples = index.drawn, index.samples.set_index("sample_id")
    for finding in findings & set(release.findings):  # a drawing speaks for its label, but of a reader whom the others outvoted
        label = samples.loc[drawn.loc[drawn["finding"] == finding, "sample_id"], finding]
        assert (label == 1).all() or name == "vindr_cxr", finding


def test_readers_are_told_apart_where_the_release_does(tmp_path):
    drawn = VindrCxr(vindr_cxr.write(tmp_path)).index().drawn
    train = drawn["sample_id"].str.startswith("vindr_cxr/train")
    assert set(drawn.loc[train, "reader"]) == {"R8", "R9", "R10"}
    assert set(drawn.loc[~train, "reader"]) == {""}
    assert drawn[train & (drawn["finding"] == "tuberculosis")]["reader"].value_counts().to_dict() == {"R8": 6, "R9": 6}


def test_lists_of_boxes_may_be_absent_and_are_checked_where_they_are_there(tmp_path):
    root = vindr_cxr.write(tmp_path)
    path = root / "annotations" / "annotations_train.csv"
    path.write_text(path.read_text().replace("Lung cavity", "Lung cave"))
    with pytest.raises(DataError, match="no class of the release"):
        VindrCxr(root).index()
    for split in ("train", "test"):
        (root / "annotations" / f"annotations_{split}.csv").unlink()
    assert VindrCxr(root).index().drawn.empty


def test_boxes_of_chestxray14_lie_in_the_frame_of_the_published_films(tmp_path):
    release = NihChestXray14(nih_chestxray14.write(tmp_path, prevalence=0.3))
    index = release.index()
    found = list(placed(release, index))
    assert len(found) == len(index.drawn) > 10
    for row, (box, _, note) in found:
        np.testing.assert_allclose(box, (160.5 / 16, 20, 480.5 / 16, 480.25 / 16))
        assert note == SCALED
        assert index.samples.set_index("sample_id").loc[row.sample_id, row.finding] == 1
    path = tmp_path / "BBox_List_2017.csv"
    path.write_text(path.read_text() + "00000001_000.png,Infiltrate,1,2,3,4,,,\n")
    assert (release.index().drawn["finding"] == "infiltration").sum() == (index.drawn["finding"] == "infiltration").sum() + 1
    path.write_text(path.read_text() + "00000001_000.png,Cavity,1,2,3,4,,,\n")
    with pytest.raises(DataError, match="no finding of the release"):
        release.index()


@pytest.mark.shared
def test_the_real_boxes_of_chestxray14(shared_data):
    release = NihChestXray14(shared_data / "nih_chestxray14")
    index = release.index()
    assert len(index.drawn) == 12
    labels = index.samples.set_index("sample_id")
    assert all(labels.loc[row.sample_id, row.finding] == 1 for row in index.drawn.itertuples())


@pytest.mark.shared
def test_the_real_boxes_of_tbx11k(shared_data):
    drawn = Tbx11k(shared_data / "tbx11k_sample").index().drawn
    first = drawn[drawn["sample_id"] == "tbx11k/imgs/tb/tb0005.png"].iloc[0]
    assert (first["x_min"], first["width"]) == (381.8337097167969, 512)


def test_a_latent_box_speaks_for_tuberculosis_only_where_the_recipe_says_so(tmp_path):
    root = tbx11k.write(tmp_path)
    counts = {latent: Tbx11k(root, latent=latent).index().drawn["finding"].value_counts() for latent in ("unknown", "positive")}
    assert counts["unknown"]["tuberculosis"] == counts["unknown"]["active_tuberculosis"]
    assert counts["positive"]["tuberculosis"] == counts["positive"]["active_tuberculosis"] + counts["positive"]["latent_tuberculosis"]


def test_the_size_that_was_drawn_on_is_known(tmp_path):
    drawn = VindrMammo(vindr_mammo.write(tmp_path)).index().drawn
    assert (drawn[["height", "width"]] == 64).all(axis=None)
    assert (drawn["x_min"] == -3.5).all()  # as published; whoever places it cuts and counts it


def test_the_phantom_draws_around_what_is_there(tmp_path):
    release = Phantom(root=tmp_path / "phantom", patients=12, size=64)
    index = release.index()
    assert set(index.drawn["kind"]) == {"share"}
    truth = release.truth()
    assert len(index.drawn) == sum(len(box.split(";")) for name in release.findings for box in truth[f"{name}_boxes"] if box)
    for _, (box, _, _) in placed(release, index):
        assert 0 <= box[0] < box[2] <= 64


def test_common_names_reach_the_drawings(tmp_path):
    release = VindrCxr(vindr_cxr.write(tmp_path))
    own, common = release.index().drawn, Harmonised(release).index().drawn
    labels = set(Harmonised(release).findings)
    assert set(common["finding"]) <= labels | set(own["finding"])
    assert (common["finding"] == "tuberculosis").sum() == (own["finding"] == "tuberculosis").sum()
    assert list(common.columns) == list(own.columns)


def test_drawings_of_images_that_are_not_here_are_counted(tmp_path):
    root = vindr_cxr.write(tmp_path)
    film = next(path for path in sorted((root / "train").iterdir()) if "train0001" in path.name)
    film.unlink()
    index = VindrCxr(root).index()
    assert "4 drawings are of images that are not here" in index.notes
    table, strangers = complete_drawings([drawn_box("x.png", "mass", ["1", "", "a", None])], pd.Series(["x.png"]), release="r")
    assert strangers == 0
    assert table.loc[0, ["x_min", "y_min"]].tolist()[0] == 1.0
    assert all(math.isnan(value) for value in table.loc[0, ["y_min", "x_max", "y_max"]])
    assert complete_drawings([drawn_mask("y.png", "mass", "m.png")], pd.Series(["x.png"]), release="r")[0].equals(no_drawings())


def test_most_releases_draw_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text("image,mass\na.png,1\n")
    assert Table(tmp_path, tmp_path / "labels.csv", {"mass": "mass"}).index().drawn.equals(no_drawings())
