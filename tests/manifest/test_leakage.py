# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.folder import picture, save
from medsetu.core.errors import LeakageError
from medsetu.manifest.build import build
from medsetu.manifest.leakage import CHANGES, check_overlap, find_pairs, group, listed, settle
from medsetu.manifest.plan import LeakagePolicy, Similarity, SplitPlan
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
        build(sides, plan=SplitPlan(leakage={"near": "refuse"}), seed=0, workers=0)


def test_overlap_with_a_pretraining_list_is_tagged(tmp_path, make_release):
    india = make_release("india", patients=60, seed=2)
    shrunk_negative(india.root / "p003_0.png", tmp_path / "seen.jpg")
    record = inspect(Task("", tmp_path / "seen.jpg", ""))
    pd.DataFrame({"phash": [record.phash]}).to_csv(tmp_path / "list.csv", index=False)
    prepared = build({"local": [india]}, plan=SplitPlan(known={"backbone": str(tmp_path / "list.csv")}), seed=0, workers=0)
    seen = prepared.manifest.set_index("sample_id")["seen"]
    assert seen[seen != ""].to_dict() == {"india/p003_0.png": "in the pretraining list backbone"}


def test_a_list_tells_equal_bytes_from_a_hash_that_is_alike():
    rows = manifest(("a", "local", NAN, "s1", 1.0), ("b", "local", NAN, "s2", 1.0))
    known = {"one": pd.DataFrame({"sha256": ["s1", None]}), "two": pd.DataFrame({"sha256": ["s1"], "phash": [f"{3:016x}"]})}
    assert listed(rows, known).values.tolist() == [["a", "one", True], ["a", "two", True], ["b", "two", False]]
    assert listed(rows, {}).empty


@pytest.mark.parametrize(("change", "told"), [("near", True), ("inverted", True), ("mirrored", False), ("mirrored and inverted", False)])
def test_a_list_of_hashes_alone_is_believed_for_what_is_not_mirrored(change, told):
    rows = manifest(("a", "local", NAN, "one", 1.0)).assign(phash="00ff3c5a96e1d287")
    table = pd.DataFrame({"phash": [f"{0x00FF3C5A96E1D287 ^ CHANGES[change]:016x}"]})
    assert len(listed(rows, {"one": table})) == told


def test_equal_files_with_contradicting_labels_are_quarantined_both():
    rows = manifest(("a", "local", NAN, "same", 1.0), ("b", "local", NAN, "same", 0.0), ("c", "local", NAN, "other", 0.0))
    settled = settle(rows, pairs(("a", "b")), policy=LeakagePolicy())
    assert settled.quarantine["sample_id"].tolist() == ["a", "b"]
    assert settled.manifest["sample_id"].tolist() == ["c"]
    assert settled.duplicates["action"].str.startswith("both left").all()


def test_of_equal_files_with_agreeing_labels_the_first_stays():
    rows = manifest(("a", "local", NAN, "same", 1.0), ("b", "local", NAN, "same", NAN), ("c", "local", NAN, "same", 1.0))
    settled = settle(rows, pairs(("a", "b"), ("a", "c")), policy=LeakagePolicy())
    assert settled.manifest["sample_id"].tolist() == ["a"]
    assert settled.excluded["reason"].unique().tolist() == ["exact copy of another sample"]
    assert settled.quarantine.empty


def test_near_duplicates_share_a_group_and_stay():
    rows = manifest(("a", "local", "p", "1", 1.0), ("b", "local", "q", "2", 0.0), ("c", "local", "q", "3", 0.0))
    settled = settle(rows, pairs(("a", "b")), policy=LeakagePolicy())
    assert settled.manifest["group_id"].tolist() == ["p", "p", "p"]


def test_the_whole_patient_leaves_the_earlier_side():
    rows = manifest(
        ("g1", "global", "p", "1", 1.0), ("g2", "global", "p", "2", 1.0), ("l1", "local", "q", "3", 1.0), ("g3", "global", "z", "4", 0.0)
    )
    settled = settle(rows, pairs(("g1", "l1")), policy=LeakagePolicy())
    assert settled.excluded["sample_id"].tolist() == ["g1", "g2"]
    assert settled.manifest["sample_id"].tolist() == ["l1", "g3"]


def test_external_comes_before_local():
    rows = manifest(("l1", "local", NAN, "1", 1.0), ("e1", "external", NAN, "2", 1.0))
    assert settle(rows, pairs(("l1", "e1")), policy=LeakagePolicy()).manifest["sample_id"].tolist() == ["e1"]


def test_a_patient_on_two_sides_is_refused():
    rows = manifest(("g1", "global", "p", "1", 1.0), ("l1", "local", "p", "2", 1.0))
    with pytest.raises(LeakageError, match=r"A patient stands in two sides \(1 affected\)") as caught:
        settle(rows, pairs(), policy=LeakagePolicy())
    assert "global and local" in str(caught.value)


def test_a_patient_on_two_sides_leaves_the_earlier_one_where_the_recipe_says_so():
    rows = manifest(("g1", "global", "p", "1", 1.0), ("l1", "local", "p", "2", 1.0), ("g2", "global", "q", "3", 1.0))
    settled = settle(rows, pairs(), policy=LeakagePolicy(patient="drop"))
    assert settled.excluded[["sample_id", "reason"]].values.tolist() == [["g1", "patient or study of a local sample"]]
    assert settled.manifest["sample_id"].tolist() == ["l1", "g2"]


def test_a_study_on_two_sides_leaves_or_is_refused():
    rows = manifest(("g1", "global", NAN, "1", 1.0), ("l1", "local", NAN, "2", 1.0)).assign(study_id="s")
    assert settle(rows, pairs(), policy=LeakagePolicy()).manifest["sample_id"].tolist() == ["l1"]
    with pytest.raises(LeakageError, match="A study stands in two sides"):
        settle(rows, pairs(), policy=LeakagePolicy(study="refuse"))


def test_an_equal_file_on_two_sides_is_refused_by_its_own_rule():
    rows = manifest(("g1", "global", NAN, "same", 1.0), ("l1", "local", NAN, "same", 1.0))
    found = pairs(("g1", "l1")).assign(kind="exact")
    assert settle(rows, found, policy=LeakagePolicy(near="refuse")).manifest["sample_id"].tolist() == ["l1"]
    with pytest.raises(LeakageError, match="An equal file stands on two sides"):
        settle(rows, found, policy=LeakagePolicy(exact="refuse"))


def test_pictures_alike_on_two_sides_can_stay_each_in_the_group_of_its_side():
    rows = manifest(
        ("g1", "global", NAN, "same", 1.0),
        ("g2", "global", NAN, "2", 1.0),
        ("l1", "local", NAN, "same", 1.0),
        ("l2", "local", NAN, "4", 1.0),
    )
    found = pairs(("g1", "g2"), ("g1", "l2"), ("g1", "l1")).assign(kind=["near", "near", "exact"])
    settled = settle(rows, found, policy=LeakagePolicy(near="tag"))
    assert settled.manifest["sample_id"].tolist() == ["l1", "l2"], "the group of an equal file leaves"
    assert settled.manifest["group_id"].nunique() == 1, "l2 is alike g1, whose bytes are those of l1"
    apart = settle(rows.assign(sha256=list("abcd")), found.head(2), policy=LeakagePolicy(near="tag"))
    assert apart.manifest["group_id"].tolist() == ["g1", "g1", "l1", "l2"]
    assert apart.duplicates["action"].tolist() == ["kept in one group", "kept on both sides and tagged"]


def test_missing_patient_ids_are_not_one_patient():
    rows = manifest(("g1", "global", NAN, "1", 1.0), ("l1", "local", NAN, "2", 1.0))
    settled = settle(rows, pairs(), policy=LeakagePolicy(study="refuse", exact="refuse", near="refuse"))
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
