# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError, LeakageError
from medsetu.manifest.leakage import check_overlap
from medsetu.manifest.plan import Crossfit, SplitPlan
from medsetu.manifest.split import cell, draw, split_column

PLAN = SplitPlan(minimum_test=10, crossfit=Crossfit(folds=5, repeats=2))


def side(domain="global", *, patients=100, images=(1,), release="r", ids=True, official="", positive=0.5):
    """Rows of a manifest after duplicates were settled; patient n has images[n % len] films."""
    rows = []
    for patient in range(patients):
        for image in range(images[patient % len(images)]):
            name = f"{domain}{release}p{patient}"
            identifier = name if ids else np.nan
            rows.append({"sample_id": f"{release}/{domain}{patient}_{image}", "patient_id": identifier, "group_id": name})
            rows[-1] |= {"domain": domain, "release": release, "site": "s", "official_split": official}
            rows[-1] |= {"edema": float(patient % 10 < 10 * positive)}
    return pd.DataFrame(rows)


def parts(manifest, drawn):
    return manifest["sample_id"].map(cell(drawn.splits, repeat=0, fold=-1))


def test_shares_are_kept_and_nothing_straddles():
    manifest = side(images=(1, 2, 3, 5))
    drawn = draw(manifest, plan=PLAN, seed=0)
    share = parts(manifest, drawn).value_counts(normalize=True)
    assert share["val"] == pytest.approx(0.15, abs=0.02)
    assert share["test"] == pytest.approx(0.2, abs=0.02)
    check_overlap(manifest, drawn.splits)
    assert drawn.modes == {"global": "fixed"}


def test_exams_of_any_size_stay_whole():
    manifest = side("local", images=(1, 2, 3, 5), patients=60)
    drawn = draw(manifest, plan=SplitPlan(crossfit=Crossfit(when="always", repeats=1)), seed=0)
    merged = drawn.splits.merge(manifest, on="sample_id")
    assert (merged.groupby(["repeat", "fold", "group_id"])["split"].nunique() == 1).all()
    sizes = merged.groupby(["repeat", "fold", "group_id"]).size().groupby("group_id").nunique()
    assert (sizes == 1).all()


def test_every_sample_is_tested_once_per_repeat():
    manifest = side("local", patients=52, ids=False)
    drawn = draw(manifest, plan=SplitPlan(), seed=0)
    assert drawn.modes == {"local": "crossfit"}
    tested = drawn.splits[drawn.splits["split"] == "test"]
    assert (tested.groupby(["repeat", "sample_id"]).size() == 1).all()
    assert tested.groupby("repeat").size().tolist() == [52, 52, 52]
    sizes = drawn.splits.groupby(["repeat", "fold", "split"]).size().unstack()
    assert len(sizes) == 15
    assert sizes["test"].max() - sizes["test"].min() <= 2
    assert (sizes["val"] / (sizes["val"] + sizes["train"])).between(0.1, 0.2).all()
    assert set(split_column(manifest, drawn)) == {"crossfit"}
    check_overlap(manifest, drawn.splits)


def test_both_classes_in_every_part():
    manifest = side("local", patients=40, positive=0.2)
    splits = draw(manifest, plan=SplitPlan(), seed=0).splits.merge(manifest[["sample_id", "edema"]], on="sample_id")
    assert (splits.groupby(["repeat", "fold", "split"])["edema"].nunique() == 2).all()


def test_repeats_differ():
    splits = draw(side("local", patients=52), plan=SplitPlan(), seed=0).splits
    first, second = (cell(splits, repeat=repeat, fold=0) for repeat in (0, 1))
    assert set(first.index[first == "test"]) != set(second.index[second == "test"])


def test_equal_seed_equal_splits_whatever_the_row_order():
    manifest = side(images=(1, 3))
    first = draw(manifest, plan=PLAN, seed=4).splits
    turned = draw(manifest.sample(frac=1, random_state=0), plan=PLAN, seed=4).splits
    keys = ["sample_id", "repeat", "fold"]
    pd.testing.assert_frame_equal(first.sort_values(keys, ignore_index=True), turned.sort_values(keys, ignore_index=True))
    assert not first.equals(draw(manifest, plan=PLAN, seed=5).splits)


def test_a_complete_official_split_is_honoured():
    train, test = side(patients=100, official="train"), side(patients=30, release="r", official="test")
    test = test.assign(sample_id="t" + test["sample_id"], patient_id="t" + test["patient_id"], group_id="t" + test["group_id"])
    manifest = pd.concat([train, test], ignore_index=True)
    part = parts(manifest, draw(manifest, plan=PLAN, seed=0))
    assert set(part[manifest["official_split"] == "test"]) == {"test"}
    carved = part[manifest["official_split"] == "train"]
    assert carved.value_counts().to_dict() == {"train": 85, "val": 15}
    ignored = parts(manifest, draw(manifest, plan=SplitPlan(official=False), seed=0))
    assert set(ignored[manifest["official_split"] == "test"]) == {"train", "val", "test"}


def test_an_official_validation_part_is_kept():
    manifest = side(patients=120)
    manifest["official_split"] = np.repeat(["train", "val", "test"], 40)
    part = parts(manifest, draw(manifest, plan=PLAN, seed=0))
    assert part.tolist() == manifest["official_split"].tolist()


@pytest.mark.parametrize("split", [["train"] * 100, ["train"] * 70 + ["test"] * 20 + [""] * 10])
def test_an_incomplete_official_split_is_not(split):
    manifest = side(patients=100).assign(official_split=split)
    part = parts(manifest, draw(manifest, plan=PLAN, seed=0))
    assert part.value_counts().to_dict() == {"train": 65, "val": 15, "test": 20}


def test_an_official_test_set_keeps_a_small_local_side_fixed():
    manifest = side("local", patients=60).assign(official_split=["train"] * 40 + ["test"] * 20)
    drawn = draw(manifest, plan=SplitPlan(minimum_test=60), seed=0)
    assert drawn.modes == {"local": "fixed"}


def test_a_patient_in_two_official_parts_is_refused():
    manifest = side(patients=50, images=(2,)).assign(official_split=["train", "test"] * 50)
    with pytest.raises(LeakageError, match="official split"):
        draw(manifest, plan=PLAN, seed=0)


def test_a_duplicate_of_an_official_test_film_leaves_training():
    manifest = side(patients=60).assign(official_split=["train"] * 40 + ["test"] * 20)
    other = side(patients=40, release="other")
    manifest.loc[0, "group_id"] = other.loc[0, "group_id"] = manifest.loc[59, "group_id"]
    both = pd.concat([manifest, other], ignore_index=True)
    drawn = draw(both, plan=PLAN, seed=0)
    column = split_column(both, drawn)
    assert (column[0], column[59], column[60]) == ("unused", "test", "test")
    check_overlap(both, drawn.splits)


@pytest.mark.parametrize("domain", ["local", "global"])
def test_one_class_is_refused(domain):
    with pytest.raises(DataError, match="one class only") as caught:
        draw(side(domain, positive=0.0), plan=SplitPlan(), seed=0)
    assert domain in str(caught.value)


def test_three_samples_are_refused():
    with pytest.raises(DataError, match="too small for 5 folds"):
        draw(side("local", patients=3, positive=0.1), plan=SplitPlan(), seed=0)


def test_fewer_patients_than_folds_are_refused_though_films_are_many():
    with pytest.raises(DataError, match="4 patients with edema present"):
        draw(side("local", patients=40, images=(10,), positive=0.1), plan=SplitPlan(minimum_test=100), seed=0)


def test_a_named_finding_must_have_both_classes():
    manifest = side("local", patients=50).assign(mass=0.0)
    draw(manifest, plan=SplitPlan(), seed=0)
    with pytest.raises(DataError, match="mass"):
        draw(manifest, plan=SplitPlan(stratify=("edema", "mass")), seed=0)


def test_positives_only_may_be_tested_externally():
    manifest = pd.concat([side(), side("external", release="tb", positive=1.0)], ignore_index=True)
    drawn = draw(manifest, plan=PLAN, seed=0)
    assert set(parts(manifest, drawn)[manifest["domain"] == "external"]) == {"test"}
    assert any("tb" in note and "no AUROC" in note for note in drawn.notes)


@pytest.mark.parametrize(("shares", "expected"), [({"val": 0.0}, {"train", "test"}), ({"test": 0.0}, {"train", "val"})])
def test_zero_is_a_value(shares, expected):
    manifest = side()
    assert set(parts(manifest, draw(manifest, plan=SplitPlan(**shares), seed=0))) == expected


def test_zero_minimum_keeps_a_small_side_fixed():
    assert draw(side("local", patients=30), plan=SplitPlan(minimum_test=0), seed=0).modes == {"local": "fixed"}


def test_zero_validation_in_folds():
    splits = draw(side("local", patients=30), plan=SplitPlan(val=0.0), seed=0).splits
    assert set(splits["split"]) == {"train", "test"}


@pytest.mark.parametrize(("when", "mode"), [("always", "crossfit"), ("never", "fixed")])
def test_cross_fitting_can_be_asked_for(when, mode):
    plan = SplitPlan(crossfit=Crossfit(when=when))
    assert draw(side("local", patients=1000 if when == "always" else 40), plan=plan, seed=0).modes["local"] == mode


def test_a_missing_cell_is_refused():
    splits = draw(side("local", patients=52), plan=SplitPlan(), seed=0).splits
    with pytest.raises(ConfigError, match="3 repeats of 5 folds"):
        cell(splits, repeat=0, fold=5)


def test_a_cell_holds_the_fixed_sides_too():
    manifest = pd.concat([side(), side("local", release="l", patients=52)], ignore_index=True)
    splits = draw(manifest, plan=SplitPlan(), seed=0).splits
    assert len(cell(splits, repeat=1, fold=2)) == len(manifest)
    assert cell(splits, repeat=1, fold=2).index.is_unique
    assert set(cell(splits, repeat=1, fold=-1).index) == set(manifest.loc[manifest["domain"] == "global", "sample_id"])
