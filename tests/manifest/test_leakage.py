# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.folder import picture, save
from medsetu.core.errors import LeakageError
from medsetu.manifest.build import build
from medsetu.manifest.leakage import CHANGES, check_overlap, find_pairs, group, settle, tag_seen
from medsetu.manifest.plan import Similarity, SplitPlan
from medsetu.manifest.scan import Task, inspect

NAN = float("nan")


def manifest(*rows):
    """Rows of (sample_id, domain, patient, sha256, tuberculosis); hashes that never pair."""
    table = pd.DataFrame(rows, columns=["sample_id", "domain", "patient_id", "sha256", "tuberculosis"])
    return table.assign(release="r", study_id=NAN, seen="", phash=[f"{n:016x}" for n in range(len(rows))])


def pairs(*rows):
    return pd.DataFrame(rows, columns=["a", "b"]).assign(kind="near", distance=0, correlation=1.0, action="")


def shrunk_negative(path, target):
    small = Image.open(path).resize((70, 60), Image.Resampling.BICUBIC)
    Image.eval(small, lambda value: 255 - value).save(target, quality=60)


def test_overlap_is_found(tmp_path, make_release):
    world, india = make_release("world", patients=60, seed=1), make_release("india", patients=60, seed=2)
    shrunk_negative(india.root / "p007_0.png", world.root / "p007_0.png")
    world.rows.loc[world.rows["path"] == "p007_0.png", "path"] = "copy.jpg"
    (world.root / "p007_0.png").unlink()
    shrunk_negative(india.root / "p007_0.png", world.root / "copy.jpg")
    sides = {"global": [world], "local": [india]}
    prepared = build(sides, plan=SplitPlan(), seed=0, workers=0)
    found = prepared.duplicates.iloc[0]
    assert len(prepared.duplicates) == 1
    assert {found["a"], found["b"]} == {"world/copy.jpg", "india/p007_0.png"}
    assert found["kind"] == "inverted"
    assert prepared.excluded["sample_id"].tolist() == ["world/copy.jpg"]
    assert "local" in prepared.excluded["reason"].iloc[0]
    assert "india/p007_0.png" in set(prepared.manifest["sample_id"])
    with pytest.raises(LeakageError, match=r"stands on two sides \(1 affected\)"):
        build(sides, plan=SplitPlan(overlap="refuse"), seed=0, workers=0)


def test_overlap_with_a_pretraining_list_is_tagged(tmp_path, make_release):
    india = make_release("india", patients=60, seed=2)
    shrunk_negative(india.root / "p003_0.png", tmp_path / "seen.jpg")
    record = inspect(Task("", tmp_path / "seen.jpg", ""))
    pd.DataFrame({"phash": [record.phash]}).to_csv(tmp_path / "list.csv", index=False)
    prepared = build({"local": [india]}, plan=SplitPlan(known={"backbone": str(tmp_path / "list.csv")}), seed=0, workers=0)
    seen = prepared.manifest.set_index("sample_id")["seen"]
    assert seen[seen != ""].to_dict() == {"india/p003_0.png": "in the pretraining list backbone"}


def test_a_pretraining_list_of_file_hashes_is_used_and_adds_to_what_is_known():
    rows = manifest(("a", "local", NAN, "s1", 1.0), ("b", "local", NAN, "s2", 1.0)).assign(seen=["release says", ""])
    lists = {"one": pd.DataFrame({"sha256": ["s1"]}), "two": pd.DataFrame({"sha256": ["s1", "s2"]})}
    told = "release says; in the pretraining list one; in the pretraining list two"
    assert tag_seen(rows, lists).tolist() == [told, "in the pretraining list two"]


@pytest.mark.parametrize(("change", "told"), [("near", True), ("inverted", True), ("mirrored", False), ("mirrored and inverted", False)])
def test_a_list_of_hashes_alone_is_believed_for_what_is_not_mirrored(change, told):
    rows = manifest(("a", "local", NAN, "one", 1.0)).assign(phash="00ff3c5a96e1d287")
    listed = pd.DataFrame({"phash": [f"{0x00FF3C5A96E1D287 ^ CHANGES[change]:016x}"]})
    assert bool(tag_seen(rows, {"one": listed})[0]) == told


def test_equal_files_with_contradicting_labels_are_quarantined_both():
    rows = manifest(("a", "local", NAN, "same", 1.0), ("b", "local", NAN, "same", 0.0), ("c", "local", NAN, "other", 0.0))
    settled = settle(rows, pairs(("a", "b")), overlap="remove")
    assert settled.quarantine["sample_id"].tolist() == ["a", "b"]
    assert settled.manifest["sample_id"].tolist() == ["c"]
    assert settled.duplicates["action"].str.startswith("both left").all()


def test_of_equal_files_with_agreeing_labels_the_first_stays():
    rows = manifest(("a", "local", NAN, "same", 1.0), ("b", "local", NAN, "same", NAN), ("c", "local", NAN, "same", 1.0))
    settled = settle(rows, pairs(("a", "b"), ("a", "c")), overlap="remove")
    assert settled.manifest["sample_id"].tolist() == ["a"]
    assert settled.excluded["reason"].unique().tolist() == ["exact copy of another sample"]
    assert settled.quarantine.empty


def test_near_duplicates_share_a_group_and_stay():
    rows = manifest(("a", "local", "p", "1", 1.0), ("b", "local", "q", "2", 0.0), ("c", "local", "q", "3", 0.0))
    settled = settle(rows, pairs(("a", "b")), overlap="remove")
    assert settled.manifest["group_id"].tolist() == ["p", "p", "p"]


def test_the_whole_patient_leaves_the_earlier_side():
    rows = manifest(
        ("g1", "global", "p", "1", 1.0), ("g2", "global", "p", "2", 1.0), ("l1", "local", "q", "3", 1.0), ("g3", "global", "z", "4", 0.0)
    )
    settled = settle(rows, pairs(("g1", "l1")), overlap="remove")
    assert settled.excluded["sample_id"].tolist() == ["g1", "g2"]
    assert settled.manifest["sample_id"].tolist() == ["l1", "g3"]


def test_external_comes_before_local():
    rows = manifest(("l1", "local", NAN, "1", 1.0), ("e1", "external", NAN, "2", 1.0))
    assert settle(rows, pairs(("l1", "e1")), overlap="remove").manifest["sample_id"].tolist() == ["e1"]


def test_a_patient_on_two_sides_is_refused():
    rows = manifest(("g1", "global", "p", "1", 1.0), ("l1", "local", "p", "2", 1.0))
    with pytest.raises(LeakageError, match=r"A patient stands in two sides \(1 affected\)") as caught:
        settle(rows, pairs(), overlap="remove")
    assert "global and local" in str(caught.value)


def test_missing_patient_ids_are_not_one_patient():
    rows = manifest(("g1", "global", NAN, "1", 1.0), ("l1", "local", NAN, "2", 1.0))
    settled = settle(rows, pairs(), overlap="refuse")
    assert settled.manifest["group_id"].tolist() == ["g1", "l1"]


def test_a_study_is_a_unit_where_patients_are_unknown():
    rows = manifest(("a", "local", NAN, "1", 1.0), ("b", "local", NAN, "2", 1.0), ("c", "local", NAN, "3", 1.0))
    assert group(rows.assign(study_id=["s", "s", NAN]), pairs()).tolist() == ["s", "s", "c"]


@pytest.mark.parametrize("unit", ["group_id", "patient_id"])
def test_a_straddling_unit_is_refused(unit):
    rows = pd.DataFrame({"sample_id": ["a", "b"], "domain": "local", "group_id": ["p", "q"], "patient_id": [NAN, NAN]})
    splits = pd.DataFrame({"sample_id": ["a", "b"], "domain": "local", "repeat": 0, "fold": 1, "split": ["train", "test"]})
    check_overlap(rows, splits)
    with pytest.raises(LeakageError, match="parts of a split"):
        check_overlap(rows.assign(**{unit: "same"}), splits)
    with pytest.raises(LeakageError, match="two sides"):
        check_overlap(rows.assign(**{unit: "same", "domain": ["local", "global"]}), splits)


def test_one_cell_can_be_checked_alone():
    rows = pd.DataFrame({"sample_id": ["a", "b"], "domain": "local", "group_id": ["p", "p"], "patient_id": [NAN, NAN]})
    check_overlap(rows, pd.Series({"a": "train", "b": "train"}))
    with pytest.raises(LeakageError, match="test and train"):
        check_overlap(rows, pd.Series({"a": "train", "b": "test"}))


def test_cells_of_different_folds_do_not_disturb_each_other():
    rows = pd.DataFrame({"sample_id": ["a", "b"], "domain": "local", "group_id": ["p", "q"], "patient_id": [NAN, NAN]})
    splits = pd.DataFrame({"sample_id": ["a", "a"], "domain": "local", "repeat": 0, "fold": [0, 1], "split": ["train", "test"]})
    check_overlap(rows, splits)


def test_pairs_of_equal_files_name_the_first(tmp_path):
    for name, seed in {"a.png": 0, "b.png": 0, "c.png": 1}.items():
        save(picture(seed), tmp_path / name)
    records = [inspect(Task("", tmp_path / name, name)) for name in ("a.png", "b.png", "c.png")]
    rows = pd.DataFrame([{"sample_id": r.sample_id, "sha256": r.sha256, "phash": r.phash} for r in records])
    thumbnails = np.stack([np.frombuffer(record.thumbnail, dtype=np.float16).reshape(32, 32) for record in records])
    found = find_pairs(rows, thumbnails, near=Similarity())
    assert found[["a", "b", "kind"]].values.tolist() == [["a.png", "b.png", "exact"]]
    assert np.isfinite(found["correlation"]).all()
