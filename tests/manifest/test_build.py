# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes.folder import SENTINEL, picture, save
from medsetu.core.errors import ConfigError, DataError, LeakageError, ResourceError
from medsetu.core.table import MANIFEST_COLUMNS, finding_columns
from medsetu.manifest import scan
from medsetu.manifest.build import build
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.split import cell

PLAN = SplitPlan()


def test_a_manifest_has_its_columns_and_types(make_release):
    prepared = build({"global": [make_release("world")], "local": [make_release("india", seed=1)]}, plan=PLAN, seed=0, workers=0)
    manifest = prepared.manifest
    assert list(manifest.columns) == [*MANIFEST_COLUMNS, "tuberculosis"]
    assert {name: str(kind).replace("string", "str") for name, kind in manifest.dtypes.items()}["height"] == "int64"
    assert manifest["sample_id"].is_monotonic_increasing
    assert manifest["sha256"].str.len().eq(64).all()
    assert manifest["phash"].str.len().eq(16).all()
    assert set(manifest["file_format"]) == {"png"}
    assert set(manifest["height"]) == {96}
    assert manifest[["path", "root", "group_id", "split"]].notna().all().all()
    assert prepared.facts["sides"]["local"] == {
        "mode": "crossfit",
        "grouping": "patient",
        "releases": ["india"],
        "samples": 20,
        "groups": 20,
    }
    assert len(cell(prepared.splits, repeat=0, fold=0)) == 40


def test_findings_are_the_union_and_unknown_is_nan(make_release):
    world, india = make_release("world"), make_release("india", seed=1)
    india.rows = india.rows.rename(columns={"tuberculosis": "effusion"})
    india.findings = ("effusion",)
    manifest = build({"global": [world], "local": [india]}, plan=PLAN, seed=0, workers=0).manifest
    assert finding_columns(manifest) == ["tuberculosis", "effusion"]
    assert manifest.groupby("release")["effusion"].apply(lambda label: label.isna().all()).to_dict() == {"india": False, "world": True}


def test_unreadable_files_are_quarantined_with_reasons(make_release):
    release = make_release(patients=30)
    (release.root / "p003_0.png").write_bytes(b"")
    (release.root / "p004_0.png").unlink()
    prepared = build({"local": [release]}, plan=SplitPlan(max_quarantine=0.1), seed=0, workers=0)
    assert prepared.quarantine["sample_id"].tolist() == ["folder/p003_0.png", "folder/p004_0.png"]
    assert prepared.quarantine["reason"].ne("").all()
    assert len(prepared.manifest) == 28


def test_too_many_unreadable_files_are_refused_and_listed(make_release, tmp_path):
    release = make_release(patients=10)
    for number in range(3):
        (release.root / f"p00{number}_0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="3 of 10 files of release 'folder'"):
        build({"local": [release]}, plan=PLAN, seed=0, workers=0, folder=tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "quarantine.csv")) == 3


def test_a_release_of_which_nothing_can_be_read_is_refused_at_any_limit(make_release):
    release = make_release(patients=3)
    for path in release.root.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError):
        build({"local": [release]}, plan=SplitPlan(max_quarantine=1.0), seed=0, workers=0)


def test_the_file_fills_what_the_release_leaves_empty(make_release, monkeypatch):
    def talking(path, *, sample_id):
        plain = read(path, sample_id=sample_id)
        return replace(plain, facts=replace(plain.facts, sex="F", age_years=40.0, view="PA", device="maker model", modality="DX"))

    read = scan.read_shown
    monkeypatch.setattr(scan, "read_shown", talking)
    release = make_release()
    release.rows["sex"] = ["M"] * 5 + [""] * 15
    release.rows["age_years"] = [70.0] * 5 + [np.nan] * 15
    prepared = build({"local": [release]}, plan=PLAN, seed=0, workers=0)
    manifest = prepared.manifest
    assert manifest["sex"].tolist() == ["M"] * 5 + ["F"] * 15
    assert manifest["age_years"].tolist() == [70.0] * 5 + [40.0] * 15
    assert set(manifest["view"]) == {"PA"}
    assert set(manifest["device"]) == {"maker model"}
    assert any("5 files say another sex" in note for note in prepared.notes)


def test_a_second_build_opens_nothing_and_a_changed_file_only(make_release, tmp_path):
    sides = {"local": [make_release(patients=12)]}
    options = {"plan": PLAN, "seed": 0, "workers": 0, "cache": tmp_path / "scan"}
    first, second = build(sides, **options), build(sides, **options)
    assert (first.facts["files_read"], second.facts["files_read"], second.facts["files_known"]) == (12, 0, 12)
    assert first.fingerprint == second.fingerprint
    assert first.facts["images_per_s"] > 0
    assert 0 < first.facts["cores_used_share"] <= 1
    assert math.isnan(second.facts["images_per_s"])
    save(picture(77), sides["local"][0].root / "p001_0.png")
    third = build(sides, **options)
    assert third.facts["files_read"] == 1
    assert third.fingerprint != first.fingerprint


def test_an_interrupted_build_goes_on_where_it_stopped(make_release, tmp_path, monkeypatch):
    def stop(path, *, sample_id):
        if sample_id.endswith("p017_0.png"):
            raise KeyboardInterrupt
        return read(path, sample_id=sample_id)

    sides = {"local": [make_release()]}
    options = {"plan": PLAN, "seed": 0, "workers": 0, "cache": tmp_path / "scan"}
    read = scan.read_shown
    monkeypatch.setattr(scan, "read_shown", stop)
    with pytest.raises(KeyboardInterrupt):
        build(sides, **options)
    monkeypatch.setattr(scan, "read_shown", read)
    assert build(sides, **options).facts["files_known"] == 16  # two whole batches


def test_a_full_disk_is_said_and_nothing_half_written_stays(make_release, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medsetu.core.run.os.fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        build({"local": [make_release()]}, plan=PLAN, seed=0, workers=0, cache=tmp_path / "scan")
    assert not list((tmp_path / "scan").iterdir())


def test_image_level_grouping_is_said(make_release):
    prepared = build({"local": [make_release(ids=False)]}, plan=PLAN, seed=0, workers=0)
    assert prepared.facts["sides"]["local"]["grouping"] == "image"
    assert any("no patient ids" in note for note in prepared.notes)


def test_some_missing_patient_ids_are_counted(make_release):
    release = make_release()
    release.rows.loc[:2, "patient_id"] = np.nan
    prepared = build({"local": [release]}, plan=PLAN, seed=0, workers=0)
    assert any("3 of 20 samples have no patient id" in note for note in prepared.notes)


def test_an_unknown_side_is_refused(make_release):
    with pytest.raises(ConfigError, match="Did you mean 'local'"):
        build({"lokal": [make_release()]}, plan=PLAN, seed=0, workers=0)


def test_a_study_without_releases_is_refused():
    with pytest.raises(ConfigError, match="No release"):
        build({"local": []}, plan=PLAN, seed=0, workers=0)


def test_repeated_sample_ids_are_refused(make_release):
    release = make_release()
    with pytest.raises(DataError, match="20 sample ids stand twice"):
        build({"global": [release], "local": [release]}, plan=PLAN, seed=0, workers=0)


def test_a_patient_on_two_sides_is_refused(make_release):
    world, india = make_release("world"), make_release("india", seed=1)
    india.rows.loc[0, "patient_id"] = world.rows.loc[0, "patient_id"]
    with pytest.raises(LeakageError, match="A patient stands in two sides"):
        build({"global": [world], "local": [india]}, plan=PLAN, seed=0, workers=0)


def test_sentinel_never_appears(make_release, tmp_path, caplog):
    release = make_release(patients=30)
    header = bytes(128) + b"DICM" + f"\x10\x00\x10\x00PN\x0c\x00{SENTINEL} ".encode() + bytes(40)
    (release.root / "p002_0.png").write_bytes(header)
    prepared = build({"local": [release]}, plan=PLAN, seed=0, workers=0, cache=tmp_path / "scan")
    assert len(prepared.quarantine) == 1
    tables = [prepared.manifest, prepared.splits, prepared.quarantine, prepared.excluded, prepared.duplicates]
    written = b"".join(path.read_bytes() for path in (tmp_path / "scan").iterdir())
    told = "".join(table.to_csv() for table in tables) + str(prepared.facts) + caplog.text
    assert SENTINEL not in told
    assert SENTINEL.encode() not in written
