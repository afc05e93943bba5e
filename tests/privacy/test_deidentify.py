# SPDX-License-Identifier: Apache-2.0
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from scripts.burnt_film import backdrop, burn

from fakes.identified import SECRETS, dicom_bytes, identified_folder, image_header, patient_header
from medsetu.core.errors import DataError, ResourceError
from medsetu.privacy.deidentify import Cleaning, DeidentifyPlan, check_folders, clean_dicom, clean_file, lost, renamed
from medsetu.privacy.plan import audit_plan
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.reader.image import read_image

KEY = Pseudonyms(bytes(32))
AUDIT = audit_plan(retain=["patient_characteristics", "modified_dates", "clean_descriptors"])
PLAN = DeidentifyPlan(AUDIT, KEY)


def clean(tmp_path, name, data, plan=PLAN):
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    record = clean_file(Cleaning(path, Path(name), tmp_path / "out", plan))
    assert path.read_bytes() == data
    written = [one for one in (tmp_path / "out").rglob("*") if one.is_file()] if (tmp_path / "out").exists() else []
    return record, written


def test_a_patient_becomes_a_pseudonym_and_the_picture_stays(tmp_path):
    record, (written,) = clean(tmp_path, "Sentinel/a.dcm", dicom_bytes(patient_header()))
    assert (record.held, record.renamed, record.painted) == ("", True, 0)
    assert written.name == "a.dcm"
    assert written.parent.name == KEY.name("Sentinel", kind="path")
    header = dcmread(written)
    assert not [secret for secret in SECRETS if secret in str(header) + str(header.file_meta)]
    assert header.BurnedInAnnotation == "NO"
    assert np.array_equal(header.pixel_array, patient_header().pixel_array)
    assert [item.CodeValue for item in header.DeidentificationMethodCodeSequence][:2] == ["113100", "113101"]


def test_the_preamble_is_emptied():
    data = bytearray(dicom_bytes(patient_header()))
    data[:11] = b"ZZ^SENTINEL"
    assert clean_dicom(bytes(data), plan=PLAN)[0][:128] == bytes(128)


def test_text_in_pixels_is_painted_over(tmp_path):
    rng = np.random.default_rng(5)
    film, _ = burn(backdrop(rng), rng)
    buffer = io.BytesIO()
    Image.fromarray((film * 255).astype(np.uint8)).save(buffer, "JPEG", quality=92, comment="ZZ^SENTINEL")
    record, (written,) = clean(tmp_path, "a.jpg", buffer.getvalue())
    assert record.painted >= 1
    assert written.name == "a.jpg.png"
    assert b"SENTINEL" not in written.read_bytes()
    assert read_image(written).pixels.shape == film.shape


@pytest.mark.parametrize(("modality", "gated", "held"), [("US", "hold", True), ("US", "redact", False), ("DX", "hold", False)])
def test_the_gate_holds_back(tmp_path, modality, gated, held):
    header = image_header(modality=modality)
    del header.BurnedInAnnotation
    record, written = clean(tmp_path, "a.dcm", dicom_bytes(header), DeidentifyPlan(AUDIT, KEY, gated=gated))
    assert bool(record.held) is held
    assert bool(written) is not held


def test_reports_and_unknown_files_are_held_back(tmp_path):
    header = image_header()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    assert "report" in clean(tmp_path, "a.dcm", dicom_bytes(header))[0].held
    for name, data in (("a.bin", bytes(range(256))), ("a.txt", b"Smt. Devi\n"), ("a.json", b'{"patient_name": "Devi"}'), ("b.dcm", b"")):
        record, written = clean(tmp_path, name, data)
        assert record.held, name
        assert written == []
        assert "Devi" not in repr(record)
    assert lost(Cleaning(tmp_path, Path("x"), tmp_path, PLAN)).held


def test_text_without_findings_is_copied(tmp_path):
    record, (written,) = clean(tmp_path, "note.txt", b"plain words\n")
    assert record.held == ""
    assert written.read_bytes() == b"plain words\n"


def test_paths_that_tell_are_renamed():
    made = renamed(Path("Dr_Rao/98765 43210.nii.gz"), words=frozenset(), pseudonyms=KEY)
    assert made.parts[0] == KEY.name("Dr_Rao", kind="path")
    assert made.name == KEY.name("98765 43210", kind="path") + ".nii.gz"
    assert renamed(Path("a/1.2.826.0.1.3680043.8.498.1.dcm"), words=frozenset(), pseudonyms=KEY).suffix == ".dcm"
    assert renamed(Path("images/00000013_005.png"), words=frozenset(), pseudonyms=KEY) == Path("images/00000013_005.png")


def test_folders_are_kept_apart(tmp_path):
    source = identified_folder(tmp_path / "in")
    check_folders(source, tmp_path / "out")
    for out in (source, source / "out", tmp_path):
        with pytest.raises(ResourceError):
            check_folders(source, out)
    with pytest.raises(DataError):
        check_folders(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(ResourceError, match="not empty"):
        check_folders(source, tmp_path / "full")
