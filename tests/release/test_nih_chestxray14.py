# SPDX-License-Identifier: Apache-2.0
"""NIH ChestX-ray14: labels follow names and image ids, official lists count only when complete."""

import re

import numpy as np
import pandas as pd
import pytest

from fakes.film import SENTINEL
from fakes.nih_chestxray14 import HEADER, write
from medsetu.core.errors import DataError
from medsetu.release.nih_chestxray14 import FINDINGS, LABEL_FILE, NihChestXray14


def _truth(root) -> dict[str, set[str]]:
    lines = (root / LABEL_FILE).read_text().splitlines()[1:]
    return {line.split(",")[0]: {name.lower() for name in line.split(",")[1].split("|")} for line in lines}


def _labels_agree(root) -> bool:
    samples = NihChestXray14(root).index().samples
    truth = _truth(root)
    return len(samples) > 0 and all(
        {name for name in FINDINGS if row[name] == 1.0} == truth[row["path"].rsplit("/", 1)[-1]] - {"no finding"}
        for _, row in samples.iterrows()
    )


def _rewrite(root, lines) -> None:
    (root / LABEL_FILE).write_text("\n".join(lines) + "\n")


def test_a_row_becomes_a_sample(tmp_path):
    index = NihChestXray14(write(tmp_path)).index()
    assert len(index.samples) == 24
    assert index.excluded.empty
    first = index.samples.iloc[0]
    assert first["sample_id"] == "nih_chestxray14/images/00000001_000.png"
    assert (first["country"], first["site"], first["view"], first["sex"]) == ("USA", "NIH", "PA", "F")
    assert index.samples["patient_id"].nunique() == 12
    assert index.samples["study_id"].nunique() == 24
    assert _labels_agree(tmp_path)


def test_an_age_above_120_is_unknown(tmp_path):
    samples = NihChestXray14(write(tmp_path)).index().samples
    third = samples["path"].str.contains("00000003_")
    assert samples.loc[third, "age_years"].isna().all()
    assert samples.loc[~third, "age_years"].notna().all()


def test_labels_follow_image_id(tmp_path):
    """T01: rows and files in any order; orphans on either side are listed."""
    root = write(tmp_path)
    header, *rows = (root / LABEL_FILE).read_text().splitlines()
    np.random.default_rng(3).shuffle(rows)
    _rewrite(root, [header, *rows])
    (root / "images" / "00000005_000.png").unlink()
    (root / "images" / "00000005_001.png").rename(root / "images" / "99999999_000.png")
    assert _labels_agree(root)
    excluded = NihChestXray14(root).index().excluded
    assert excluded["reason"].value_counts().to_dict() == {"row without image": 2, "image without row": 1}


def test_labels_follow_names(tmp_path):
    """T02: columns in another order give the same table, brackets with commas and all."""
    root = write(tmp_path)
    before = NihChestXray14(root).index().samples
    table = [line.split(",") for line in (root / LABEL_FILE).read_text().splitlines()]
    _rewrite(root, [",".join([*line[7:], *reversed(line[:7])]) for line in table])
    pd.testing.assert_frame_equal(NihChestXray14(root).index().samples, before)


def test_unknown_stays_nan(tmp_path):
    """T04: an empty label is unknown for all findings, never absent; 'No Finding' is absent for all."""
    root = write(tmp_path, patients=2, films=1)
    first, second = "00000001_000.png,,0,1,30,F,PA,1,1,1,1", "00000002_000.png,No Finding,0,2,30,F,PA,1,1,1,1"
    _rewrite(root, [HEADER, first, second])
    labels = NihChestXray14(root).index().samples[list(FINDINGS)]
    assert labels.iloc[0].isna().all()
    assert (labels.iloc[1] == 0.0).all()


def test_positives_only_indexes(tmp_path):
    """T21: a cohort in which everybody has everything is a cohort."""
    samples = NihChestXray14(write(tmp_path, prevalence=1.0)).index().samples
    assert (samples[list(FINDINGS)] == 1.0).all(axis=None)


def test_the_published_folders_are_read(tmp_path):
    root = write(tmp_path, folder="images_001/images")
    assert NihChestXray14(root).index().samples["path"].iloc[0] == "images_001/images/00000001_000.png"


def test_one_image_in_two_folders_is_refused(tmp_path):
    root = write(tmp_path, folder="images_001/images")
    (root / "images_002" / "images").mkdir(parents=True)
    (root / "images_002" / "images" / "00000001_000.png").write_bytes((root / "images_001" / "images" / "00000001_000.png").read_bytes())
    with pytest.raises(DataError, match="1 image names occur in more than one folder"):
        NihChestXray14(root).index()


def test_official_lists_count_only_when_both_cover(tmp_path):
    root = write(tmp_path, lists=True)
    samples = NihChestXray14(root).index().samples
    assert samples["official_split"].value_counts().to_dict() == {"train": 18, "test": 6}
    assert samples.groupby("patient_id")["official_split"].nunique().max() == 1
    listed = (root / "test_list.txt").read_text()
    (root / "test_list.txt").write_text("".join(listed.splitlines(keepends=True)[1:]))
    index = NihChestXray14(root).index()
    assert (index.samples["official_split"] == "").all()
    assert any("do not cover" in note for note in index.notes)
    (root / "test_list.txt").write_text(listed + (root / "train_val_list.txt").read_text())
    assert (NihChestXray14(root).index().samples["official_split"] == "").all()
    (root / "test_list.txt").unlink()
    assert (NihChestXray14(root).index().samples["official_split"] == "").all()


def test_the_edition_of_2017_with_its_last_comma_is_read(tmp_path):
    root = write(tmp_path)
    before = NihChestXray14(root).index().samples
    _rewrite(root, [f"{line}," for line in (root / LABEL_FILE).read_text().splitlines()])
    pd.testing.assert_frame_equal(NihChestXray14(root).index().samples, before)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda lines: [lines[0].replace("Finding Labels", "Findings"), *lines[1:]], "Column 'Finding Labels' is missing"),
        (lambda lines: [*lines, "00000099_000.png,Mass"], "another number of fields"),
        (lambda lines: [*lines, lines[1]], "more than one row"),
        (lambda lines: [*lines[:-1], re.sub(r",[^,]*,1,", ",Masss,1,", lines[-1])], "'masss' is not a finding"),
        (lambda lines: [*lines[:-1], re.sub(r",[^,]*,1,", ",No Finding|Mass,1,", lines[-1])], "at once"),
        (lambda lines: [], "Column 'Image Index' is missing"),
        (lambda lines: [lines[0]], "no labelled image"),
    ],
)
def test_a_changed_table_is_refused(tmp_path, change, match):
    root = write(tmp_path)
    _rewrite(root, change((root / LABEL_FILE).read_text().splitlines()))
    with pytest.raises(DataError, match=match) as caught:
        NihChestXray14(root).index()
    assert SENTINEL not in str(caught.value)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(DataError, match="folder of release"):
        NihChestXray14(tmp_path / "nowhere").index()
    with pytest.raises(DataError, match=re.escape(LABEL_FILE)):
        NihChestXray14(tmp_path).index()


def test_sentinel_never_appears(tmp_path):
    """T44: the patient's identifier is replaced before the table leaves the adapter."""
    index = NihChestXray14(write(tmp_path)).index()
    assert SENTINEL in (tmp_path / LABEL_FILE).read_text()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)


@pytest.mark.shared
def test_the_real_release(shared_data):
    index = NihChestXray14(shared_data / "nih_chestxray14").index()
    assert len(index.samples) == index.samples["patient_id"].nunique() == 621
    assert index.excluded.empty
    assert index.samples[list(FINDINGS)].notna().all(axis=None)
    assert index.samples["age_years"].between(0, 120).all()
