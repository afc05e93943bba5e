# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import pandas as pd
import pytest

from medsetu.core.errors import DataError, LeakageError, ResourceError
from medsetu.core.run import sha256_file
from medsetu.core.table import write_table
from medsetu.manifest.build import build
from medsetu.manifest.frozen import freeze, is_frozen, load, save
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.prepared import fingerprint


@pytest.fixture
def prepared(make_release):
    release = make_release(patients=24)
    release.excluded = [("gone.png", "label row without image")]
    (release.root / "p005_0.png").write_bytes((release.root / "p001_0.png").read_bytes())
    return build({"local": [release]}, plan=SplitPlan(), seed=0, workers=0)


@pytest.fixture
def folder(prepared, tmp_path):
    return save(prepared, tmp_path / "frozen")


def test_what_is_saved_is_what_is_loaded(prepared, folder):
    again = load(folder)
    for name in ("manifest", "splits", "quarantine", "excluded", "duplicates"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(prepared, name), check_dtype=name in ("manifest", "splits"))
    assert again.fingerprint == prepared.fingerprint
    assert again.facts["plan"]["crossfit"]["folds"] == 5


@pytest.mark.parametrize("name", ["manifest.parquet", "splits.parquet", "quarantine.csv", "excluded.csv", "duplicates.csv"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_touched_file_is_refused(folder, name, damage):
    path = folder / name
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataError, match=name):
        load(folder)


def test_a_label_changed_with_all_hashes_made_to_fit_is_refused(folder):
    manifest = pd.read_parquet(folder / "manifest.parquet")
    manifest.loc[0, "tuberculosis"] = 1 - manifest.loc[0, "tuberculosis"]
    write_table(manifest, folder / "manifest.parquet")
    summary = json.loads((folder / "prepare.json").read_text())
    summary["files"]["manifest.parquet"] = sha256_file(folder / "manifest.parquet")
    (folder / "prepare.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match="fingerprint"):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}'])
def test_a_summary_that_cannot_be_understood_is_refused(folder, text):
    (folder / "prepare.json").write_text(text)
    with pytest.raises(DataError, match="cannot be understood"):
        load(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="medsetu prepare"):
        load(tmp_path)


def test_a_straddling_manifest_is_not_saved(prepared, tmp_path):
    with pytest.raises(LeakageError):
        save(replace(prepared, manifest=prepared.manifest.assign(group_id="one")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_content_is_used_again(prepared, folder):
    before = (folder / "prepare.json").stat().st_mtime_ns
    frozen, reused = freeze(prepared, folder)
    assert reused
    assert frozen.fingerprint == prepared.fingerprint
    assert (folder / "prepare.json").stat().st_mtime_ns == before


def changed(prepared, **parts):
    manifest = parts.get("manifest", prepared.manifest)
    splits = parts.get("splits", prepared.splits)
    return replace(
        prepared, manifest=manifest, splits=splits, fingerprint=fingerprint(manifest, splits), facts=parts.get("facts", prepared.facts)
    )


def test_another_content_is_refused_and_what_differs_is_counted(prepared, folder):
    manifest = prepared.manifest.iloc[1:].copy()
    manifest.iloc[0, manifest.columns.get_loc("tuberculosis")] = float("nan")
    manifest.iloc[1, manifest.columns.get_loc("sha256")] = "0" * 64
    facts = prepared.facts | {"seed": 9, "plan": prepared.facts["plan"] | {"val": 0.3}}
    with pytest.raises(DataError) as caught:
        freeze(changed(prepared, manifest=manifest, facts=facts), folder)
    for words in (
        "1 samples gone",
        "1 files with other bytes",
        "1 labels changed",
        "seed was 0 and is 9",
        "manifest.val was 0.15 and is 0.3",
    ):
        assert words in str(caught.value)
    assert "prepare.json" in caught.value.remedy


def test_the_same_samples_split_otherwise_are_refused(prepared, folder):
    splits = prepared.splits.assign(split=prepared.splits["split"].replace({"val": "train"}))
    with pytest.raises(DataError, match="split differently"):
        freeze(changed(prepared, splits=splits), folder)


def test_a_full_disk_leaves_nothing_that_looks_finished(prepared, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medsetu.core.run.os.fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        save(prepared, tmp_path / "out")
    assert not is_frozen(tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
