# SPDX-License-Identifier: Apache-2.0
"""BUSI: masks are no images, several masks change nothing, and known duplicates are found when the manifest is built."""

import pytest

from fakes.busi import write
from medsetu.core.errors import DataError
from medsetu.manifest.build import build
from medsetu.manifest.plan import SplitPlan
from medsetu.release.busi import Busi


def test_folders_are_labels_and_masks_are_no_images(tmp_path):
    samples = Busi(write(tmp_path)).index().samples
    assert len(samples) == 18
    assert not samples["path"].str.contains("_mask").any()
    kind = samples["path"].str.split("/").str[1]
    assert (samples["malignant"] == (kind == "malignant")).all()
    assert (samples["abnormal"] == (kind != "normal")).all()
    assert samples["patient_id"].isna().all()
    assert set(samples["modality"]) == {"US"}


def test_strange_files_are_named(tmp_path):
    excluded = Busi(write(tmp_path)).index().excluded
    assert dict(zip(excluded["sample_id"].str.rsplit("/", n=1).str[1], excluded["reason"], strict=True)) == {
        "malignant (999).png": "folder and file name name different classes",
        "thumbs.png": "file name is none of the release",
    }


def test_a_known_duplicate_never_straddles_a_split(tmp_path):
    """T12."""
    root = write(tmp_path, per_class=10)
    built = build({"local": [Busi(root)]}, plan=SplitPlan(minimum_test=1), seed=0, workers=0)
    pairs = built.duplicates[["a", "b"]].to_numpy().tolist()
    assert ["busi/Dataset_BUSI_with_GT/benign/benign (1).png", "busi/Dataset_BUSI_with_GT/benign/benign (2).png"] in pairs


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="normal"):
        Busi(tmp_path).index()
