# SPDX-License-Identifier: Apache-2.0
"""RSNA 2019: a long table becomes one row per slice, duplicates count once, and people are not split."""

import pandas as pd
import pytest

from fakes.dicom import SENTINEL
from fakes.rsna_ich_2019 import write
from medsetu.core.errors import DataError
from medsetu.reader.sample import read_sample
from medsetu.release.rsna_ich_2019 import RsnaIch2019


def edit(root, change) -> None:
    path = root / "stage_2_train.csv"
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def test_one_row_per_slice(tmp_path):
    index = RsnaIch2019(write(tmp_path)).index()
    odd = index.samples["path"].str.extract(r"ID_(\d{4})")[0].astype(int) % 2
    assert len(index.samples) == 12
    for finding, expected in (("subdural", odd), ("any", odd), ("epidural", 0 * odd)):
        assert (index.samples[finding] == expected).all()
    assert "6 rows stand twice and count once" in index.notes
    assert index.samples.groupby("patient_id").size().tolist() == [2] * 6
    assert SENTINEL not in index.samples.to_csv()


def test_a_type_that_is_not_told_is_unknown(tmp_path):
    root = write(tmp_path)
    edit(root, lambda table: table[~table["ID"].str.contains("ID_0003abcde_epidural")])
    samples = RsnaIch2019(root).index().samples
    assert samples["epidural"].isna().sum() == 1
    assert samples.loc[samples["epidural"].isna(), "path"].tolist() == ["stage_2_train/ID_0003abcde.dcm"]


def test_two_labels_of_one_slice_are_refused(tmp_path):
    root = write(tmp_path)
    edit(root, lambda table: pd.concat([table, table.iloc[:1].replace({"Label": {"0": "1", "1": "0"}})]))
    with pytest.raises(DataError, match="two labels of one type"):
        RsnaIch2019(root).index()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.assign(Label="2"), "neither 1 nor 0"),
        (lambda table: table.assign(ID="ID_1"), "name no type of bleed"),
        (lambda table: table.replace({"ID": {"ID_0003abcde_any": "ID_0003abcde_anything"}}), "1 rows name no type of bleed"),
        (lambda table: table.rename(columns={"Label": "Lable"}), "nearest column is 'Lable'"),
    ],
)
def test_other_tables_are_refused(tmp_path, change, told):
    root = write(tmp_path)
    edit(root, change)
    with pytest.raises(DataError, match=told):
        RsnaIch2019(root).index()


def test_a_lost_sign_is_refused_by_name_when_the_slice_is_read(tmp_path):
    """PixelRepresentation and RescaleIntercept that disagree: values without air are no Hounsfield units."""
    root = write(tmp_path)
    samples = RsnaIch2019(root).index().samples
    assert read_sample(root / samples["path"].iloc[0]).pixels.max() > 0
    with pytest.raises(DataError, match="cannot show air"):
        read_sample(root / samples["path"].iloc[-1])


def test_what_stands_alone_is_named(tmp_path):
    root = write(tmp_path)
    (root / "stage_2_train" / "ID_0000abcde.dcm").rename(root / "stage_2_train" / "ID_stranger.dcm")
    assert RsnaIch2019(root).index().excluded.to_numpy().tolist() == [
        ["rsna_ich_2019/stage_2_train/ID_0000abcde.dcm", "row without image"],
        ["rsna_ich_2019/stage_2_train/ID_stranger.dcm", "image without row"],
    ]
