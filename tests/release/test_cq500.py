# SPDX-License-Identifier: Apache-2.0
"""CQ500: joined by number, one series by rule, every vote kept."""

from pathlib import Path

import pandas as pd
import pytest

from fakes.cq500 import write
from fakes.dicom import SENTINEL
from medsetu.core.errors import ConfigError, DataError
from medsetu.reader.sample import read_volume
from medsetu.release.cq500 import Cq500


def edit(root: Path, change) -> None:
    table = pd.read_csv(root / "reads.csv", dtype=str)
    change(table).to_csv(root / "reads.csv", index=False)


def scan_of(samples: pd.DataFrame) -> pd.Series:
    return samples["path"].str.extract(r"CQ500CT(\d+) ")[0].astype(int)


def test_hyphens_of_the_table_meet_the_folders(tmp_path):
    samples = Cq500(write(tmp_path)).index().samples
    assert sorted(scan_of(samples)) == list(range(1, 9))
    assert (samples["intracranial_haemorrhage"] == scan_of(samples) % 2).all()
    assert samples["patient_id"].is_unique
    assert samples["path"].str.endswith("/CT Plain Thin").all()
    assert read_volume(tmp_path / samples["path"].iloc[0]).voxels.shape == (10, 24, 20)


def test_votes_are_kept_and_fused_finding_by_finding(tmp_path):
    index = Cq500(write(tmp_path)).index()
    assert len(index.readings) == 24
    assert index.readings.groupby("reader")["midline_shift"].sum().to_dict() == {"R1": 4.0, "R2": 0.0, "R3": 0.0}
    ill = index.samples[scan_of(index.samples) % 2 == 1]
    assert (ill["subdural"].iloc[0], ill["midline_shift"].iloc[0], ill["fracture"].iloc[0]) == (1, 0, 0)
    loud = Cq500(tmp_path, policy="any-positive").index().samples
    assert loud[scan_of(loud) % 2 == 1][["midline_shift", "fracture"]].min().min() == 1


@pytest.mark.parametrize(("prefer", "series"), [(("plain",), "CT Plain Thin"), ((), "CT Plain Thin"), (("post",), "CT Plain Thin")])
def test_contrast_comes_last_and_then_the_longest(tmp_path, prefer, series):
    samples = Cq500(write(tmp_path, per_class=1), prefer=prefer).index().samples
    assert set(samples["path"].map(lambda path: Path(path).name)) == {series}


def test_a_scan_without_a_plain_series_keeps_what_it_has(tmp_path):
    root = write(tmp_path, per_class=1)
    place = next(root.glob("qct1/*/*"))
    (place / "CT Plain Thin").rename(place / "CT Pre Contrast Thin")
    (place / "CT Plain").rename(place / "CT BONE")
    chosen = Cq500(root).index().samples["path"].map(lambda path: Path(path).name)
    assert sorted(chosen) == ["CT Plain Thin", "CT Pre Contrast Thin"]


def test_the_corrupt_scan_and_strangers_are_named(tmp_path):
    root = write(tmp_path)
    (root / "qct0" / "CQ500CT2 CQ500CT2").rename(root / "qct0" / "CQ500CT777 CQ500CT777")
    (root / "extra").mkdir()
    (root / "extra" / "a.dcm").write_bytes(b"")
    excluded = Cq500(root).index().excluded
    assert ["cq500/CQ500CT120", "row without image"] in excluded.to_numpy().tolist()
    assert ["cq500/CQ500CT2", "row without image"] in excluded.to_numpy().tolist()
    assert ["cq500/extra", "folder of no scan"] in excluded.to_numpy().tolist()
    assert sorted(excluded["reason"].value_counts().to_dict().values()) == [1, 1, 2]


def test_faults_are_refused(tmp_path):
    root = write(tmp_path, per_class=1)
    with pytest.raises(ConfigError, match="majority"):
        Cq500(root, policy="loudest")
    edit(root, lambda table: pd.concat([table, table.iloc[:1]]))
    with pytest.raises(DataError, match="has two rows"):
        Cq500(root).index()
    edit(root, lambda table: table.drop_duplicates().replace({"name": {"CQ500-CT-1": "scan 1"}}))
    with pytest.raises(DataError, match="another name"):
        Cq500(root).index()
    edit(root, lambda table: table.replace({"name": {"scan 1": "CQ500-CT-1"}}).assign(**{"R2:ICH": "maybe"}))
    with pytest.raises(DataError, match="neither 1, 0 nor blank"):
        Cq500(root).index()
    edit(root, lambda table: table.rename(columns={"R2:ICH": "R2:ICHH"}))
    with pytest.raises(DataError, match=r"'R2:ICH' is missing.*nearest column is"):
        Cq500(root).index()


def test_a_missing_vote_stays_unknown(tmp_path):
    root = write(tmp_path, per_class=1)
    edit(root, lambda table: table.assign(**{f"R{reader}:ICH": "" for reader in (1, 2, 3)}))
    index = Cq500(root).index()
    assert index.samples["intracranial_haemorrhage"].isna().all()


def test_sentinel_never_appears(tmp_path):
    index = Cq500(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + index.readings.to_csv() + "".join(index.notes)
