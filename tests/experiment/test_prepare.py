# SPDX-License-Identifier: Apache-2.0
import importlib
import io
import os
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from fakes import vindr_cxr, volumes
from fakes.film import SENTINEL
from fakes.folder import write
from fakes.identified import SECRETS, dicom_bytes, image_header, patient_header
from fakes.nifti import nifti
from medsetu.core.errors import DataError
from medsetu.experiment.prepare import AGREEMENT, DISAGREEMENT, agreement_view, prepare, privacy_notes, readers, summary
from medsetu.manifest.flow import coverage_table
from medsetu.manifest.frozen import load
from medsetu.manifest.plan import SplitPlan
from medsetu.reader.series import read_series
from medsetu.release.harmonised import Harmonised, read_names
from medsetu.release.nitrd import Nitrd
from medsetu.release.table import Table
from medsetu.release.vindr_cxr import VindrCxr

ADAPTERS = sorted({name.release for name in read_names()})
DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture
def sides(tmp_path):
    world = write(tmp_path / "world", name="world", patients=40, films=(1, 2))
    india = write(tmp_path / "india", name="india", patients=20, ids=False, seed=1)
    india.excluded = [("gone.png", "label row without image")]
    return {"global": [world], "local": [india]}


def shown(prepared, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(prepared))
    return console.file.getvalue()


def test_a_second_prepare_uses_the_frozen_manifest_and_says_so(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "folder": tmp_path / "out", "workers": 0}
    first, second = prepare(sides, **options), prepare(sides, **options)
    assert (first.facts["reused"], second.facts["reused"]) == (False, True)
    assert (first.facts["files_read"], second.facts["files_read"]) == (80, 0)
    assert first.fingerprint == second.fingerprint == load(tmp_path / "out").fingerprint
    pd.testing.assert_frame_equal(first.splits, second.splits)
    assert "unchanged, the frozen splits are used again" in shown(second)


def test_changed_data_are_refused_with_counts(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "folder": tmp_path / "out", "workers": 0}
    prepare(sides, **options)
    sides["local"][0].rows.loc[0, "tuberculosis"] = 1.0
    with pytest.raises(DataError, match="1 labels changed"):
        prepare(sides, **options)
    (tmp_path / "out" / "prepare.json").unlink()
    assert not prepare(sides, **options).facts["reused"]


def test_another_cache_folder_can_be_shared(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "workers": 0, "cache": tmp_path / "scan"}
    prepare(sides, folder=tmp_path / "one", **options)
    assert prepare(sides, folder=tmp_path / "two", **options).facts["files_known"] == 80
    assert not (tmp_path / "one" / "scan").exists()


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_tells_who_is_in(sides, tmp_path, width):
    (sides["global"][0].root / "p002_0.png").write_bytes(b"")
    prepared = prepare(sides, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    text = " ".join(shown(prepared, width).split())
    for words in ("quarantined", "label row", "by image", "crossfit", "15 cells", "59 ", prepared.fingerprint[:12], "no patient ids"):
        assert words in text
    assert max(map(len, shown(prepared, width).splitlines())) <= width


def test_the_summary_shows_how_many_of_each_side_carry_each_finding(sides, tmp_path):
    sides["global"][0].findings = ("tuberculosis", "edema")
    sides["global"][0].rows["edema"] = 1.0
    lines = shown(prepare(sides, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("Coverage of findings"))
    assert lines[place + 1].split() == ["present", "of", "known", "global", "local"]
    assert lines[place + 2].split() == ["tuberculosis", "40", "of", "60", "10", "of", "20"]
    assert lines[place + 3].split() == ["edema", "60", "of", "60", "-"]
    assert "Labelled on one side alone, so not comparable: edema." in lines


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_adapter_is_prepared_from_its_fake_under_common_names(kind, tmp_path):
    """No film is lost, nothing of the planted patient stands in a table, and every finding of the table of names is covered."""
    fake, module = importlib.import_module(f"fakes.{kind}"), importlib.import_module(f"medsetu.release.{kind}")
    adapter = next(
        value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "index")
    )
    few = {"patients": 8} if kind == "nih_chestxray14" else {"per_class": 3}
    release = Harmonised(adapter(fake.write(tmp_path / "data", **few)))
    broken = {"rsna_ich_2019": 1}.get(kind, 0)  # the fake has a slice whose grey values cannot be Hounsfield units
    plan = SplitPlan(names="common", max_quarantine=0.2 if broken else 0.05)
    prepared = prepare({"external": [release]}, plan=plan, seed=0, folder=tmp_path / "out", workers=0)
    indexed = len(release.index().samples)
    assert len(prepared.manifest) + len(prepared.quarantine) + prepared.excluded["reason"].str.contains("copy|duplicate").sum() == indexed
    assert len(prepared.quarantine) == broken
    covered = coverage_table(prepared)
    assert set(covered["finding"]) == set(release.findings)
    assert (covered["known"] > 0).any()
    assert SENTINEL not in "".join(path.read_text(errors="replace") for path in (tmp_path / "out").rglob("*") if path.is_file())


@pytest.mark.shared
@pytest.mark.skipif(not (DATA / "nitrd_da").is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_new_delhi_films_are_cross_fitted_and_hold_no_duplicates(tmp_path):
    release = Nitrd(DATA / "nitrd_da", part="A")
    prepared = prepare({"local": [release]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert len(prepared.manifest) == 104
    assert prepared.quarantine.empty
    assert prepared.duplicates.empty
    tested = prepared.splits[prepared.splits["split"] == "test"]
    assert (tested.groupby(["repeat", "sample_id"]).size() == 1).all()
    assert set(tested.groupby(["repeat", "fold"]).size()) <= {20, 21, 22}


def test_volumes_are_prepared_like_pictures(tmp_path):
    """NIfTI files and folders of slices through `release=table`; one series lacks a slice and is quarantined with the reason."""
    root = volumes.write(tmp_path / "heads", patients=32)
    (root / "p05" / "thin" / "CT000004.dcm").unlink()
    heads = Table(root, Path("labels.csv"), {"bleed": "bleed"}, columns={"image": "file", "patient": "patient"})
    prepared = prepare({"global": [heads]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert prepared.quarantine["sample_id"].tolist() == ["table/p05/thin"]
    assert "about 1 missing, the first after slice 6 of 9" in prepared.quarantine["reason"].iloc[0]
    manifest = prepared.manifest.set_index("path")
    assert len(manifest) == 31
    assert set(manifest["file_format"]) == {"nifti", "dicom"}
    assert manifest.loc["p01/thin", ["height", "width", "bits"]].tolist() == [24, 20, 12]
    assert manifest.loc["p01/thin", "modality"] == "CT"
    assert manifest["sha256"].is_unique
    assert len(prepared.duplicates) == 0
    again = prepare({"global": [heads]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert (again.facts["reused"], again.facts["files_read"]) == (True, 1)  # what cannot be read is asked again each time
    assert volumes.SENTINEL not in shown(prepared) + prepared.manifest.to_csv()


def test_a_scan_and_its_conversion_are_near_duplicates(tmp_path):
    root = volumes.write(tmp_path / "heads", patients=12)
    series = read_series(root / "p03" / "thin")
    converted = nifti(series.voxels.transpose(2, 1, 0).astype("int16"), sform=series.affine, pixdim=(1, 0.5, 0.75, 2.5))
    (root / "copy.nii").write_bytes(converted)
    with (root / "labels.csv").open("a") as stream:
        stream.write("copy.nii,Q,0\n")
    heads = Table(root, Path("labels.csv"), {"bleed": "bleed"}, columns={"image": "file", "patient": "patient"})
    prepared = prepare({"external": [heads]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert prepared.duplicates[["a", "b"]].to_numpy().tolist() == [["table/copy.nii", "table/p03/thin"]]


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of MEDSETU_DATA are not here")
@pytest.mark.parametrize(("folder", "ending", "count"), [("nifti", "*.nii.gz", 2), ("dicom", "*.dcm", 6)])
def test_the_real_folders_of_volumes_and_slices(tmp_path, folder, ending, count):
    files = sorted((DATA / folder).glob(ending))
    table = pd.DataFrame({"file": [path.name for path in files], "odd": [number % 2 for number in range(len(files))]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    release = Table(DATA / folder, tmp_path / "labels.csv", {"odd": "odd"}, columns={"image": "file"})
    prepared = prepare({"external": [release]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert len(prepared.manifest) + len(prepared.excluded) + len(prepared.quarantine) == count
    assert len(prepared.quarantine) == 0
    assert folder in shown(prepared) or "external" in shown(prepared)


def test_what_could_identify_a_patient_is_warned_of_by_rule_and_count(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.dcm").write_bytes(dicom_bytes(patient_header() if number % 2 else image_header()))
    rows = [{"release": "own", "root": str(tmp_path), "path": f"{number}.dcm"} for number in range(12)]
    manifest = pd.DataFrame([*rows, {"release": "gone", "root": str(tmp_path), "path": "missing.png"}])
    (note,) = privacy_notes(manifest, files=20)
    assert note.startswith("Privacy of own: ")
    assert "in 6 of 12 files looked at" in note
    assert "Patient's Name" in note
    assert not [secret for secret in SECRETS if secret in note]
    assert privacy_notes(manifest, files=0) == []
    assert privacy_notes(manifest.iloc[:1], files=5) == []


def test_votes_give_agreement_and_a_sheet_of_disagreements(tmp_path):
    release = VindrCxr(vindr_cxr.write(tmp_path / "vindr", per_class=12))
    out = tmp_path / "out"
    plan = SplitPlan(consensus={"vindr_cxr": {"tuberculosis": "any-positive", "*": "majority"}}, minimum_test=4)
    prepared = prepare({"local": [release]}, plan=plan, seed=0, folder=out, workers=0)
    table = readers(prepared, out)
    tb = table[table["finding"] == "tuberculosis"].set_index("reader")
    assert tb.loc["all", "n_readers"] == 3
    assert tb.loc["all", "low"] < tb.loc["all", "value"] < tb.loc["all", "high"]
    assert set(tb.index) - {"all"} == set(prepared.votes["reader"])
    sheet = pd.read_csv(out / DISAGREEMENT)
    assert set(sheet["finding"]) == {"tuberculosis", "lung_cavity", "effusion"}
    assert (sheet.loc[sheet["finding"] == "tuberculosis", ["present", "absent", "label"]] == [2, 1, 1]).all(axis=None)
    console = Console(file=io.StringIO(), width=120)
    console.print(agreement_view(table))
    shown_text = console.file.getvalue()
    assert "tuberculosis" in shown_text
    assert "further findings" in shown_text
    assert any("by majority (26 findings), any-positive (tuberculosis)" in note for note in prepared.notes)
    again = prepare({"local": [release]}, plan=plan, seed=0, folder=out, workers=0)
    (out / AGREEMENT).write_text((out / AGREEMENT).read_text().replace("krippendorff_alpha", "kept"))
    assert "kept" in set(readers(again, out)["measure"])  # equal votes are not measured again


def test_without_votes_there_is_nothing_to_agree_on(sides, tmp_path):
    prepared = prepare(sides, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert readers(prepared, tmp_path / "out").empty
    assert not (tmp_path / "out" / "votes.parquet").exists()
