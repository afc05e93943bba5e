# SPDX-License-Identifier: Apache-2.0
"""TBX11K: folders are labels, boxes tell the kind, and films of other releases stay out unless asked for."""

import json
import math

import pytest

from fakes.tbx11k import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.tbx11k import Tbx11k


def tb(samples, finding="tuberculosis"):
    rows = samples[samples["path"].str.startswith("imgs/tb/")]
    return rows.set_index(rows["path"].str.extract(r"(\d+)\.")[0].astype(int))[finding]


def test_folder_and_boxes_are_the_label(tmp_path):
    samples = Tbx11k(write(tmp_path)).index().samples
    by_folder = samples.groupby(samples["path"].str.split("/").str[1])
    assert by_folder["tuberculosis"].agg(lambda column: column.iloc[0]).to_dict()["health"] == 0.0
    assert set(samples.loc[samples["path"].str.contains("/sick/"), "tuberculosis"]) == {0.0}
    assert by_folder["abnormal"].mean().to_dict() == {"health": 0.0, "sick": 1.0, "tb": 1.0}
    assert tb(samples).fillna(-9).to_dict() == {1: 1.0, 2: -9, 3: 1.0, 4: -9, 5: -9, 6: 1.0}
    assert tb(samples, "latent_tuberculosis").fillna(-9).to_dict() == {1: 0.0, 2: 1.0, 3: 1.0, 4: -9, 5: -9, 6: 0.0}


@pytest.mark.parametrize(("word", "value"), [("positive", 1.0), ("negative", 0.0)])
def test_latent_and_untyped_films_count_as_declared(tmp_path, word, value):
    samples = Tbx11k(write(tmp_path), latent=word, untyped=word).index().samples
    assert set(tb(samples)[[2, 4, 5]]) == {value}
    assert tb(samples)[1] == 1.0
    assert math.isnan(tb(samples, "active_tuberculosis")[4])


def test_films_of_other_releases_and_of_test_stay_out(tmp_path):
    """T12: imgs/extra holds Indian, US and Shenzhen films."""
    index = Tbx11k(write(tmp_path)).index()
    assert not index.samples["path"].str.contains("extra|test").any()
    assert index.excluded["reason"].value_counts().to_dict() == {
        "film of another release (nitrd)": 3,
        "film of another release (shenzhen and montgomery)": 3,
        "test film, its label is kept back": 1,
    }


def test_films_of_other_releases_are_marked_when_asked_for(tmp_path):
    index = Tbx11k(write(tmp_path), extra=["da+db", "mc+shenzhen"]).index()
    borrowed = index.samples[index.samples["seen"] != ""].set_index("path")["tuberculosis"]
    assert {path.rsplit("/", 1)[1]: value for path, value in borrowed.items()} == {
        "px1.jpg": 1.0,
        "nx1.jpg": 0.0,
        "p3.png": 1.0,
        "CHNCXR_0001_0.png": 0.0,
        "MCUCXR_0104_1.png": 1.0,
    }
    assert "tbx11k/imgs/extra/mc+shenzhen/val/mask.png" in set(index.excluded["sample_id"])
    assert any("never beside nitrd" in note for note in index.notes)


def test_splits_come_from_the_lists_and_a_missing_list_is_told(tmp_path):
    root = write(tmp_path)
    assert Tbx11k(root).index().samples["official_split"].value_counts().to_dict() == {"train": 12, "val": 6}
    (root / "annotations" / "json" / "TBX11K_val.json").unlink()
    index = Tbx11k(root).index()
    assert set(index.samples["official_split"]) == {"train", ""}
    assert math.isnan(tb(index.samples)[3])
    assert any("TBX11K_val is not here" in note for note in index.notes)
    (root / "annotations" / "json" / "TBX11K_train.json").unlink()
    with pytest.raises(DataError, match="No list of boxes"):
        Tbx11k(root).index()


def test_kinds_are_found_by_name_whatever_their_number(tmp_path):
    """T02."""
    root = write(tmp_path)
    before = Tbx11k(root).index().samples
    for path in (root / "annotations" / "json").iterdir():
        content = json.loads(path.read_text())
        for entry in content["categories"]:
            entry["id"] = 30 - entry["id"]
        for box in content["annotations"]:
            box["category_id"] = 30 - box["category_id"]
        path.write_text(json.dumps(content))
    assert Tbx11k(root).index().samples.equals(before)


def test_plain_lists_and_xml_say_the_same_as_json(tmp_path):
    root = write(tmp_path)
    before = Tbx11k(root).index().samples
    for part in ("xml", "lists"):
        (root / ("annotations/xml" if part == "xml" else part)).mkdir()
    for path in (root / "annotations" / "json").iterdir():
        content = json.loads(path.read_text())
        kind = {entry["id"]: entry["name"] for entry in content["categories"]}
        lines = [entry["file_name"] for entry in content["images"]]
        (root / "lists" / f"{path.stem}.txt").write_text("\n".join(lines) + "\n")
        for film in content["images"]:
            boxes = [box for box in content["annotations"] if box["image_id"] == film["id"]]
            text = "".join(f"<object>\n\t<name>{kind[box['category_id']]}</name><bndbox/></object>" for box in boxes)
            name = film["file_name"].split("/")[1].replace(".png", ".xml")
            head = "<annotation><filename>ActiveTuberculosis</filename><source><name>TBX11K</name></source>"
            (root / "annotations" / "xml" / name).write_text(f"{head}{text}</annotation>")
        path.unlink()
    assert Tbx11k(root).index().samples.equals(before)


def test_an_entity_bomb_is_not_followed(tmp_path):
    root = write(tmp_path)
    (root / "annotations" / "json" / "TBX11K_train.json").unlink()
    (root / "annotations" / "xml").mkdir()
    (root / "lists").mkdir()
    (root / "lists" / "TBX11K_train.txt").write_text("imgs/tb/tb0001.png\n../../tb/tb0002.png\n")
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "ActiveTuberculosis"><!ENTITY b "&a;&a;&a;">]><annotation><object><name>&b;</name></object></annotation>'
    )
    (root / "annotations" / "xml" / "tb0001.xml").write_text(bomb)
    assert math.isnan(tb(Tbx11k(root).index().samples)[1])


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [], "annotations": [{"image_id": 1, "category_id": 1}], "categories": []}'])
def test_a_damaged_list_is_refused(tmp_path, text):
    root = write(tmp_path)
    (root / "annotations" / "json" / "TBX11K_train.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        Tbx11k(root).index()


def test_settings_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="latent"):
        Tbx11k(tmp_path, latent="maybe")
    with pytest.raises(ConfigError, match="da\\+db, mc\\+shenzhen"):
        Tbx11k(tmp_path, extra=["dadb"])


def test_the_real_sample_is_read(shared_data):
    root = shared_data / "tbx11k_sample"
    if not root.is_dir():
        pytest.skip("no sample of TBX11K among the real images")
    samples = Tbx11k(root).index().samples.set_index("path")
    assert samples["active_tuberculosis"].to_dict() == {"imgs/health/h0001.png": 0.0, "imgs/tb/tb0005.png": 1.0, "imgs/tb/tb0007.png": 0.0}
    assert samples.loc["imgs/tb/tb0007.png", "latent_tuberculosis"] == 1.0
    assert set(samples["official_split"]) == {"train"}
