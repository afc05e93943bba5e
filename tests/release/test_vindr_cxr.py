# SPDX-License-Identifier: Apache-2.0
"""VinDr-CXR: labels follow names, votes are kept, and a finding that one reader names is not lost."""

import pandas as pd
import pytest

from fakes.film import SENTINEL
from fakes.vindr_cxr import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.vindr_cxr import VindrCxr


def ill(samples, split="train"):
    rows = samples[samples["official_split"] == split]
    return rows[rows["path"].str.extract(r"(\d{4})")[0].astype(int).mod(2).eq(1).to_numpy()]


def test_labels_follow_image_id(tmp_path):
    """T01: rows stand out of order; every film keeps its label."""
    samples = VindrCxr(write(tmp_path)).index().samples
    assert samples["official_split"].value_counts().to_dict() == {"train": 12, "test": 6}
    assert samples["tuberculosis"].sum() == 9
    assert (ill(samples)["tuberculosis"] == 1).all()
    assert (ill(samples, "test")["tuberculosis"] == 1).all()
    assert samples["patient_id"].isna().all()


def test_labels_follow_names(tmp_path):
    """T02: another order of columns is the same release; an absent column is refused, never its neighbour read."""
    root = write(tmp_path)
    before = VindrCxr(root).index().samples
    path = root / "annotations" / "image_labels_train.csv"
    table = pd.read_csv(path, dtype=str)
    table[[*reversed(table.columns)]].to_csv(path, index=False)
    pd.testing.assert_frame_equal(VindrCxr(root).index().samples, before)
    table.drop(columns="Enlarged PA").to_csv(path, index=False)
    with pytest.raises(DataError, match="'Enlarged PA' is missing"):
        VindrCxr(root).index()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("majority", (1, 0, 0)), ("any-positive", (1, 1, 1)), ("unanimous", (0, 0, 0))],
)
def test_reader_fusion_keeps_findings(tmp_path, policy, expected):
    """T05: each finding is fused by itself."""
    row = ill(VindrCxr(write(tmp_path), policy=policy).index().samples).iloc[0]
    assert (row["tuberculosis"], row["lung_cavity"], row["effusion"]) == expected


def test_every_vote_is_kept(tmp_path):
    index = VindrCxr(write(tmp_path)).index()
    assert index.readings.groupby("sample_id")["reader"].agg(set).map(sorted).map(tuple).unique().tolist() == [("R10", "R8", "R9")]
    assert len(index.readings) == 36
    assert index.readings.groupby("reader")["tuberculosis"].sum().to_dict() == {"R8": 6.0, "R9": 6.0, "R10": 0.0}
    assert set(index.readings["sample_id"]) < set(index.samples["sample_id"])


def test_both_names_of_the_last_disease_are_read(tmp_path):
    root = write(tmp_path)
    for split, name in (("train", "Other diseases"), ("test", "Other disease")):
        path = root / "annotations" / f"image_labels_{split}.csv"
        pd.read_csv(path).assign(**{name: 1}).to_csv(path, index=False)
    assert set(VindrCxr(root).index().samples["other_disease"]) == {1.0}


def test_what_stands_alone_is_named_and_missing_readers_are_told(tmp_path):
    root = write(tmp_path)
    first = sorted((root / "train").iterdir())[0]
    first.rename(first.with_name("stranger.dicom"))
    path = root / "annotations" / "image_labels_train.csv"
    table = pd.read_csv(path)
    table[(table["rad_id"] != "R9") | table["image_id"].str.contains("train0001")].to_csv(path, index=False)
    index = VindrCxr(root).index()
    assert sorted(index.excluded["reason"]) == ["image without row", "row without image"]
    assert any("10 training films were not read by 3 readers" in note for note in index.notes)
    assert ill(index.samples)["tuberculosis"].isna().sum() == 5  # one vote for, one against: unknown


def test_faults_are_refused(tmp_path):
    root = write(tmp_path)
    with pytest.raises(ConfigError, match="majority"):
        VindrCxr(root, policy="loudest")
    path = root / "annotations" / "image_labels_train.csv"
    table = pd.read_csv(path, dtype=str)
    pd.concat([table, table.iloc[:1]]).to_csv(path, index=False)
    with pytest.raises(DataError, match="read a film twice"):
        VindrCxr(root).index()
    table.assign(Edema="maybe").to_csv(path, index=False)
    with pytest.raises(DataError, match="neither 1, 0 nor blank"):
        VindrCxr(root).index()


def test_sentinel_never_appears(tmp_path):
    index = VindrCxr(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
